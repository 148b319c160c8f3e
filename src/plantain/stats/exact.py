"""All flips, however many: two halves whose partial sums are computed beforehand.

A flip of K blocks is a flip of the low blocks and a flip of the high ones. The sums of all low flips stand in a table;
a high flip adds one number to a unit's row of it. So each further flip costs one addition a unit, not K.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from plantain.errors import InputError
from plantain.stats.engine import Query, sum_of, threads_available
from plantain.stats.validate import Ints

LOW_BITS = 8
"""Blocks in the low half: 256 sums a unit."""
LARGEST_BITS = 36
"""2^36 flips of 600 units take about an hour on two cores; more is refused."""
TASKS = 16
"""Ranges of high codes handed to the threads."""


def tally_all(query: Query, *, threads: int | None = None) -> tuple[Ints, Ints, Ints]:
    """Count every flip of the space once.

    Args:
        query: What to count. Two-sided, the last block keeps its sign, so that each flip stands for its negative too.
        threads: Threads; default `plantain.stats.engine.threads_available`.

    Returns:
        hits ``(units,)``, steps ``(units,)`` and the histogram of counts ``(thresholds, units + 1)``.

    Raises:
        InputError: More than 2^`LARGEST_BITS` flips.
    """
    from plantain.stats import enumeration  # imports Numba, 0.5 s

    blocks, units = query.parts.shape
    bits = blocks - 1 + query.signed
    if bits > LARGEST_BITS:
        raise InputError(
            f"2^{bits} flips are too many to enumerate.", fix="Ask for a number of flips, 10000 say.", field="flips"
        )
    low = min(LOW_BITS, bits)
    lows = low_sums(query.parts[:low])
    high = np.ascontiguousarray(query.parts[low:])
    question = (high, query.reach, query.limits, query.signed)
    edges = np.unique(np.linspace(0, 1 << (bits - low), TASKS + 1).astype(np.int64))

    def share(span: tuple[int, int]) -> tuple[Ints, Ints]:
        totals, histogram = np.zeros((2, units), np.int64), np.zeros((len(query.limits), units + 1), np.int64)
        enumeration.tally_range(question, lows, span, totals, histogram)
        return totals, histogram

    with ThreadPoolExecutor(max_workers=threads or threads_available()) as pool:
        totals, histograms = zip(*pool.map(share, itertools.pairwise(edges.tolist())), strict=True)
    hits, steps = sum_of(totals)
    return hits, steps, sum_of(histograms)


def low_sums(parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums of the low blocks under every flip of them, ``(units, 2^blocks)``; bit j of a column negates block j."""
    blocks, units = parts.shape
    sums = np.zeros((units, 1 << blocks), np.int32)
    codes = np.arange(1 << blocks)
    for block in range(blocks):
        sums += np.where((codes >> block) & 1, -1, 1).astype(np.int32) * parts[block][:, None]
    return sums
