"""How fast passes were: remembered under ``.plantain/`` so that a dry run can say how long the next ones take."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plantain.files import readable_json, write_atomic
from plantain.model.lock import ModelLock
from plantain.places import state_dir

_ASSUMED: Final = {"cpu": 1.0e11, "cuda": 1.5e14, "mps": 3.0e12}
"""Floating-point operations a second where nothing was measured: a few cores, one data-centre or desktop GPU."""

LEAST: Final = 8
"""Passes that make a rate: the few of a resumed capture say little."""


@dataclass(frozen=True)
class Rate:
    """Floating-point operations a second of whole passes."""

    flops: float
    measured: bool
    """Whether a capture of this model on this kind of device gave it."""


def pass_flops(lock: ModelLock, positions: int) -> float:
    """Floating-point operations of one transformer forward over ``positions``.

    Per block and position 4 i² + 3 i m multiply-adds in projections and gated MLP (inner width i, MLP width m), and
    2 i for every pair of positions in the attention.
    """
    geometry = lock.geometry
    inner = geometry.heads * geometry.head_width
    blocks = geometry.joint_blocks + geometry.single_blocks
    dense = 2 * (4 * inner * inner + 3 * inner * geometry.mlp_width) * positions
    return float(blocks * (dense + 4 * inner * positions * positions))


def rate(lock: ModelLock, device: str) -> Rate:
    """The remembered rate of this model on this kind of device, or an assumption."""
    known = _read()
    key = _key(lock, device)
    return Rate(known[key], True) if key in known else Rate(_ASSUMED.get(_kind(device), _ASSUMED["cpu"]), False)


def remember(lock: ModelLock, device: str, positions: int, passes: int, seconds: float) -> None:
    """Keep what a capture measured; nothing where its passes are fewer than :data:`LEAST`.

    Args:
        lock: the model.
        device: what it ran on.
        positions: of one pass.
        passes: how many were timed.
        seconds: how long they took, with no loading among them.
    """
    if passes < LEAST:
        return
    known = _read() | {_key(lock, device): pass_flops(lock, positions) * passes / max(seconds, 1e-6)}
    write_atomic(_path(), readable_json(known))


def _key(lock: ModelLock, device: str) -> str:
    return f"{_kind(device)}/{lock.dtype}/{lock.geometry.parameters}"


def _kind(device: str) -> str:
    return device.split(":", maxsplit=1)[0]


def _read() -> dict[str, float]:
    try:
        return {str(key): float(value) for key, value in json.loads(_path().read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        # Only a forecast hangs on it: a missing or torn file means that nothing is known.
        return {}


def _path() -> Path:
    return state_dir() / "rates.json"
