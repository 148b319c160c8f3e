"""Pivots of many flips without sorting every one: bounds from binned scores say which flips decide.

A calibration asks two things of the pivots: one of the smallest of them, and how many reach the identity's. Scores
counted by their leading bits bound each pivot from both sides, since a score between two edges has a p-value between
theirs. Only the flips whose lower bound is below both answers are sorted; all others keep their lower bound.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plantain.base.threads import threads_available
from plantain.stats.flips.draw import FlipSet
from plantain.stats.flips.quantise import t_p_values
from plantain.stats.validate import Floats, Ints

LEADING: Final = 10
"""Bits of a score that are counted: bounds are a few percent apart."""
SHIFT: Final = 30 - LEADING
CHUNK_FLIPS: Final = 2_048
"""Flips binned together: their counts take 4 MiB."""
ROWS: Final = 256
"""Flips bounded together."""

LevelAt = Callable[[Floats, Ints], Floats]
"""From p-values and ranks to the level of the curve through them; grows with p, falls with the rank."""


@dataclass(frozen=True)
class Bounded:
    """What binned scores say of the pivots, ``(flips,)`` each."""

    low: Floats
    high: Floats

    def deciding(self, allowed: int, tie: float) -> Ints:
        """Flips whose pivot may be among the ``allowed + 1`` smallest, or reach the identity's (row 0).

        Args:
            allowed: Flips that may be below the level.
            tie: Relative tolerance under which two pivots are equal.
        """
        largest = max(float(np.partition(self.high, allowed)[allowed]), float(self.high[0]))
        return np.flatnonzero(self.low <= largest * (1 + 2 * tie)).astype(np.int64)


def bound_pivots(parts: NDArray[np.int32], flips: FlipSet, freedom: int, level: LevelAt) -> Bounded:
    """Bounds on the pivot of every flip.

    Args:
        parts: ``(blocks, units)`` addends of the score of alive units, in quanta.
        flips: The flips.
        freedom: Degrees of freedom of t.
        level: Of the family of curves.
    """
    starts = range(0, len(flips), CHUNK_FLIPS)

    def share(start: int) -> tuple[Floats, Floats]:
        binned = _binned(parts, flips, start)
        found = [_bounds(binned[row : row + ROWS], freedom, level) for row in range(0, len(binned), ROWS)]
        return np.concatenate([low for low, _ in found]), np.concatenate([high for _, high in found])

    with ThreadPoolExecutor(max_workers=threads_available()) as pool:
        low, high = zip(*pool.map(share, starts), strict=True)
    return Bounded(np.concatenate(low), np.concatenate(high))


def _binned(parts: NDArray[np.int32], flips: FlipSet, start: int) -> NDArray[np.integer]:
    """``(flips, bins)``: how many units have a score in each bin, the lowest scores first."""
    from plantain.stats.flips import kernels

    codes = kernels.digits(flips.bits(start, start + CHUNK_FLIPS))
    small = parts.shape[1] <= np.iinfo(np.uint16).max
    found = np.zeros((len(codes), (1 << LEADING) + 1), np.uint16 if small else np.int32)
    kernels.bin_codes(parts, codes, np.int32(SHIFT), found)
    return found


def _bounds(binned: NDArray[np.integer], freedom: int, level: LevelAt) -> tuple[Floats, Floats]:
    """Lower and upper bound of the smallest level through any unit, per row.

    The units of a bin have at most the rank of its last one. The level through any of them is at least that of the
    bin's upper edge at this rank; that of the last one is at most that of the lower edge.
    """
    edges = np.minimum(np.arange(binned.shape[1] + 1, dtype=np.int64) << SHIFT, np.iinfo(np.int32).max)
    p = t_p_values(edges.astype(np.int32), freedom)
    ranks = np.cumsum(binned[:, ::-1], axis=1, dtype=np.int64)[:, ::-1]
    empty = binned == 0
    known = np.maximum(ranks, 1)
    low, high = (np.where(empty, np.inf, level(p[side], known)).min(axis=1) for side in (np.s_[1:], np.s_[:-1]))
    return low, high
