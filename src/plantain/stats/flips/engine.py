"""Every flip against every unit: which reach the observed score, and how many units exceed the thresholds.

Three routes give the same integers: NumPy for small work, a Numba kernel for large work, a torch device when asked for.
"""

import functools
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plantain.base.threads import threads_available
from plantain.stats.flips.draw import FlipSet
from plantain.stats.validate import Ints

CHUNK_BYTES = 256 * 1024
"""Size of a temporary of the NumPy route, small enough for the second-level cache."""
CHUNK_ROWS = 16
"""At least so many flips at a time, or the matrix product crawls."""
KERNEL_WORK = 60_000_000
"""Flips times units from which the kernel repays the time that importing Numba takes."""
KERNEL_FLIPS = 65_536
"""Flips of one kernel call: their codes and counts take a few MiB."""
KERNEL_SIGNS = 8 * 1024 * 1024
"""Signs of one kernel call, a byte each before they are coded."""
NEVER = 2**31 - 1
"""A limit that no score is over."""
KERNEL_WORK_LOADED = 10_000_000
"""The same in a process that has imported Numba already."""


@dataclass(frozen=True)
class Query:
    """What is asked of each flip; units stand in ascending order of their observed score."""

    parts: NDArray[np.int32]
    """``(blocks, units)`` addends of the score."""
    reach: NDArray[np.int32]
    """``(units,)``: a score at or above this is as extreme as the observed one. Ascending."""
    limits: NDArray[np.int32]
    """``(thresholds,)``: a score above this is over the threshold."""
    signed: bool
    """Scores keep their sign (one-sided tests); otherwise their absolute value counts."""

    @property
    def observed_counts(self) -> Ints:
        """``(thresholds,)``: units over each threshold with no sign flipped."""
        scores = self.parts.sum(axis=0, dtype=np.int64)
        over = (scores if self.signed else np.abs(scores)) > self.limits[:, None]
        return np.asarray(np.count_nonzero(over, axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Tally:
    """Counts over flips, the identity among them."""

    hits: Ints
    """``(units,)``: flips whose score reaches the unit's own."""
    steps: Ints
    """``(units,)``: flips in which any unit up to this one reaches this unit's score (Westfall and Young)."""
    counts: NDArray[np.int32] = field(repr=False)
    """``(flips, thresholds)``: units over each threshold."""


def tally(query: Query, flips: FlipSet, *, device: str | None = None, threads: int | None = None) -> Tally:
    """Count over flips by whichever route is quickest; all routes agree to the last bit.

    Args:
        query: What to count.
        flips: The flips, identity first.
        device: A torch device (``cuda``, ``mps``, ``cpu``) to compute on; None for NumPy or Numba.
        threads: Threads of the Numba route; default `plantain.base.threads.threads_available`.
    """
    if device is not None:
        from plantain.stats.flips.device import tally_on_device

        return tally_on_device(query, flips, device)
    if not repays_kernel(len(flips), query.parts.shape[1]):
        return tally_numpy(query, flips)
    return tally_kernel(query, flips, threads or threads_available())


def repays_kernel(flips: int, units: int) -> bool:
    """Whether the work repays importing Numba."""
    return flips * units >= (KERNEL_WORK_LOADED if "numba" in sys.modules else KERNEL_WORK)


def tally_numpy(query: Query, flips: FlipSet, chunk_bytes: int = CHUNK_BYTES) -> Tally:
    """The NumPy route: a matrix product of integers held in float64, then compares."""
    units = query.parts.shape[1]
    parts, reach = query.parts.astype(np.float64), query.reach.astype(np.float64)
    rows = max(min(CHUNK_ROWS, chunk_bytes), chunk_bytes // (8 * max(units, 1)))
    hits, steps = np.zeros(units, np.int64), np.zeros(units, np.int64)
    counts = np.empty((len(flips), len(query.limits)), np.int32)
    for start in range(0, len(flips), rows):
        scores = flips.sums(parts, start, start + rows)
        if not query.signed:
            np.abs(scores, out=scores)
        hits += np.count_nonzero(scores >= reach, axis=0)
        for column, limit in enumerate(query.limits):
            counts[start : start + rows, column] = np.count_nonzero(scores > limit, axis=1)
        np.maximum.accumulate(scores, axis=1, out=scores)
        steps += np.count_nonzero(scores >= reach, axis=0)
    return Tally(hits, steps, counts)


def tally_kernel(query: Query, flips: FlipSet, threads: int) -> Tally:
    """The Numba route: table look-ups of partial sums, compares fused in; threads share the flips."""
    from plantain.stats.flips import kernels

    limits = padded_limits(query.limits, 2)
    question = (query.parts, query.reach, limits, query.signed)
    counts = np.zeros((len(flips), len(limits)), np.int32)
    size = min(KERNEL_FLIPS, max(1, KERNEL_SIGNS // flips.blocks), -(-len(flips) // threads))

    def share(start: int) -> Ints:
        totals = np.zeros((2, query.parts.shape[1]), np.int64)
        codes = kernels.digits(flips.bits(start, start + size))
        kernels.tally_codes(question, codes, totals, counts[start : start + size])
        return totals

    with ThreadPoolExecutor(max_workers=threads) as pool:
        hits, steps = sum_of(pool.map(share, range(0, len(flips), size)))
    return Tally(hits, steps, np.ascontiguousarray(counts[:, : len(query.limits)]))


def padded_limits(limits: NDArray[np.int32], least: int) -> NDArray[np.int32]:
    """Limits on the score, at least so many: further ones are over every score."""
    padded = np.full(max(least, len(limits)), NEVER, np.int32)
    padded[: len(limits)] = limits
    return padded


def sum_of(arrays: Iterable[Ints]) -> Ints:
    """Elementwise sum of integer arrays of one shape, one after the other."""
    return functools.reduce(np.add, arrays)
