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

TILE = 128
"""Units handled together: their tables stay in the second-level cache."""
GROUP = 5
"""Blocks whose partial sums are tabled together."""
PASS = 6
"""Tables added in one sweep."""
BATCH = 8
"""High codes handled together in an enumeration: their counts stay in the first-level cache."""
LOWEST = np.int32(-(2**31))

Table = NDArray[np.int32]
Codes = NDArray[np.uint8]


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
def score(tables: Table, codes: Codes, signed: bool, scores: Table) -> int:
    """Scores of one flip for a tile of units, and the largest of them."""
    for w in range(TILE):
        scores[w] = 0
    for first in range(0, len(codes), PASS):
        a, b, c = tables[first, codes[first]], tables[first + 1, codes[first + 1]], tables[first + 2, codes[first + 2]]
        d, e = tables[first + 3, codes[first + 3]], tables[first + 4, codes[first + 4]]
        f = tables[first + 5, codes[first + 5]]
        for w in range(TILE):
            scores[w] += np.int32(a[w] + b[w] + c[w] + d[w] + e[w] + f[w])
    top = LOWEST
    for w in range(TILE):
        value = scores[w]
        if not signed:
            value = np.int32(abs(value))
        scores[w] = value
        top = max(top, value)
    return top


@kernel
def tally_codes(
    parts: Table, codes: Codes, reach: Table, limits: Table, signed: bool, hits: Ints, steps: Ints, counts: Table
) -> None:
    """Count flips given as digits; adds to `hits`, `steps` ``(units,)`` and `counts` ``(flips, thresholds)``."""
    flips, groups = codes.shape
    units = parts.shape[1]
    tables = np.zeros((groups, 1 << GROUP, TILE), np.int32)
    scores = np.zeros(TILE, np.int32)
    goal = np.empty(TILE, np.int32)
    reached = np.empty(TILE, np.int32)
    highest = np.full(flips, LOWEST, np.int32)
    for start in range(0, units, TILE):
        width = min(TILE, units - start)
        fill_tables(parts, start, tables)
        goal[:] = np.int32(2**31 - 1)
        goal[:width] = reach[start : start + width]
        reached[:] = 0
        whole = 0
        for flip in range(flips):
            top = score(tables, codes[flip], signed, scores)
            for k in range(len(limits)):
                over = np.int32(0)
                for w in range(TILE):
                    over = np.int32(over + np.int32(scores[w] > limits[k]))
                counts[flip, k] += over
            for w in range(TILE):
                reached[w] = np.int32(reached[w] + np.int32(scores[w] >= goal[w]))
            before = highest[flip]
            highest[flip] = max(before, top)
            if before >= goal[width - 1]:
                whole += 1
            elif highest[flip] >= goal[0]:
                step_through(scores, goal, before, steps[start : start + width])
        for w in range(width):
            hits[start + w] += reached[w]
            steps[start + w] += whole


@kernel
def step_through(scores: Table, goal: Table, highest: int, steps: Ints) -> None:
    """Successive maxima unit by unit, where a tile decides nothing at once."""
    for w in range(len(steps)):
        highest = max(highest, scores[w])
        if highest >= goal[w]:
            steps[w] += 1


@kernel
def tally_range(
    query: tuple[Table, Table, Table, bool],
    lows: Table,
    first: int,
    last: int,
    hits: Ints,
    steps: Ints,
    histogram: Ints,
) -> None:
    """Count all flips whose high bits run from `first` to `last`; adds to `hits`, `steps` and `histogram`.

    Args:
        query: Parts of the high blocks ``(blocks, units)``, the last of which may never flip; reach ``(units,)``;
            limits ``(thresholds,)``; whether scores keep their sign.
        lows: ``(units, low flips)`` partial sums of the low blocks, for every flip of them.
        first: First code of the high bits.
        last: Code to stop before.
        hits: ``(units,)``.
        steps: ``(units,)``.
        histogram: ``(thresholds, units + 1)``.
    """
    parts, reach, limits, signed = query
    units, width = lows.shape
    counts = np.empty((BATCH, len(limits), width), np.int32)
    highest = np.empty((BATCH, width), np.int32)
    scores = np.empty(width, np.int32)
    bases = np.empty((BATCH, units), np.int32)
    for begin in range(first, last, BATCH):
        batch = min(BATCH, last - begin)
        counts[:] = 0
        highest[:] = LOWEST
        for row in range(batch):
            high_sums(parts, begin + row, bases[row])
        for unit in range(units):
            for row in range(batch):
                hit, step = sweep(lows[unit], bases[row, unit], reach[unit], signed, scores, highest[row])
                hits[unit] += hit
                steps[unit] += step
                for k in range(len(limits)):
                    count_over(scores, limits[k], counts[row, k])
        for row in range(batch):
            for k in range(len(limits)):
                for flip in range(width):
                    histogram[k, counts[row, k, flip]] += 1


@kernel
def high_sums(parts: Table, code: int, sums: Table) -> None:
    """What the high blocks add to every unit's score under the signs of `code`."""
    sums[:] = 0
    for block in range(parts.shape[0]):
        sign = np.int32(-1 if (code >> block) & 1 else 1)
        for unit in range(len(sums)):
            sums[unit] += np.int32(sign * parts[block, unit])


@kernel
def sweep(lows: Table, base: int, goal: int, signed: bool, scores: Table, highest: Table) -> tuple[int, int]:
    """Scores of one unit over the low flips, one addition each, and how many reach its goal."""
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
    return hit, step


@kernel
def count_over(scores: Table, limit: int, counts: Table) -> None:
    """Add one where a score is over the limit."""
    for flip in range(len(scores)):
        counts[flip] = np.int32(counts[flip] + np.int32(scores[flip] > limit))
