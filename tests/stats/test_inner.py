"""Tests from inner products alone: the same as of the rows themselves, and what centring and distances are."""

import numpy as np
import pytest

from plantain.base.errors import InputError
from plantain.stats.inner import apart, centred, coordinates, inner_test
from plantain.stats.selection import donor_test

ROWS = np.random.default_rng(7).standard_normal((8, 40)) + 3.0
ROWS[:4] += np.linspace(0.0, 1.0, 40)


def test_inner_products_give_the_test_of_the_rows():
    for clusters in (None, [0, 0, 1, 2, 3, 4, 5, 6]):
        known = donor_test(ROWS[:4], ROWS[4:], clusters=clusters)
        for products in (ROWS @ ROWS.T, centred(ROWS @ ROWS.T)):
            found = inner_test(products, 4, clusters=clusters)
            assert (found.p, found.floor_p, found.rows) == (known.p, known.floor_p, known.rows)
            assert found.statistic == pytest.approx(known.statistic, rel=1e-8)


def test_twelve_digits_are_enough_where_rows_hardly_differ():
    near = ROWS * 1e-3 + 5.0
    known = donor_test(near[:4], near[4:])
    moved = near - near.mean(axis=0)
    kept = np.vectorize(lambda value: float(f"{value:.12g}"))(moved @ moved.T)
    found = inner_test(kept, 4)
    assert found.p == known.p
    assert found.statistic == pytest.approx(known.statistic, rel=1e-6)


def test_labels_are_exchanged_within_strata_alone():
    strata = [0, 0, 1, 1, 0, 0, 1, 1]
    found = inner_test(ROWS @ ROWS.T, 4, strata=strata)
    known = donor_test(ROWS[:4], ROWS[4:], strata=strata)
    assert (found.p, found.floor_p) == (known.p, pytest.approx(1 / 18))


def test_coordinates_have_these_products_also_where_rows_depend_on_each_other():
    products = ROWS @ ROWS.T
    points = coordinates(products)
    np.testing.assert_allclose(points @ points.T, products, rtol=1e-10)
    flat = np.outer(np.arange(4.0), np.arange(4.0))
    points = coordinates(flat)
    np.testing.assert_allclose(points @ points.T, flat, atol=1e-12)
    assert not coordinates(np.zeros((3, 3))).any()


def test_groups_lose_their_own_means():
    groups = ["x", "y", "x", "y", "y", "x", "x", "y"]
    moved = ROWS.copy()
    for name in "xy":
        own = [one == name for one in groups]
        moved[own] -= moved[own].mean(axis=0)
    np.testing.assert_allclose(centred(ROWS @ ROWS.T, groups), moved @ moved.T, atol=1e-9)
    moved = ROWS - ROWS.mean(axis=0)
    np.testing.assert_allclose(centred(ROWS @ ROWS.T), moved @ moved.T, atol=1e-9)


def test_distance_of_means():
    expected = np.linalg.norm(ROWS[:3].mean(axis=0) - ROWS[3:].mean(axis=0))
    assert apart(ROWS @ ROWS.T, 3) == pytest.approx(expected)
    assert apart(centred(ROWS @ ROWS.T), 3) == pytest.approx(expected)


@pytest.mark.parametrize("products", [np.zeros((2, 3)), np.full((2, 2), np.nan), np.zeros(4)])
def test_what_is_no_table_of_products_is_refused(products):
    with pytest.raises(InputError, match="no square table"):
        coordinates(products)
