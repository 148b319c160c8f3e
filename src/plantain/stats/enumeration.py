"""Numba kernels that count every flip of a range: the low half stands in a table, so that a flip is one addition."""

import numpy as np

from plantain.stats.kernels import LOWEST, Question, Table, kernel
from plantain.stats.validate import Ints

Work = tuple[Table, Table, Table]

BATCH = 4
"""High codes handled together: a row of low sums is read once for all of them, their counts stay in the cache."""
HALF = 16
"""Two counts share an integer, the second in its upper half: half the loads and stores."""
LOW_HALF = (1 << HALF) - 1
"""The largest count that fits."""


@kernel
def high_sums(parts: Table, code: int, sums: Table) -> None:
    """What the high blocks add to every unit's score under the signs of `code`."""
    sums[:] = 0
    for block in range(parts.shape[0]):
        sign = np.int32(-1 if (code >> block) & 1 else 1)
        for unit in range(len(sums)):
            sums[unit] += np.int32(sign * parts[block, unit])


@kernel
def sweep(lows: Table, base: np.int32, goal: np.int32, signed: bool, work: Work) -> np.int32:
    """One unit over the low flips, one addition each.

    Adds to the packed counts of the first two thresholds, raises the successive maxima, and returns, packed, how many
    scores and how many maxima reach the goal.
    """
    counts, highest, limits = work
    reached = np.int32(0)
    for flip in range(len(lows)):
        value = np.int32(base + lows[flip])
        if not signed:
            value = np.int32(abs(value))
        most = max(highest[flip], value)
        highest[flip] = most
        reached = np.int32(reached + np.int32(value >= goal) + np.int32(np.int32(most >= goal) << HALF))
        over = np.int32(np.int32(value > limits[0]) + np.int32(np.int32(value > limits[1]) << HALF))
        counts[flip] = np.int32(counts[flip] + over)
    return reached


@kernel
def count_pair(lows: Table, base: np.int32, signed: bool, limits: Table, counts: Table) -> None:
    """Add to the packed counts of two further thresholds."""
    for flip in range(len(lows)):
        value = np.int32(base + lows[flip])
        if not signed:
            value = np.int32(abs(value))
        over = np.int32(np.int32(value > limits[0]) + np.int32(np.int32(value > limits[1]) << HALF))
        counts[flip] = np.int32(counts[flip] + over)


@kernel
def add_to_histogram(counts: Table, histogram: Ints) -> None:
    """Packed counts ``(batch, pairs, low flips)`` into a histogram ``(2 * pairs, units + 1)``."""
    for row in range(counts.shape[0]):
        for pair in range(counts.shape[1]):
            for flip in range(counts.shape[2]):
                packed = counts[row, pair, flip]
                histogram[2 * pair, packed & LOW_HALF] += 1
                histogram[2 * pair + 1, (packed >> HALF) & LOW_HALF] += 1


@kernel
def tally_range(question: Question, lows: Table, span: tuple[int, int], totals: Ints, histogram: Ints) -> None:
    """Count all flips whose high bits run over a span of codes.

    Args:
        question: As in `plantain.stats.engine.Query`, but the parts are those of the high blocks, and the limits come
            in pairs ``(pairs, 2)``.
        lows: ``(units, low flips)`` sums of the low blocks, for every flip of them.
        span: First code of the high bits, and the code to stop before.
        totals: ``(2, units)`` hits and steps, added to.
        histogram: ``(2 * pairs, units + 1)``, added to.
    """
    parts, reach, limits, signed = question
    units, width = lows.shape
    counts = np.empty((BATCH, len(limits), width), np.int32)
    highest = np.empty((BATCH, width), np.int32)
    bases = np.empty((BATCH, units), np.int32)
    for begin in range(span[0], span[1], BATCH):
        batch = min(BATCH, span[1] - begin)
        counts[:] = 0
        highest[:] = LOWEST
        for row in range(batch):
            high_sums(parts, begin + row, bases[row])
        for unit in range(units):
            for row in range(batch):
                base = bases[row, unit]
                reached = sweep(lows[unit], base, reach[unit], signed, (counts[row, 0], highest[row], limits[0]))
                totals[0, unit] += reached & LOW_HALF
                totals[1, unit] += reached >> HALF
                for pair in range(1, len(limits)):
                    count_pair(lows[unit], base, signed, limits[pair], counts[row, pair])
        add_to_histogram(counts[:batch], histogram)
