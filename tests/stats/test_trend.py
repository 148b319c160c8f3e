import numpy as np
import pytest
from scipy import stats

from plantain.base.errors import InputError
from plantain.stats.trend import _counts, rank_trend

ITEMS = 30
RANK = np.arange(ITEMS, dtype=float)


def ols_t(rank, nuisance, units):
    design = np.column_stack([np.ones(len(rank)), nuisance, rank])
    beta = np.linalg.lstsq(design, units, rcond=None)[0]
    freedom = len(rank) - design.shape[1]
    variance = np.square(units - design @ beta).sum(axis=0) / freedom
    return beta[-1] / np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1])


def test_t_is_that_of_ordinary_least_squares():
    rng = np.random.default_rng(0)
    nuisance = rng.normal(size=ITEMS) + 0.05 * RANK
    units = rng.normal(size=(ITEMS, 40)) + 0.1 * nuisance[:, None]
    found = rank_trend(units, RANK, nuisance, permutations=50)
    np.testing.assert_allclose(found.t, ols_t(RANK, nuisance, units), rtol=1e-10)
    alone = rank_trend(units, RANK, permutations=50)
    np.testing.assert_allclose(
        alone.t, [stats.linregress(RANK, unit).slope / stats.linregress(RANK, unit).stderr for unit in units.T]
    )


def test_permutations_are_those_of_freedman_and_lane():
    rng = np.random.default_rng(1)
    nuisance = rng.normal(size=ITEMS)
    units = rng.normal(size=(ITEMS, 200)) * 3
    found = rank_trend(units, RANK, nuisance, permutations=400, threshold=2.0)
    base = np.column_stack([np.ones(ITEMS), nuisance])
    fitted = base @ np.linalg.lstsq(base, units, rcond=None)[0]
    counts = [
        (np.abs(ols_t(RANK, nuisance, fitted + (units - fitted)[rng.permutation(ITEMS)])) > 2).sum() for _ in range(400)
    ]
    brute = np.mean(np.array([found.count, *counts]) >= found.count)
    assert abs(found.count_p - brute) < 4 * np.sqrt(2 * 0.25 / 400)


def test_every_permutation_is_freedman_and_lanes_to_the_digit():
    rng = np.random.default_rng(3)
    nuisance = rng.normal(size=8)
    units = rng.normal(size=(8, 500)) + 2 * nuisance[:, None]
    orders = np.array([rng.permutation(8) for _ in range(50)])
    full = np.column_stack([np.ones(8), nuisance])
    fitted = full @ np.linalg.lstsq(full, units, rcond=None)[0]
    rank = np.arange(8.0)
    expected = [(np.abs(ols_t(rank, nuisance, fitted + (units - fitted)[order])) > 1.5).sum() for order in orders]
    np.testing.assert_array_equal(np.concatenate(list(_counts(units, rank, full, orders, 1.5))), expected)


def test_a_trend_is_found_and_its_absence_too():
    rng = np.random.default_rng(2)
    units = rng.normal(size=(ITEMS, 300))
    nothing = rank_trend(units, RANK, permutations=500)
    units[:, :60] += 0.15 * RANK[:, None]
    something = rank_trend(units, RANK, permutations=500)
    assert nothing.count_p > 0.05
    assert something.count >= 50
    assert something.count_p == pytest.approx(1 / 500)


def test_length_alone_is_no_trend():
    """Names grow longer with rank; what follows the length alone must not count as a trend."""
    passed = {True: 0, False: 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tokens = 2 + np.floor(RANK / 8) + rng.integers(0, 3, ITEMS)
        units = 0.8 * tokens[:, None] + rng.normal(size=(ITEMS, 30))
        passed[True] += rank_trend(units, RANK, tokens, permutations=200).count_p <= 0.05
        passed[False] += rank_trend(units, RANK, permutations=200).count_p <= 0.05
    assert passed[False] == 40
    assert passed[True] <= 6


def test_the_size_of_the_test():
    passed = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        units = rng.normal(size=(12, 20)) + rng.normal(size=(12, 1))
        passed += rank_trend(units, np.arange(12), permutations=100, threshold=2.0).count_p <= 0.05
    assert stats.binomtest(passed, 300, 0.05, alternative="greater").pvalue > 0.001


def test_rank_and_nuisance_that_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    units = rng.normal(size=(ITEMS, 5))
    found = rank_trend(units, RANK, 3 * RANK + 0.01 * rng.normal(size=ITEMS), permutations=20)
    assert not found.identifiable
    assert rank_trend(units, RANK, rng.normal(size=ITEMS), permutations=20).identifiable


def test_a_constant_nuisance_is_none():
    units = np.random.default_rng(0).normal(size=(ITEMS, 5))
    with_one = rank_trend(units, RANK, np.full(ITEMS, 4.0), permutations=50)
    np.testing.assert_array_equal(with_one.t, rank_trend(units, RANK, permutations=50).t)


@pytest.mark.parametrize("rank", [np.ones(ITEMS), np.arange(4.0), np.full(ITEMS, np.nan)])
def test_a_rank_that_is_none_is_refused(rank):
    with pytest.raises(InputError):
        rank_trend(np.ones((ITEMS, 2)) + RANK[:, None], rank)
