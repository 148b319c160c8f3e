"""Numba kernels: every flip in a few additions per unit, with the compares fused in.

The blocks of a flip are cut into groups of 5, whose 32 possible partial sums are tabled per tile of units: a flip of 30
blocks then costs 6 additions a unit instead of 30 multiplications. Where all flips are wanted, the partial sums of the
low bits stand ready in a row a unit, and each flip is one addition. All sums are integers, so any order gives the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from plantain.stats.validate import Ints

F = TypeVar("F", bound=Callable[..., Any])

TILE = 512
"""Units handled together: their tables stay in the second-level cache, and long rows keep the vector units busy."""
GROUP = 5
"""Blocks whose partial sums are tabled together."""
PASS = 6
"""Tables added in one sweep."""
LOWEST = np.int32(-(2**31))
UNREACHED = np.int32(2**31 - 1)

Table = NDArray[np.int32]
Codes = NDArray[np.uint8]
Question = tuple[Table, Table, Table, bool]
Compared = tuple[Table, Table, Table, Table]


def kernel(function: F) -> F:
    """Compile with Numba, cached on disk, free of the interpreter lock so that threads run side by side."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def digits(bits: Codes) -> Codes:
    """Bits ``(flips, blocks)`` as digits ``(flips, groups)`` of `GROUP` bits, padded to whole passes."""
    flips, blocks = bits.shape
    groups = -(-blocks // (GROUP * PASS)) * PASS
    padded = np.zeros((flips, groups * GROUP), np.uint8)
    padded[:, :blocks] = bits
    weights = (1 << np.arange(GROUP)).astype(np.uint8)
    return np.ascontiguousarray(padded.reshape(flips, groups, GROUP) @ weights)


@kernel
def fill_tables(parts: Table, start: int, tables: Table) -> None:
    """Partial sums of each group of blocks ``tables[group, digit, unit]`` for a tile of units, 0 past the last one."""
    blocks, units = parts.shape
    width = min(TILE, units - start)
    tables[:] = 0
    for block in range(blocks):
        group, bit = block // GROUP, 1 << (block % GROUP)
        for digit in range(1 << GROUP):
            sign = np.int32(-1 if digit & bit else 1)
            for w in range(width):
                tables[group, digit, w] += np.int32(sign * parts[block, start + w])


@kernel
def add_sweep(tables: Table, codes: Codes, first: int, scores: Table) -> None:
    """Add the partial sums of one sweep of groups, from `first` on, to the scores of a tile of units."""
    own, digit = tables[first : first + PASS], codes[first : first + PASS]
    a, b, c = own[0, digit[0]], own[1, digit[1]], own[2, digit[2]]
    d, e, f = own[3, digit[3]], own[4, digit[4]], own[5, digit[5]]
    for w in range(TILE):
        scores[w] += np.int32(a[w] + b[w] + c[w] + d[w] + e[w] + f[w])


@kernel
def compare_last(tables: Table, codes: Codes, signed: bool, compared: Compared, over: Table) -> np.int32:
    """Add the last sweep of one flip, compare what comes out while it is at hand, and return the largest score.

    Args:
        tables: Partial sums.
        codes: ``(groups,)`` digits of the flip.
        signed: Scores keep their sign.
        compared: Scores so far, replaced by the final ones; scores to reach; how often they were; the first limits.
        over: ``(thresholds,)``: scores over the first two limits, added to.
    """
    scores, goal, reached, limits = compared
    own, digit = tables[-PASS:], codes[-PASS:]
    a, b, c = own[0, digit[0]], own[1, digit[1]], own[2, digit[2]]
    d, e, f = own[3, digit[3]], own[4, digit[4]], own[5, digit[5]]
    top, one, other = LOWEST, np.int32(0), np.int32(0)
    for w in range(TILE):
        value = np.int32(scores[w] + np.int32(a[w] + b[w] + c[w] + d[w] + e[w] + f[w]))
        if not signed:
            value = np.int32(abs(value))
        scores[w] = value
        top = max(top, value)
        one = np.int32(one + np.int32(value > limits[0]))
        other = np.int32(other + np.int32(value > limits[1]))
        reached[w] = np.int32(reached[w] + np.int32(value >= goal[w]))
    over[0] += one
    over[1] += other
    return top


@kernel
def count_over(scores: Table, limit: np.int32) -> np.int32:
    """How many scores are over the limit."""
    over = np.int32(0)
    for w in range(TILE):
        over = np.int32(over + np.int32(scores[w] > limit))
    return over


@kernel
def step_through(scores: Table, goal: Table, highest: np.int32, steps: Ints) -> None:
    """Successive maxima unit by unit, where a tile decides nothing at once."""
    for w in range(len(steps)):
        highest = max(highest, scores[w])
        if highest >= goal[w]:
            steps[w] += 1


@kernel
def tally_codes(question: Question, codes: Codes, totals: Ints, counts: Table) -> None:
    """Count flips given as digits.

    Args:
        question: The fields of `plantain.stats.flips.engine.Query`, but with two limits at least.
        codes: ``(flips, groups)`` digits.
        totals: ``(2, units)`` hits and steps, added to.
        counts: ``(flips, thresholds)``, added to.
    """
    parts, reach, limits, signed = question
    flips, groups = codes.shape
    units = parts.shape[1]
    tables = np.zeros((groups, 1 << GROUP, TILE), np.int32)
    scores, goal, reached = np.zeros(TILE, np.int32), np.empty(TILE, np.int32), np.empty(TILE, np.int32)
    highest = np.full(flips, LOWEST, np.int32)
    for start in range(0, units, TILE):
        width = min(TILE, units - start)
        fill_tables(parts, start, tables)
        goal[:] = UNREACHED
        goal[:width] = reach[start : start + width]
        reached[:] = 0
        whole = 0
        for flip in range(flips):
            scores[:] = 0
            for first in range(0, groups - PASS, PASS):
                add_sweep(tables, codes[flip], first, scores)
            top = compare_last(tables, codes[flip], signed, (scores, goal, reached, limits), counts[flip])
            for k in range(2, len(limits)):
                counts[flip, k] += count_over(scores, limits[k])
            before = highest[flip]
            highest[flip] = max(before, top)
            if before >= goal[width - 1]:
                whole += 1
            elif highest[flip] >= goal[0]:
                step_through(scores, goal, before, totals[1, start : start + width])
        for w in range(width):
            totals[0, start + w] += reached[w]
            totals[1, start + w] += whole


@kernel
def bin_codes(parts: Table, codes: Codes, shift: np.int32, bins: Ints) -> None:
    """Count the absolute scores of flips given as digits by their leading bits.

    Args:
        parts: ``(blocks, units)`` addends of the score.
        codes: ``(flips, groups)`` digits.
        shift: Bits that are dropped.
        bins: ``(flips, bins)``, added to.
    """
    flips, groups = codes.shape
    units = parts.shape[1]
    tables = np.zeros((groups, 1 << GROUP, TILE), np.int32)
    scores = np.zeros(TILE, np.int32)
    for start in range(0, units, TILE):
        width = min(TILE, units - start)
        fill_tables(parts, start, tables)
        for flip in range(flips):
            scores[:] = 0
            for first in range(0, groups, PASS):
                add_sweep(tables, codes[flip], first, scores)
            for w in range(TILE):
                scores[w] = np.int32(np.int32(abs(scores[w])) >> shift)
            mine = bins[flip]
            for w in range(width):
                mine[scores[w]] += 1


Tables = tuple[Table, Table, Table]

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
def sweep(lows: Table, base: np.int32, goal: np.int32, signed: bool, work: Tables) -> np.int32:
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
        question: As in `plantain.stats.flips.engine.Query`, but the parts are those of the high blocks, and the limits
            come in pairs ``(pairs, 2)``.
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
