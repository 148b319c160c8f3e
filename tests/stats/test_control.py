import numpy as np
import pytest
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import control_test, template_test
from plantain.stats.simulated.attacks import control


def test_is_the_test_of_wordings_on_differences():
    rng = np.random.default_rng(0)
    target, other = rng.normal(size=(2, 5, 30))
    target[:, :6] += 4
    found, test = control_test(target, other), template_test(target, other)
    assert (found.simes_p, found.lower_bound) == (test.simes_p, test.lower_bound)
    assert (found.floor_p, found.rows) == (1 / 126, (5, 5))
    p = scipy.stats.ttest_ind(target, other).pvalue
    np.testing.assert_allclose(found.calibration.p, p, rtol=1e-5)


def test_words_that_do_the_same_to_both_pass_at_the_level_and_a_concept_is_found():
    rng = np.random.default_rng(1)
    words = np.mean([control(rng, 60, 5, 0.0, word=9.0) for _ in range(200)])
    assert words <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean([control(rng, 60, 5, 5.0, word=9.0) for _ in range(40)]) > 0.85


def test_frames_of_unequal_number_are_studentised():
    rng = np.random.default_rng(2)
    target, other = rng.normal(size=(7, 20)), rng.normal(size=(4, 20))
    assert control_test(target, other).simes_p == template_test(target, other, studentised=True).simes_p


def test_refuses_too_few():
    with pytest.raises(InputError, match="3 frames are too few"):
        control_test(np.zeros((3, 2)), np.zeros((5, 2)))
