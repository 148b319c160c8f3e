"""Memory: how much a pass needs, how many fit, and what running out of it looks like."""

from pathlib import Path

import torch

from plantain.base.files import digest, readable_json, remembered, write_atomic
from plantain.base.params import CaptureParams
from plantain.base.places import state_dir
from plantain.capture.plan import LARGEST, row_bytes
from plantain.records.lock import ModelLock

_SHARE = 0.8
"""Of the free memory, what ``auto`` fills."""


def fitted_batch_size(lock: ModelLock, params: CaptureParams, positions: int, device: str) -> int:
    """The batch size of a capture: as declared, or for ``auto`` what the accelerator's free memory holds.

    A fitted size is remembered under ``.plantain/``, so that a resumed capture finds its shards again. On a CPU a
    batch gains nothing and costs equality with the plain call: ``auto`` is 1 there.
    """
    size = expected_batch_size(lock, params, positions, device)
    if params.batch_size == "auto" and free_bytes(device) is not None:
        remember(lock, positions, device, size)
    return size


def expected_batch_size(lock: ModelLock, params: CaptureParams, positions: int, device: str) -> int:
    """What :func:`fitted_batch_size` gives, without remembering it."""
    if params.batch_size != "auto":
        return int(params.batch_size)
    free = free_bytes(device)
    if free is None:
        return 1
    known = remembered(_remembered(lock, positions, device)).get("batch_size")
    if isinstance(known, int) and 1 <= known <= LARGEST:
        return known
    room = free * _SHARE - lock.components["transformer"].bytes
    size = 1
    while size < LARGEST and 2 * size * row_bytes(lock, positions) <= room:
        size *= 2
    return size


def remember(lock: ModelLock, positions: int, device: str, size: int) -> None:
    """Keep a fitted batch size for the next run."""
    write_atomic(_remembered(lock, positions, device), readable_json({"batch_size": size}))


def free_bytes(device: str) -> int | None:
    """Free memory of an accelerator in bytes; None on a CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device.startswith("mps"):
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a failure means that memory ran out, on any kind of device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def _remembered(lock: ModelLock, positions: int, device: str) -> Path:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    key = digest({"lock": lock.sha256, "positions": positions, "device": name})
    return state_dir() / "batch-sizes" / f"{key}.json"
