"""Tests that know distances alone, from inner products: what is kept of outputs too large to keep."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.selection import LabelTest, donor_test
from plantain.stats.signflip import Labels
from plantain.stats.validate import Floats

LEAST: Final = 1e-12
"""Share of the largest squared length below which twelve digits of an inner product hold rounding alone."""


def inner_test(
    products: ArrayLike,
    first: int,
    *,
    clusters: Labels | None = None,
    strata: Labels | None = None,
    permutations: int = 10_000,
    seed: int = 0,
) -> LabelTest:
    """`donor_test` of rows whose inner products are known: the same statistic, since it knows distances alone.

    Args:
        products: ``(rows, rows)`` inner products; whether a mean was taken out does not count.
        first: How many rows are of side a; they come first.
        clusters: Labels of all rows.
        strata: Labels of all rows.
        permutations: Relabellings wanted, the observed one counted.
        seed: Seed of drawn relabellings.

    Raises:
        InputError: See `donor_test`; also products of another shape, or that are not finite.
    """
    rows = coordinates(products)
    options = {"permutations": permutations, "seed": seed}
    return donor_test(rows[:first], rows[first:], clusters=clusters, strata=strata, **options)


def coordinates(products: ArrayLike) -> Floats:
    """Points ``(rows, rows)`` that have these inner products.

    By pivoted Cholesky decomposition in plain steps, so that no library's number of threads changes a bit.

    Raises:
        InputError: they are no square table of finite numbers.
    """
    left = np.array(products, dtype=np.float64)
    if left.ndim != 2 or left.shape[0] != left.shape[1] or not np.isfinite(left).all():
        raise InputError(f"Inner products of shape {left.shape} are no square table of numbers.", field="products")
    found, least = np.zeros_like(left), LEAST * left.diagonal().max(initial=0.0)
    for step in range(len(left)):
        pivot = int(left.diagonal().argmax())
        length = float(left[pivot, pivot])
        if length <= least:
            break
        found[:, step] = left[:, pivot] / np.sqrt(length)
        left = left - np.outer(found[:, step], found[:, step])
    return found


def centred(products: ArrayLike, groups: Labels | None = None) -> Floats:
    """Inner products of rows whose mean, or the mean of whose group, was taken out.

    Args:
        products: ``(rows, rows)``.
        groups: A label a row; None: one group.
    """
    known = np.asarray(products, dtype=np.float64)
    labels = np.zeros(len(known), np.int64) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    same = labels[:, None] == labels[None, :]
    out = np.eye(len(known)) - same / same.sum(axis=1)
    return np.asarray(out @ known @ out.T)


def apart(products: ArrayLike, first: int) -> float:
    """Distance between the means of the first rows and of the others."""
    known = np.asarray(products, dtype=np.float64)
    weights = np.full(len(known), -1 / (len(known) - first))
    weights[:first] = 1 / first
    return float(np.sqrt(max(0.0, float(weights @ known @ weights))))
