import numpy as np
import scipy.stats

from plantain.stats.multiplicity import holm, q_values


def test_q_values_agree_with_scipy():
    p = np.random.default_rng(0).uniform(size=300) ** 2
    np.testing.assert_allclose(q_values(p), scipy.stats.false_discovery_control(p, method="bh"), rtol=1e-12)
    np.testing.assert_allclose(
        q_values(p, dependent=True), scipy.stats.false_discovery_control(p, method="by"), rtol=1e-12
    )


def test_q_values_leave_out_what_was_not_tested():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    adjusted = q_values(p)
    assert np.isnan(adjusted[1])
    np.testing.assert_allclose(adjusted[[0, 2, 3]], scipy.stats.false_discovery_control(p[[0, 2, 3]]))


def test_holm_rejects_what_the_steps_of_his_procedure_reject():
    rng = np.random.default_rng(0)
    for p in ([0.01, 0.04, 0.03, 0.005], *rng.uniform(0, 0.2, (20, 6)), [0.5, 0.5]):
        rejected = set()
        for place, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] > 0.05 / (len(p) - place):
                break
            rejected.add(int(index))
        assert set(np.flatnonzero(holm(np.array(p)) <= 0.05 + 1e-12).tolist()) == rejected
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
