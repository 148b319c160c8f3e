import numpy as np
import pytest
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import ResolutionWarning, sign_flip_test
from plantain.stats.flips.draw import draw_flips
from plantain.stats.multiplicity import quantile_ranks


def noise(items=16, units=30, seed=0):
    return np.random.default_rng(seed).normal(size=(items, units))


def test_a_dead_unit_changes_nothing_for_the_others():
    values = noise()
    alone = sign_flip_test(values)
    with_dead = sign_flip_test(np.insert(values, 7, 0.0, axis=1))
    assert not with_dead.alive[7]
    for name in ("t", "p", "p_fwer", "q_bh", "q_by", "d_z", "g_z", "g_low"):
        got = getattr(with_dead, name)
        assert np.isnan(got[7]), name
        np.testing.assert_array_equal(np.delete(got, 7), getattr(alone, name), err_msg=name)
    np.testing.assert_array_equal(with_dead.null_counts, alone.null_counts)
    assert with_dead.max_abs_t == alone.max_abs_t


def test_only_dead_units_are_no_error():
    result = sign_flip_test(np.zeros((6, 3)))
    assert not result.alive.any()
    assert np.isnan(result.p).all()
    assert result.observed.tolist() == [0, 0]


def test_a_constant_difference_is_alive():
    values = noise()
    values[:, 4] = 0.1
    result = sign_flip_test(values)
    assert result.alive[4]
    assert result.degenerate[4]
    assert result.degenerate.sum() == 1
    assert np.isposinf(result.t[4])
    assert result.p[4] == 1 / result.flips
    assert result.observed[1] >= 1
    assert np.isfinite(result.max_abs_t)
    assert np.isnan(result.g_low[4])


def test_the_identity_is_row_0_and_only_in_p():
    values = noise() + 2.0
    result = sign_flip_test(values, flips=500)
    np.testing.assert_array_equal(result.null_counts[0], result.observed)
    others = np.sort(result.null_counts[1:], axis=0)
    np.testing.assert_allclose(result.null_mean, others.mean(axis=0))
    np.testing.assert_array_equal(result.null_p99, others[int(np.ceil(0.99 * 499)) - 1])
    assert (result.count_p == 1 / 500).all()
    assert (result.p >= 1 / 500).all()


def test_flips_are_unique_up_to_sign():
    flips = draw_flips(15, 10_000)
    signs = flips.signs()
    assert len(flips) == 10_000
    assert not flips.exact
    assert (signs[0] == 1).all()
    folded = signs * signs[:, :1]
    assert len(np.unique(folded, axis=0)) == 10_000


def test_many_blocks_are_drawn_as_well():
    signs = draw_flips(150, 300).signs()
    assert signs.shape == (300, 150)
    assert len(np.unique(signs, axis=0)) == 300
    assert np.abs(signs[1:].mean()) < 0.02


def test_the_published_protocol_draws_with_replacement():
    result = sign_flip_test(noise(4), flips=201, unique=False, thresholds=(1.0,), level=1.0)
    assert result.flips == 201
    assert not result.exact
    signs = draw_flips(4, 201, unique=False).signs()
    assert len(np.unique(signs, axis=0)) == 16


@pytest.mark.parametrize(("items", "flips", "exact"), [(14, 8_192, True), (15, 8_192, False), (14, 8_191, False)])
def test_enumerates_when_the_space_is_no_larger_than_the_flips(items, flips, exact):
    result = sign_flip_test(noise(items, 3), flips=flips)
    assert result.exact is exact
    assert result.flips == flips
    assert result.flip_space == 2 ** (items - 1)


def test_one_sided_p_values_are_not_doubled():
    values = noise(12, 40)
    greater, less = (sign_flip_test(values, alternative=side, flips="exact") for side in ("greater", "less"))
    assert greater.flips == 2**12
    assert greater.smallest_p == 2**-12
    parametric = scipy.stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert np.abs(greater.p - parametric).mean() < 0.01
    np.testing.assert_allclose(greater.p + less.p, 1 + 2**-12, atol=1e-12)


def test_blocks_flip_as_a_whole():
    values = noise(12, 20)
    labels = np.repeat(["a", "b", "c", "d", "e", "f"], 2)
    result = sign_flip_test(values, blocks=labels, flips="exact", thresholds=(2.0,))
    sums = values.reshape(6, 2, 20).sum(axis=1)
    codes = (np.arange(32)[:, None] >> np.arange(6)) & 1
    scores = np.abs((1 - 2 * codes) @ sums)
    np.testing.assert_array_equal(result.p, (scores >= scores[0] - 1e-12).mean(axis=0))
    assert (result.items, result.blocks, result.flip_space, result.smallest_p) == (12, 6, 32, 1 / 32)


