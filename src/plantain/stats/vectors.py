"""Rows of vectors as scores: what magnitude cannot see, a change of direction, tested as a shift of numbers is.

A row holds one vector a unit. The statistic is the pseudo-F of Anderson (2001): the variation between the sides over
that within them, sums of squared distances. What it is worth depends on how many directions a unit's vectors really
vary in, so each unit is brought to the scale of Student's t by its effective dimension nu = tr(C)^2 / tr(C^2), C the
covariance of rows: under normal rows the pseudo-F is about F(nu, nu df) (Box 1954), and t is the number that has the
same p at df degrees of freedom. One dimension gives t itself. The labels do not enter nu, so that within a unit scores
rank as the pseudo-F does; validity comes from exchanging labels, and F is the scale on which units are compared.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from plantain.base.errors import InputError
from plantain.stats.flips.quantise import QUANTA
from plantain.stats.scored import LOOSE, Combine, Scored
from plantain.stats.validate import Bools, Floats

LEVELS: Final = 1 << 40
"""Whole numbers that a unit's largest product is divided into: sums over 64 x 64 of them stay below 2^53."""
MOST_DIMENSIONS: Final = 1000.0
"""Where an effective dimension ends that so few rows cannot tell from infinity."""
SMALLEST: Final = 1e-300
"""Where a p-value ends, so that it has a t."""

Unexplained = Callable[[Floats], tuple[Floats, Floats]]
"""Labels ``(labellings, rows)`` to the share of variation within the sides, ``(labellings, units)``, and its df."""


@dataclass(frozen=True)
class Products:
    """Inner products of the rows of every alive unit, as whole numbers, so that sums of them are exact in any order."""

    whole: Floats
    """``(rows, rows, units)``; the rows are centred, or differences that signs flip."""
    dimensions: Floats
    """``(units,)`` effective dimension."""

    def over(self, weights: Floats) -> Floats:
        """Sum over i, j of w_i w_j (i . j) for each row of whole weights, ``(labellings, units)``."""
        rows, _, units = self.whole.shape
        outer = (weights[:, :, None] * weights[:, None, :]).reshape(len(weights), rows * rows)
        return np.asarray(outer @ self.whole.reshape(rows * rows, units))

    @property
    def squares(self) -> Floats:
        """Squared lengths, ``(rows, units)``."""
        return np.asarray(np.einsum("iiu->iu", self.whole))


def score_vectors(table: Floats, observed: Bools, *, frames: bool, welch: bool) -> Scored:
    """Scores of rows of vectors ``(rows, units, dimensions)``.

    Args:
        table: The rows; under frames those of side a first, in the order of side b.
        observed: ``(rows,)``, true for side a.
        frames: Whether the two rows of a frame are exchanged, rather than all rows freely.
        welch: Under free exchange, whether each side has a spread of its own.

    Raises:
        InputError: Welch's spread of a side of one row.
    """
    if welch and min(observed.sum(), (~observed).sum()) < 2:
        raise InputError("A side of one row has no spread.", fix="Add rows, or leave out `studentised`.")
    number = len(table) // 2
    rows = table[:number] - table[number:] if frames else table - table.mean(axis=0)
    raw = np.einsum("iud,jud->iju", rows, rows)
    alive = np.asarray(np.einsum("iiu->u", raw) > 0)
    freedom = number - 1 if frames else len(table) - 2
    products = _products(raw[:, :, alive], frames)
    unexplained = _framed(products) if frames else _unequal(products) if welch else _free(products)
    t = np.full(len(alive), np.nan)
    t[alive] = _as_t(_p_values(unexplained, observed[None].astype(np.float64), products)[0], freedom)
    delta = np.where(alive, _delta(table, observed), np.nan)

    def scores() -> Combine:
        return lambda labels: np.rint(_as_u(_p_values(unexplained, labels, products), freedom) * QUANTA)

    return Scored(freedom, alive, t, delta, LOOSE, scores, studentised=welch)


def _products(raw: Floats, frames: bool) -> Products:
    largest = np.einsum("iiu->iu", raw).max(axis=0)
    whole = np.rint(raw / largest * LEVELS)
    return Products(whole, effective_dimensions(raw / largest, centred=not frames))


