"""The activation file: group mean squares of every pass of one cell, with the labels of their axes.

Mean squares add: over groups to heads, over token sets with token counts. One file therefore serves every unit, token
set and measure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError, reading, restored
from plantain.records.tensors import mapped_tensors, write_tensors

SCHEMA: Final = "plantain.activations/1"
TOKENS: Final = ("text", "pad", "noise", "reference")
_AXES: Final = ("draw", "item", "condition", "reference", "seed", "tokens", "group")


@dataclass(frozen=True)
class Activations:
    """What one cell's passes left behind."""

    mean_square: NDArray[np.float32]
    """Mean of x² over a token set and a group's channels, (draw, item, condition, reference, seed, tokens, group).

    NaN where a token set is empty, or not seen by the group's projection. The draw axis has length 1 for a model with
    weights.
    """
    token_count: NDArray[np.int32]
    """Positions in each token set, (item, condition, reference, tokens)."""
    items: tuple[str, ...]
    conditions: tuple[str, ...]
    references: tuple[str, ...]
    """One label an alternative: the reference's name where all records agree on it."""
    seeds: tuple[int, ...]
    """Noise seeds."""
    draws: tuple[int, ...]
    """Seeds of an untrained family's draws; ``(0,)`` for a model with weights."""
    tokens: tuple[str, ...] = TOKENS
    header: Mapping[str, Any] = field(default_factory=dict)
    """Schema, ``group_width`` and the digests of prompts, references, model lock and capture."""

    def __post_init__(self) -> None:
        axes = (self.items, self.conditions, self.references, self.seeds, self.tokens)
        lengths = (len(self.draws), *(len(axis) for axis in axes))
        if self.mean_square.shape[:-1] != lengths:
            raise ValueError(f"mean_square has shape {self.mean_square.shape}, its labels {lengths} and a group axis")
        if self.token_count.shape != (*lengths[1:4], len(self.tokens)):
            raise ValueError(f"token_count has shape {self.token_count.shape}, its labels {lengths}")


def write_activations(path: Path, activations: Activations) -> None:
    """Write ``activations`` as safetensors, whole or not at all; equal activations give equal bytes.

    The file has no draw axis unless the model was declared as a family (``family`` in the header) or has several draws.
    """
    family = bool(activations.header.get("family")) or len(activations.draws) > 1
    values = activations.mean_square if family else activations.mean_square[0]
    header = dict(activations.header) | {
        "schema": SCHEMA,
        "axes": list(_AXES if family else _AXES[1:]),
        "items": list(activations.items),
        "conditions": list(activations.conditions),
        "references": list(activations.references),
        "seeds": list(activations.seeds),
        "draws": list(activations.draws),
        "tokens": list(activations.tokens),
    }
    tensors = {
        "mean_square": np.ascontiguousarray(values, dtype=np.float32),
        "token_count": np.ascontiguousarray(activations.token_count, dtype=np.int32),
    }
    write_tensors(path, tensors, header)


def read_activations(path: Path) -> Activations:
    """Map an activation file: what is looked at is read, and nothing is held twice.

    Raises:
        InputError: the file is missing, torn, or of another schema.
    """
    if not path.exists():
        fix = "run `dvc repro`, or `dvc pull` where a remote holds it."
        raise InputError("no such activation file.", file=path, fix=fix)
    with reading(path, "activations", restored(path)):
        header, tensors = mapped_tensors(path)
        if header.get("schema") != SCHEMA:
            fix = "run `dvc repro`: its capture was made by another version of plantain."
            raise InputError(f"schema is {header.get('schema')!r}, not {SCHEMA!r}.", file=path, fix=fix)
        return _activations(tensors["mean_square"], tensors["token_count"], header)


def _activations(values: NDArray[np.float32], counts: NDArray[np.int32], header: dict[str, Any]) -> Activations:
    return Activations(
        mean_square=values if "draw" in header["axes"] else values[None],
        token_count=counts,
        items=tuple(header["items"]),
        conditions=tuple(header["conditions"]),
        references=tuple(header["references"]),
        seeds=tuple(header["seeds"]),
        draws=tuple(header["draws"]),
        tokens=tuple(header["tokens"]),
        header=header,
    )
