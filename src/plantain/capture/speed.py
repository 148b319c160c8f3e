"""How fast a device multiplies matrices: what the passes of a model that was not captured yet are forecast by."""

import time
from functools import lru_cache
from typing import Final

import torch

SIDE: Final = 8192
"""Of the matrices on an accelerator."""
_RUNS: Final = 10


@lru_cache(maxsize=8)
def product_rate(device: str, dtype: torch.dtype, side: int = SIDE) -> float:
    """Operations a second of a large matrix product, the median of ten after two that are not timed."""
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(_RUNS + 2):
        wait_for(device)
        began = time.perf_counter()
        left @ right
        wait_for(device)
        seconds.append(time.perf_counter() - began)
    return 2.0 * side**3 / sorted(seconds[2:])[_RUNS // 2]


def wait_for(device: str) -> None:
    """Until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif device.startswith("mps"):
        torch.mps.synchronize()


def product_rate_here(device: str, dtype: str) -> float | None:
    """The same for a CUDA device of this machine; None where there is none, or it does no such product."""
    if not (device.startswith("cuda") and torch.cuda.is_available()):
        return None
    try:
        return product_rate(device, getattr(torch, dtype))
    except (RuntimeError, AssertionError):  # the latter from a torch that was built without CUDA
        return None
