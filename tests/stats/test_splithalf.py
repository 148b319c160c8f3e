import numpy as np
import pytest
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import split_half
from plantain.stats.splithalf import draw_halves

ONE = np.zeros(100, np.int64)


def patterned(items=25, units=200, strength=0.8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(items, units)) + strength * rng.normal(size=units)


def by_hand(values, half):
    first, second = (scipy.stats.ttest_1samp(values[rows], 0).statistic for rows in (half, ~half))
    return scipy.stats.pearsonr(first, second).statistic


def test_r_is_the_correlation_of_the_halves_t_maps():
    values = patterned()
    halves = draw_halves(np.arange(25), ONE[:25], 40, seed=2)
    result = split_half(values, splits=40, seed=2, flips=20)
    np.testing.assert_allclose(result.r, [by_hand(values, half) for half in halves], rtol=1e-10)
    assert result.median == pytest.approx(np.median(result.r))
    assert result.q25 < result.median < result.q75
    assert result.spearman_brown == pytest.approx(2 * result.median / (1 + result.median))


def test_the_maps_returned_are_those_of_the_median_split():
    result = split_half(patterned(), splits=41, flips=0)
    known = np.isfinite(result.half_a_t)
    r = scipy.stats.pearsonr(result.half_a_t[known], result.half_b_t[known]).statistic
    assert r == pytest.approx(result.median, rel=1e-10)
    assert np.isnan(result.null_p)
    assert result.null_medians.size == 0


def test_the_null_repeats_the_analysis_on_flipped_items():
    from plantain.stats.flips.draw import draw_flips

    values = patterned(12, 60)
    halves = draw_halves(np.arange(12), ONE[:12], 15, seed=0)
    signs = draw_flips(12, 30, seed=0).signs()
    medians = [np.median([by_hand(row[:, None] * values, half) for half in halves]) for row in signs]
    result = split_half(values, splits=15, flips=30)
    np.testing.assert_allclose(result.null_medians, medians, atol=1e-6)
    assert result.null_p == pytest.approx(np.mean(np.array(medians) >= medians[0] - 1e-9))


def test_the_jackknife_leaves_each_item_out_in_turn():
    values = patterned(10, 80)
    halves = draw_halves(np.arange(10), ONE[:10], 12, seed=0)
    median = np.median([by_hand(values, half) for half in halves])
    left = []
    for item in range(10):
        keep = np.arange(10) != item
        left.append(np.median([by_hand(values[keep], half[keep]) for half in halves]))
    z = np.arctanh(left)
    reach = scipy.stats.t.ppf(0.975, 9) * np.sqrt(9 / 10 * np.square(z - z.mean()).sum())
    expected = np.tanh([np.arctanh(median) - reach, np.arctanh(median) + reach])
    np.testing.assert_allclose(split_half(values, splits=12, flips=0).jackknife_interval, expected, rtol=1e-8)


def test_halves_are_12_and_13_of_25():
    halves = draw_halves(np.arange(25), ONE[:25], 200, seed=0)
    assert set(halves.sum(axis=1)) == {12}
    assert len(np.unique(halves, axis=0)) == 200
    np.testing.assert_allclose(halves.mean(axis=0), 0.48, atol=0.15)


def test_strata_are_split_evenly():
    strata = np.repeat([0, 1, 2], [7, 8, 10])
    halves = draw_halves(np.arange(25), strata, 100, seed=0)
    for stratum, size in enumerate((7, 8, 10)):
        assert np.abs(halves[:, strata == stratum].sum(axis=1) - size / 2).max() <= 0.5
    assert set(halves.sum(axis=1)) == {12}


def test_blocks_stay_whole():
    groups = np.repeat(np.arange(8), 3)
    halves = draw_halves(groups, ONE[:24], 50, seed=0).reshape(50, 8, 3)
    assert (halves == halves[:, :, :1]).all()
    assert set(halves[:, :, 0].sum(axis=1)) == {4}
    assert split_half(patterned(24), blocks=groups.tolist(), splits=20, flips=50).null_p <= 0.05


def test_noise_that_units_share_is_not_reliability():
    rng = np.random.default_rng(0)
    small, medians = [], []
    for _ in range(120):
        values = 2 * rng.normal(size=(16, 2)) @ rng.normal(size=(2, 80)) + rng.normal(size=(16, 80))
        result = split_half(values, splits=11, flips=60)
        small.append(result.null_p)
        medians.append(result.median)
    assert np.std(medians) > 0.1
    assert np.mean(np.array(small) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_a_pattern_that_repeats_is_found():
    result = split_half(patterned(strength=2.0), flips=200)
    low, high = result.jackknife_interval
    assert result.null_p == 1 / 200
    assert low < result.median < high
    assert result.spearman_brown > 0.9


def test_units_without_variance_are_left_out_and_counted():
    values = patterned()
    plain = split_half(values, splits=10, flips=20)
    odd = np.concatenate([values, np.zeros((25, 1)), np.full((25, 1), 2.0)], axis=1)
    result = split_half(odd, splits=10, flips=20)
    np.testing.assert_allclose(result.r, plain.r, rtol=1e-12)
    np.testing.assert_allclose(result.null_medians, plain.null_medians, atol=1e-9)
    assert (result.left_out == 1).all()
    assert np.isnan(result.half_a_t[-2:]).all()


def test_spearman_brown_is_not_given_for_a_negative_r():
    rng = np.random.default_rng(5)
    results = [split_half(rng.normal(size=(8, 40)), splits=5, flips=0) for _ in range(20)]
    assert any(r.median < 0 for r in results)
    assert all(np.isnan(r.spearman_brown) for r in results if r.median <= 0)


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        (3, {}, "fewer than 2 items"),
        (8, {"blocks": [1, 1, 1, 1, 1, 1, 1, 2]}, "fewer than 2 items"),
        (8, {"blocks": [1, 1] * 4, "strata": [1, 2, 2, 2] * 2}, "two strata"),
        (8, {"splits": 0}, "0 splits"),
    ],
)
def test_refuses_wrong_input(items, options, message):
    with pytest.raises(InputError, match=message):
        split_half(patterned(items, 5), **options)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [np.zeros((8, 4)), patterned(8, 1)])
def test_without_two_units_to_compare_nothing_is_claimed(values):
    result = split_half(values, flips=20)
    assert np.isnan([result.median, result.null_p, result.spearman_brown, *result.jackknife_interval]).all()