def test_with_blocks_effect_sizes_are_of_block_means():
    values = noise(9, 5)
    labels = [1, 1, 1, 1, 2, 2, 3, 4, 5]
    result = sign_flip_test(values, blocks=labels, level=1.0)
    means = np.stack([values[np.array(labels) == label].mean(axis=0) for label in range(1, 6)])
    np.testing.assert_allclose(result.d_z, means.mean(axis=0) / means.std(axis=0, ddof=1))
    np.testing.assert_allclose(result.t, scipy.stats.ttest_1samp(values, 0).statistic)


def test_warns_where_the_smallest_p_exceeds_the_level():
    with pytest.warns(ResolutionWarning, match=r"4 independent signs .* 0\.125, above the level 0\.05"):
        result = sign_flip_test(noise(4))
    assert len(result.warnings) == 1
    assert sign_flip_test(noise(6)).warnings == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_what_is_not_finite_by_name(value):
    values = noise(3, 2)
    values[1, 1] = value
    with pytest.raises(InputError, match=r"'cat' \(number 1\), unit 'h7' \(number 1\)"):
        sign_flip_test(values, items=["dog", "cat", "bee"], units=["h6", "h7"])


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (noise(1, 3), {}, "at least 2 items"),
        (np.zeros(4), {}, "1 axes"),
        (np.zeros((4, 0)), {}, "no unit"),
        (noise(4, 3), {"blocks": [1, 2]}, "2 block labels for 4 rows"),
        (noise(4, 3), {"flips": 0}, "no room for the identity"),
        (noise(4, 3), {"thresholds": (-1.0,)}, "positive"),
        (noise(4, 3), {"alternative": "both"}, "no alternative"),
        (noise(4, 3), {"seed": -1, "flips": 2}, "negative"),
        (noise(60, 1), {"flips": "exact"}, "too many to enumerate"),
        (noise(60, 1), {"flips": 10**8}, "MiB"),
    ],
)
def test_refuses_wrong_input(values, options, message):
    with pytest.raises(InputError, match=message):
        sign_flip_test(values, **options)


def test_wrong_input_is_also_what_python_raises_for_a_bad_argument():
    with pytest.raises(ValueError, match="at least 2 items") as caught:
        sign_flip_test([[1.0, 2.0]])
    assert isinstance(caught.value, InputError)


def test_count_bound_is_observed_minus_a_null_quantile():
    values = noise(20, 200)
    values[:, :40] += 1.5
    result = sign_flip_test(values, flips=1_000, thresholds=(3.0, 5.0))
    ranked = np.sort(result.null_counts, axis=0)
    expected = np.maximum(result.observed - ranked[974], 0)  # two thresholds share 5%: the 975th of 1,000
    np.testing.assert_array_equal(result.count_lower_bound(0.95), expected)
    assert 20 < expected[0] <= 40


def test_p99_interval_ranks_are_binomial():
    low, high = quantile_ranks(9_999, 0.99, 0.95)
    covered = scipy.stats.binom.cdf(high - 1, 9_999, 0.99) - scipy.stats.binom.cdf(low - 1, 9_999, 0.99)
    assert 0.95 <= covered < 0.96
    assert quantile_ranks(200, 0.99, 0.95)[1] == 201


def test_too_few_flips_leave_the_p99_interval_open():
    values = noise(20, 50)
    assert np.isposinf(sign_flip_test(values, flips=201, unique=False, thresholds=(2.0,)).null_p99_interval[0, 1])
    exact = sign_flip_test(noise(12, 50), flips="exact", thresholds=(2.0,))
    assert (exact.null_p99_interval == exact.null_p99[:, None]).all()


def test_beyond_a_million_flips_a_histogram_stands_for_the_counts():
    values = noise(22, 12)
    values[:, :3] += 1.0
    result = sign_flip_test(values, flips="exact", thresholds=(2.0, 3.0))
    assert result.flips == 2**21
    assert result.exact
    assert result.null_counts is None
    assert (result.count_histogram.sum(axis=1) == 2**21).all()
    drawn = sign_flip_test(values, flips=50_000, thresholds=(2.0, 3.0))
    np.testing.assert_array_equal(result.observed, drawn.observed)
    np.testing.assert_allclose(result.p, drawn.p, atol=4 * 0.5 / np.sqrt(50_000))
    np.testing.assert_allclose(result.p_fwer, drawn.p_fwer, atol=4 * 0.5 / np.sqrt(50_000))
    np.testing.assert_allclose(result.null_mean, drawn.null_mean, rtol=0.05)
    np.testing.assert_array_equal(result.null_p99, drawn.null_p99)
    np.testing.assert_array_equal(result.count_lower_bound(), drawn.count_lower_bound())