def effective_dimensions(products: Floats, *, centred: bool) -> Floats:
    """How many directions rows vary in: tr(C)^2 / tr(C^2), each estimated without bias, between 1 and 1000.

    The plain ratio of a sample of n rows is at most n, which makes units of few and of many directions incomparable:
    among 8 frames it holds p below .05 in 0.0% of units of 32 equal directions, this estimate in 5.4% (SE 0.4).

    Args:
        products: ``(rows, rows, units)`` inner products of rows.
        centred: Whether their mean was taken out (Himeno and Yamada 2014); else rows are taken to have mean zero, and
            products of different rows alone are used.
    """
    n, trace = len(products), np.einsum("iiu->u", products)
    squared, own = np.square(products).sum(axis=(0, 1)), np.square(np.einsum("iiu->iu", products)).sum(axis=0)
    if not centred:
        above, below = np.square(trace) - own, squared - own
    else:
        of_square, quartic = squared / (n - 1) ** 2, own / (n - 1)
        plain = np.square(trace / (n - 1))
        above = 2 * of_square + (n * n - 3 * n + 1) * plain - n * quartic
        below = (n - 1) * (n - 2) * of_square + plain - n * quartic
    ratio = np.where(below > 0, above / np.where(below > 0, below, 1.0), MOST_DIMENSIONS)
    return np.asarray(np.clip(ratio, 1.0, MOST_DIMENSIONS))


def _framed(products: Products) -> Unexplained:
    number, total = len(products.whole), products.squares.sum(axis=0)

    def unexplained(labels: Floats) -> tuple[Floats, Floats]:
        between = products.over(2 * labels[:, :number] - 1)
        return (number * total - between) / (number * total), np.asarray(number - 1.0)

    return unexplained


def _free(products: Products) -> Unexplained:
    rows, total = len(products.whole), products.squares.sum(axis=0)

    def unexplained(labels: Floats) -> tuple[Floats, Floats]:
        first = float(labels[0].sum())
        share = rows / (first * (rows - first))
        return 1 - products.over(labels) * share / total, np.asarray(rows - 2.0)

    return unexplained


def _unequal(products: Products) -> Unexplained:
    rows, lengths = len(products.whole), products.squares
    total = lengths.sum(axis=0)

    def unexplained(labels: Floats) -> tuple[Floats, Floats]:
        first = float(labels[0].sum())
        second, of_a = rows - first, labels @ lengths
        # Rows are centred, so the two sides' sums are opposite, and one product serves both.
        shared = products.over(labels)
        error_a = np.maximum(of_a - shared / first, 0.0) / ((first - 1) * first)
        error_b = np.maximum(total - of_a - shared / second, 0.0) / ((second - 1) * second)
        error, shift = error_a + error_b, shared * (1 / first + 1 / second) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.square(error) / (np.square(error_a) / (first - 1) + np.square(error_b) / (second - 1))
        own = np.where(error > 0, own, rows - 2.0)
        return own * error / (own * error + shift), own

    return unexplained


def _p_values(unexplained: Unexplained, labels: Floats, products: Products) -> Floats:
    """P of F(nu, nu df), the share within the sides being df / (df + F): an incomplete beta function."""
    from scipy.special import betainc

    left, freedom = unexplained(labels)
    nu = products.dimensions
    return np.asarray(betainc(nu * freedom / 2, nu / 2, np.clip(left, 0.0, 1.0)))


def _as_u(p: Floats, freedom: int) -> Floats:
    """U = t / sqrt(df + t^2) of the t that has this two-sided p."""
    at, u = _scale(freedom)
    return np.asarray(np.interp(-np.log(np.maximum(p, SMALLEST)), at, u))


@lru_cache(maxsize=16)
def _scale(freedom: int) -> tuple[Floats, Floats]:
    """-ln p on a fine grid, and the u of each: the inverse of the beta function, looked up where it is asked often."""
    from scipy.special import betaincinv

    at = np.concatenate([[0.0], np.geomspace(1e-9, -math.log(SMALLEST), 8192)])
    p = np.exp(-at)
    return at, np.sqrt(np.clip(1 - betaincinv(freedom / 2, 0.5, p), 0.0, 1.0))


def _as_t(p: Floats, freedom: int) -> Floats:
    """The t that has this two-sided p."""
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(float(freedom), np.maximum(p, SMALLEST) / 2))


def _delta(table: Floats, observed: Bools) -> Floats:
    """How far apart the sides' means are, over the root mean square distance of a row from the mean of its side.

    The distance that rows of one place would show anyway is taken out; 0 where that leaves nothing.
    """
    first, second = int(observed.sum()), int((~observed).sum())
    means = [table[side].mean(axis=0) for side in (observed, ~observed)]
    inside = sum(
        np.square(table[side] - mean).sum(axis=(0, 2)) for side, mean in zip((observed, ~observed), means, strict=True)
    ) / (len(table) - 2)
    apart = np.square(means[0] - means[1]).sum(axis=1) - inside * (1 / first + 1 / second)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.maximum(apart, 0.0) / inside))
