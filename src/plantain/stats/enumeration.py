"""Numba kernels that count every flip of a range: the low half stands in a table, so that a flip is one addition."""

import numpy as np

from plantain.stats.kernels import LOWEST, Question, Table, kernel
from plantain.stats.validate import Ints

BATCH = 8
"""High codes handled together: a row of low sums is read once for all of them, their counts stay in the cache."""


@kernel
def high_sums(parts: Table, code: int, sums: Table) -> None:
    """What the high blocks add to every unit's score under the signs of `code`."""
    sums[:] = 0
    for block in range(parts.shape[0]):
        sign = np.int32(-1 if (code >> block) & 1 else 1)
        for unit in range(len(sums)):
            sums[unit] += np.int32(sign * parts[block, unit])


@kernel
def sweep(lows: Table, base: np.int32, goal: np.int32, signed: bool, work: tuple[Table, Table]) -> tuple[int, int]:
    """Scores of one unit over the low flips, one addition each; how many reach its goal, alone and as maxima."""
    scores, highest = work
    hit, step = np.int32(0), np.int32(0)
    for flip in range(len(lows)):
        value = np.int32(base + lows[flip])
        if not signed:
            value = np.int32(abs(value))
        scores[flip] = value
        most = max(highest[flip], value)
        highest[flip] = most
        hit = np.int32(hit + np.int32(value >= goal))
        step = np.int32(step + np.int32(most >= goal))
    return int(hit), int(step)


@kernel
def add_over(scores: Table, limit: np.int32, counts: Table) -> None:
    """Add one where a score is over the limit."""
    for flip in range(len(scores)):
        counts[flip] = np.int32(counts[flip] + np.int32(scores[flip] > limit))


@kernel
def add_to_histogram(counts: Table, histogram: Ints) -> None:
    """Counts ``(batch, thresholds, low flips)`` into a histogram ``(thresholds, units + 1)``."""
    for row in range(counts.shape[0]):
        for k in range(counts.shape[1]):
            for flip in range(counts.shape[2]):
                histogram[k, counts[row, k, flip]] += 1


@kernel
def tally_range(question: Question, lows: Table, span: tuple[int, int], totals: Ints, histogram: Ints) -> None:
    """Count all flips whose high bits run over a span of codes.

    Args:
        question: As in `plantain.stats.engine.Query`, but the parts are those of the high blocks.
        lows: ``(units, low flips)`` sums of the low blocks, for every flip of them.
        span: First code of the high bits, and the code to stop before.
        totals: ``(2, units)`` hits and steps, added to.
        histogram: ``(thresholds, units + 1)``, added to.
    """
    parts, reach, limits, signed = question
    units, width = lows.shape
    counts = np.empty((BATCH, len(limits), width), np.int32)
    highest, scores = np.empty((BATCH, width), np.int32), np.empty(width, np.int32)
    bases = np.empty((BATCH, units), np.int32)
    for begin in range(span[0], span[1], BATCH):
        batch = min(BATCH, span[1] - begin)
        counts[:] = 0
        highest[:] = LOWEST
        for row in range(batch):
            high_sums(parts, begin + row, bases[row])
        for unit in range(units):
            for row in range(batch):
                hit, step = sweep(lows[unit], bases[row, unit], reach[unit], signed, (scores, highest[row]))
                totals[0, unit] += hit
                totals[1, unit] += step
                for k in range(len(limits)):
                    add_over(scores, limits[k], counts[row, k])
        add_to_histogram(counts[:batch], histogram)
