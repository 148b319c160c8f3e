"""Differences as integers, so that sums of them are exact in any order.

A unit's differences d are divided by sqrt(n * sum(d^2)). A sign flip then has the score u = signs @ z in [-1, 1], and
t = u * sqrt((n - 1) / (1 - u^2)) grows with u, because flips leave sum(d^2) alone. Held as integers of 2^-30, sums of z
are the same bytes whatever the order of addition: chunk size, thread count and device cannot change a result.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plantain.stats.validate import Floats, Ints

QUANTA = 1 << 30
"""Integers per unit of u; the largest sum stays below 2^31."""
CELL: Final = 17
"""Bits of a score that a look-up leaves out: p-values of both edges of 1 / 8192 of u are a few percent apart."""
FEW = 256
"""Up to so many rows a product sums groups, whose last bits older results have; it grows with rows times groups."""


@dataclass(frozen=True)
class Scores:
    """Quantised addends of the score of every unit."""

    parts: NDArray[np.int32]
    """``(blocks, units)``: what each block adds to the score, its sign kept or flipped."""
    freedom: int
    """Degrees of freedom of t."""

    @property
    def tolerance(self) -> int:
        """Two sums that are equal in exact arithmetic differ by at most this many quanta."""
        return int(self.parts.shape[0])

    @property
    def observed(self) -> Ints:
        """``(units,)``: the score with no sign flipped."""
        total: Ints = self.parts.sum(axis=0, dtype=np.int64)
        return total

    def limits(self, thresholds: Floats) -> Ints:
        """Thresholds on t as scores: t > c exactly where the score exceeds the limit."""
        bound = thresholds / np.sqrt(self.freedom + thresholds**2)
        return np.floor(bound * QUANTA).astype(np.int64)


def quantise(differences: Floats, groups: Ints) -> Scores:
    """Scores of paired differences, summed within the groups that share a sign.

    Args:
        differences: ``(items, units)``; a unit of zeros stays zero.
        groups: ``(items,)`` group numbers from 0.
    """
    items = differences.shape[0]
    largest = np.abs(differences).max(axis=0)
    scaled = differences / np.where(largest > 0, largest, 1.0)
    norm = np.sqrt(items * np.square(scaled).sum(axis=0))
    return Scores(parts=_rounded(group_sums(scaled, groups) / np.where(norm > 0, norm, 1.0)), freedom=items - 1)


def group_sums(values: Floats, groups: Ints) -> Floats:
    """Sums of the rows of each group, ``(groups, units)``; every group has one."""
    count = int(groups.max()) + 1
    if count == len(groups):
        return values
    if len(groups) <= FEW:
        return np.asarray(np.equal.outer(np.arange(count), groups).astype(np.float64) @ values)
    order = np.argsort(groups, kind="stable")
    return np.asarray(np.add.reduceat(values[order], np.searchsorted(groups[order], np.arange(count)), axis=0))


def _rounded(values: Floats) -> NDArray[np.int32]:
    return np.ascontiguousarray(np.rint(values * QUANTA).astype(np.int32))


def t_p_values(scores: NDArray[np.int32], freedom: int) -> Floats:
    """Two-sided p-values of Student's t for absolute scores in quanta.

    1 - u^2 = df / (df + t^2), so p = I(1 - u^2; df / 2, 1 / 2), the regularised incomplete beta function.
    """
    from scipy.special import betainc

    u = np.minimum(np.abs(np.asarray(scores, dtype=np.float64)) / QUANTA, 1.0)
    return np.asarray(betainc(freedom / 2, 0.5, (1 - u) * (1 + u)), dtype=np.float64)


def p_between(scores: NDArray[np.int32], freedom: int) -> tuple[Floats, Floats]:
    """What stands below and above the two-sided p-values of Student's t for absolute scores in quanta: look-ups."""
    edges, cell = _edge_p_values(freedom), scores >> CELL
    return edges[cell + 1], edges[cell]


@lru_cache(maxsize=64)
def _edge_p_values(freedom: int) -> Floats:
    """p-values of scores that are `CELL` bits apart, from 0 to one beyond the largest."""
    edges = np.minimum(np.arange((QUANTA >> CELL) + 2, dtype=np.int64) << CELL, QUANTA)
    return t_p_values(edges.astype(np.int32), freedom)


def ceil_rank(share: float, count: int) -> int:
    """ceil(share * count), not pushed up by a rounding error in the product."""
    return math.ceil(round(share * count, 9))
