import numpy as np
import pytest
import scipy.stats

from plantain.stats import hedges_factor, sign_flip_test, standardised_interval


def test_effects_follow_their_formulas():
    values = np.random.default_rng(0).normal(0.3, 1.0, (12, 40))
    result = sign_flip_test(values, flips=50)
    d = values.mean(axis=0) / values.std(axis=0, ddof=1)
    np.testing.assert_allclose(result.d_z, d, rtol=1e-12)
    np.testing.assert_allclose(result.g_z, d * (1 - 3 / (4 * 11 - 1)), rtol=2e-3)
    np.testing.assert_allclose(result.mean_difference, values.mean(axis=0), rtol=1e-12)
    assert hedges_factor(29) == pytest.approx(0.9739, abs=1e-4)


@pytest.mark.parametrize("d", [-2.0, -0.1, 0.0, 0.4, 3.0])
def test_interval_inverts_the_noncentral_t(d):
    ((low, high),) = standardised_interval(np.array([d]), 20)
    t = d * np.sqrt(20)
    assert scipy.stats.nct.sf(t, 19, low * np.sqrt(20)) == pytest.approx(0.025, abs=1e-5)
    assert scipy.stats.nct.cdf(t, 19, high * np.sqrt(20)) == pytest.approx(0.025, abs=1e-5)
