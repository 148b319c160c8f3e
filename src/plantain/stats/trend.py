"""Does a difference grow along an ordering of the items, or with the difference in length?

Freedman and Lane's permutation test with a nuisance. Where one wording is longer than the other by the same number of
tokens for every item, length and effect are the same column of the design. A least-squares routine still returns an
intercept there, by sharing the effect between two equal columns; that number means nothing, and none is made up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.flips.draw import random_stream
from plantain.stats.validate import Floats, Ints, as_differences

LARGEST_INFLATION = 9.0
"""Variance inflation beyond which rank and nuisance cannot be told apart with so few items."""
_CHUNK = 500


@dataclass(frozen=True)
class Trend:
    """Slope of every unit's difference on an item's rank, the nuisance held constant."""

    t: Floats
    """``(units,)``; nan where the difference does not vary."""
    threshold: float
    count: int
    """Units with |t| over the threshold."""
    count_p: float
    """Share of permutations of items, the identity counted, with at least as many."""
    count_unadjusted: int
    """The same count without the nuisance: what a reader would see who ignores it."""
    inflation: float
    """Variance inflation of the rank by the nuisance: 1 / (1 - r^2)."""
    permutations: int
    items: int

    @property
    def identifiable(self) -> bool:
        """Whether rank and nuisance can be told apart."""
        return self.inflation <= LARGEST_INFLATION


def rank_trend(
    differences: ArrayLike,
    rank: ArrayLike,
    nuisance: ArrayLike | None = None,
    *,
    permutations: int = 10_000,
    threshold: float = 3.0,
    seed: int = 0,
) -> Trend:
    """Test whether differences follow the rank of the items beyond what a nuisance explains.

    Freedman and Lane 1983: residuals of the model without the rank are permuted over items, which is exact without a
    nuisance and approximate with one.

    Args:
        differences: ``(items, units)``.
        rank: ``(items,)``.
        nuisance: ``(items,)``, such as the token count of the name of each item; None or a constant one for none.
        permutations: Permutations of items, the identity counted.
        threshold: Preset threshold on |t|.
        seed: Seed of the permutations.

    Raises:
        InputError: Values that are not finite, a rank that does not vary, or too few items for a slope.
    """
    table = as_differences(differences)
    order = _column(rank, len(table), "rank")
    if not np.ptp(order) > 0:
        raise InputError("The rank is the same for all items.", fix="Give items different ranks.")
    base = np.ones((len(table), 1))
    full = _nuisance(nuisance, base)
    counts = np.concatenate(list(_counts(table, order, full, _permutations(len(table), permutations, seed), threshold)))
    return Trend(
        t=slopes(table, order, full),
        threshold=threshold,
        count=int(counts[0]),
        count_p=float(np.count_nonzero(counts >= counts[0]) / len(counts)),
        count_unadjusted=int(np.count_nonzero(np.abs(slopes(table, order, base)) > threshold)),
        inflation=_inflation(order - order.mean(), full),
        permutations=len(counts),
        items=len(table),
    )


def _nuisance(nuisance: ArrayLike | None, ones: Floats) -> Floats:
    """The intercept and the nuisance that varies, ``(items, columns)``."""
    other = None if nuisance is None else _column(nuisance, len(ones), "nuisance")
    full = ones if other is None or not np.ptp(other) > 0 else np.column_stack([ones, other])
    if len(ones) <= full.shape[1] + 1:
        raise InputError(f"{len(ones)} items are too few for a slope.", fix="Add items to the probe.")
    return full


def slopes(table: Floats, rank: Floats, nuisance: Floats) -> Floats:
    """T of the rank's slope for every unit, ``(units,)``.

    Args:
        table: ``(items, units)``.
        rank: ``(items,)``.
        nuisance: ``(items, columns)``, the intercept among them.
    """
    x = _residuals(rank[:, None], nuisance)[:, 0]
    y = _residuals(table, nuisance)
    return _t(x @ y, np.square(y).sum(axis=0), float(x @ x), len(table) - nuisance.shape[1] - 1)


def _counts(table: Floats, rank: Floats, nuisance: Floats, orders: Ints, threshold: float) -> Iterator[Ints]:
    """Units over the threshold for each permutation, the identity first."""
    basis = np.linalg.qr(nuisance)[0]
    x, y = _residuals(rank[:, None], nuisance)[:, 0], _residuals(table, nuisance)
    total, size, freedom = np.square(y).sum(axis=0), float(x @ x), len(table) - nuisance.shape[1] - 1
    for start in range(0, len(orders), _CHUNK):
        back = np.argsort(orders[start : start + _CHUNK], axis=1)
        explained = sum(np.square(column[back] @ y) for column in basis.T)
        t = _t(x[back] @ y, total - explained, size, freedom)
        yield np.count_nonzero(np.abs(t) > threshold, axis=1).astype(np.int64)


def _t(product: Floats, total: Floats, size: float, freedom: int) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.maximum(total - np.square(product) / size, 0.0) / freedom
        return np.asarray(np.where(total > 0, product / np.sqrt(error * size), np.nan))


def _permutations(items: int, wanted: int, seed: int) -> Ints:
    keys = random_stream(seed, 3).random_raw(items * (wanted - 1)).reshape(wanted - 1, items)
    return np.concatenate([np.arange(items)[None], np.argsort(keys, axis=1, kind="stable")]).astype(np.int64)


def _residuals(values: Floats, nuisance: Floats) -> Floats:
    basis = np.linalg.qr(nuisance)[0]
    return np.asarray(values - basis @ (basis.T @ values))


def _inflation(centred: Floats, nuisance: Floats) -> float:
    total = float(centred @ centred)
    remaining = float(np.square(_residuals(centred[:, None], nuisance)).sum())
    return total / remaining if remaining > 1e-12 * total else float("inf")


def _column(values: ArrayLike, items: int, what: str) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (items,) or not np.isfinite(column).all():
        raise InputError(f"The {what} has shape {column.shape} for {items} items.", fix="Give one number an item.")
    return column


LARGEST_LEVERAGE: Final = 9.0
"""n mean^2 / sum (x - mean)^2 of the length difference; beyond it an intercept extrapolates too far."""
NOT_IDENTIFIABLE: Final = "not identifiable"


@dataclass(frozen=True)
class LengthAdjustment:
    """Units over a threshold before and after the difference in length is taken out."""

    fewest: float
    """Smallest difference in tokens over the items, side a minus side b."""
    most: float
    count: int
    """Units with |t| over the threshold, unadjusted."""
    adjusted: int | None
    """None where the adjustment is not identifiable."""

    @property
    def said(self) -> str:
        """The adjusted count in words."""
        return NOT_IDENTIFIABLE if self.adjusted is None else str(self.adjusted)


def adjust_for_length(differences: ArrayLike, tokens: ArrayLike, *, threshold: float = 3.0) -> LengthAdjustment:
    """Count units whose mean difference remains when the difference in tokens is held at 0.

    Args:
        differences: ``(items, units)``.
        tokens: ``(items,)`` tokens of side a minus those of side b.
        threshold: Preset threshold on |t|.

    Raises:
        InputError: Values that are not finite, or lengths that do not fit the items.
    """
    table, length = as_differences(differences), np.asarray(tokens, dtype=np.float64)
    if length.shape != (len(table),):
        raise InputError(f"There are {length.size} lengths for {len(table)} items.", fix="Give one number an item.")
    ones = np.ones(len(table))
    plain = int(np.count_nonzero(np.abs(slopes(table, ones, np.zeros((len(table), 0)))) > threshold))
    adjusted = None
    if not length.any():
        adjusted = plain
    elif _identifiable(length) and len(table) > 2:
        adjusted = int(np.count_nonzero(np.abs(slopes(table, ones, length[:, None])) > threshold))
    return LengthAdjustment(float(length.min()), float(length.max()), plain, adjusted)


def _identifiable(length: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    spread = float(np.square(length - length.mean()).sum())
    return spread > 0 and len(length) * float(length.mean()) ** 2 <= LARGEST_LEVERAGE * spread
