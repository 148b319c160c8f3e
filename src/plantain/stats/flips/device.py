"""The same counts on a torch device. The only module of the room that imports torch, and only when asked for.

Accelerators multiply float32 quickly and float64 slowly or not at all. So each integer addend is cut into a high and a
low part of 15 bits: sums of either are whole numbers below 2^24, exact in float32 in any order, and join to the score.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.stats.flips.draw import FlipSet
from plantain.stats.flips.engine import Query, Tally

LOW_BITS = 15
EXACT_BLOCKS = 256
"""Sums of this many 15-bit parts stay below 2^24; parts above 15 bits are at most 2^15 in all."""
CHUNK_SCORES = 1 << 21
"""Scores computed at once; five tables of 4 bytes live together, 40 MiB."""


def tally_on_device(query: Query, flips: FlipSet, device: str) -> Tally:
    """Count over flips on a torch device; equal to the other routes to the last bit.

    Args:
        query: What to count.
        flips: The flips, identity first.
        device: ``cuda``, ``mps`` or ``cpu``.
    """
    where = torch.device(device)
    high, low = (torch.from_numpy(part).to(where) for part in _halves(query.parts))
    reach, limits = (torch.from_numpy(values).to(where) for values in (query.reach, query.limits))
    units = query.parts.shape[1]
    hits, steps = (torch.zeros(units, dtype=torch.int64, device=where) for _ in range(2))
    counts = np.empty((len(flips), len(query.limits)), np.int32)
    rows = max(1, CHUNK_SCORES // max(units, 1))
    for start in range(0, len(flips), rows):
        signs = torch.from_numpy(flips.signs(start, start + rows).astype(np.float32)).to(where)
        with _full_float32():
            scores = _scores(signs, high, low)
        scores = scores if query.signed else scores.abs()
        hits += (scores >= reach).sum(dim=0)
        for column, limit in enumerate(limits):
            counts[start : start + rows, column] = (scores > limit).sum(dim=1).cpu().numpy()
        if units:
            steps += (scores.cummax(dim=1).values >= reach).sum(dim=0)
    return Tally(hits.cpu().numpy(), steps.cpu().numpy(), counts)


def _halves(parts: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    high = parts >> LOW_BITS
    return high.astype(np.float32), (parts - (high << LOW_BITS)).astype(np.float32)


def _scores(signs: torch.Tensor, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Whole-number scores; runs of blocks short enough that no sum passes 2^24."""
    total = torch.zeros((len(signs), high.shape[1]), dtype=torch.int32, device=signs.device)
    for first in range(0, len(high), EXACT_BLOCKS):
        run = slice(first, first + EXACT_BLOCKS)
        total += (signs[:, run] @ high[run]).to(torch.int32) << LOW_BITS
        total += (signs[:, run] @ low[run]).to(torch.int32)
    return total


@contextmanager
def _full_float32() -> Iterator[None]:
    """Products of float32 in float32: TensorFloat-32 has 10 bits where 15 are needed."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
