import numpy as np
import pytest
import scipy.stats

from plantain.stats import largest_pivot, template_test


def test_is_simes_p_by_hand():
    t = np.array([0.2, -6.0, 2.5, np.nan, 1.0])
    p = np.sort(scipy.stats.t.sf(np.abs(t[~np.isnan(t)]), 10) * 2)
    assert largest_pivot(t, 10) == pytest.approx(-np.log10((p * 4 / np.arange(1, 5)).min()))
    assert largest_pivot(t[::-1], 10) == largest_pivot(t, 10)


def test_few_strong_units_and_many_weaker_ones_both_stand_out():
    t = scipy.stats.t.ppf((np.arange(600) + 0.5) / 600, 10)
    few, many = t.copy(), t.copy()
    few[300:303], many[300:360] = 17.0, 4.3
    assert min(largest_pivot(few, 10), largest_pivot(many, 10)) > largest_pivot(t, 10) + 1


def test_ends_can_be_written_down():
    assert largest_pivot(np.array([np.inf, 1.0]), 10) == 300.0
    assert np.isnan(largest_pivot(np.array([np.nan]), 10))


def test_is_the_scale_of_the_bound():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 6, 40))
    test = template_test(first, second)
    assert 10**-test.largest == pytest.approx(test.calibration.pivots[0], rel=1e-6)
