"""All flips, however many: two halves whose partial sums are computed beforehand.

A flip of K blocks is a flip of the low blocks and a flip of the high ones. The sums of all low flips stand in a table;
a high flip adds one number to a unit's row of it. So each further flip costs one addition a unit, not K.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.threads import threads_available
from plantain.stats.flips.engine import Query, padded_limits, sum_of
from plantain.stats.validate import Ints

LOW_BITS = 9
"""Blocks in the low half: 512 sums a unit."""
TABLE_BYTES = 40 * 1024 * 1024
"""What the sums of the low half may take; more units get fewer low blocks."""
MOST_UNITS = 32_767
"""Counts of two thresholds share an integer."""
LARGEST_BITS = 36
"""2^36 flips of 600 units take about an hour on two cores; more is refused."""
TASKS = 16
"""Ranges of high codes handed to the threads."""


def tally_all(query: Query, *, threads: int | None = None) -> tuple[Ints, Ints, Ints]:
    """Count every flip of the space once.

    Args:
        query: What to count. Two-sided, the last block keeps its sign, so that each flip stands for its negative too.
        threads: Threads; default `plantain.base.threads.threads_available`.

    Returns:
        hits ``(units,)``, steps ``(units,)`` and the histogram of counts ``(thresholds, units + 1)``.

    Raises:
        InputError: More than 2^`LARGEST_BITS` flips, or more than `MOST_UNITS` units.
    """
    from plantain.stats.flips.kernels import tally_range

    units = query.parts.shape[1]
    bits = _checked_bits(query)
    low = min(LOW_BITS, bits, (TABLE_BYTES // (4 * max(units, 1))).bit_length() - 1)
    lows = low_sums(query.parts[:low])
    pairs = _paired(query.limits)
    question = (np.ascontiguousarray(query.parts[low:]), query.reach, pairs, query.signed)
    edges = np.unique(np.linspace(0, 1 << (bits - low), TASKS + 1).astype(np.int64))

    def share(span: tuple[int, int]) -> tuple[Ints, Ints]:
        totals, histogram = np.zeros((2, units), np.int64), np.zeros((pairs.size, units + 1), np.int64)
        tally_range(question, lows, span, totals, histogram)
        return totals, histogram

    with ThreadPoolExecutor(max_workers=threads or threads_available()) as pool:
        totals, histograms = zip(*pool.map(share, itertools.pairwise(edges.tolist())), strict=True)
    hits, steps = sum_of(totals)
    return hits, steps, sum_of(histograms)[: len(query.limits)]


def _checked_bits(query: Query) -> int:
    blocks, units = query.parts.shape
    bits = int(blocks - 1 + query.signed)
    if bits > LARGEST_BITS:
        raise InputError(
            f"2^{bits} flips are too many to enumerate.", fix="Ask for a number of flips, 10000 say.", field="flips"
        )
    if units > MOST_UNITS:
        raise InputError(f"All flips are counted for at most {MOST_UNITS} units, not {units}.", field="flips")
    return bits


def _paired(limits: NDArray[np.int32]) -> NDArray[np.int32]:
    return padded_limits(limits, max(2, len(limits) + len(limits) % 2)).reshape(-1, 2)


def low_sums(parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums of the low blocks under every flip of them, ``(units, 2^blocks)``; bit j of a column negates block j."""
    blocks, units = parts.shape
    sums = np.empty((units, 1 << blocks), np.int32)
    sums[:, 0] = parts.sum(axis=0)
    for block in range(blocks):
        half = 1 << block
        np.subtract(sums[:, :half], 2 * parts[block][:, None], out=sums[:, half : 2 * half])
    return sums
