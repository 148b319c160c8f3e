import itertools

import numpy as np
import pytest
import scipy.stats

from plantain.stats import sign_flip_test


def differences(items, units, seed=0, shift=0.3):
    return np.random.default_rng(seed).normal(shift, 1.0, (items, units))


def all_signs(items):
    return np.array(list(itertools.product((1.0, -1.0), repeat=items)))


def flipped_t(values, signs):
    """Student's t of every unit under every flip, ``(flips, units)``, by the textbook formula."""
    flipped = signs[:, :, None] * values
    return flipped.mean(axis=1) / (flipped.std(axis=1, ddof=1) / np.sqrt(values.shape[0]))


@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
def test_t_agrees_with_scipy(offset):
    values = differences(30, 200) * 1e-4 + offset
    np.testing.assert_allclose(
        sign_flip_test(values, flips=20).t, scipy.stats.ttest_1samp(values, 0).statistic, rtol=1e-10
    )


def test_t_agrees_with_mne_and_nilearn():
    stats = pytest.importorskip("mne.stats", reason="peers are the bench extra")
    nilearn = pytest.importorskip("nilearn.mass_univariate", reason="peers are the bench extra")
    values = differences(25, 50)
    ours = sign_flip_test(values, flips=20).t
    np.testing.assert_allclose(ours, stats.permutation_t_test(values, 10, seed=0, verbose="error")[0], rtol=1e-10)
    theirs = nilearn.permuted_ols(np.ones((25, 1)), values, model_intercept=False, n_perm=2, random_state=0)
    np.testing.assert_allclose(ours, theirs["t"][0], rtol=1e-10)


def test_p_fwer_agrees_with_mne_when_exact():
    # MNE's is single-step, so it agrees for the unit with the largest |t| and is never smaller elsewhere.
    stats = pytest.importorskip("mne.stats", reason="peers are the bench extra")
    values = differences(9, 12, seed=3)
    ours = sign_flip_test(values, flips="exact", level=1.0)
    theirs = stats.permutation_t_test(values, 100_000, seed=0, verbose="error")[1]
    top = np.argmax(np.abs(ours.t))
    assert ours.p_fwer[top] == pytest.approx(theirs[top], abs=1e-12)
    assert (ours.p_fwer <= theirs + 1e-12).all()


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_p_agrees_exactly_with_scipy(alternative):
    values = differences(8, 20, seed=1)
    ours = sign_flip_test(values, flips="exact", alternative=alternative)
    theirs = scipy.stats.permutation_test(
        (values,),
        lambda x, axis: scipy.stats.ttest_1samp(x, 0, axis=axis).statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    )
    np.testing.assert_allclose(ours.p, theirs.pvalue, rtol=1e-12)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_everything_agrees_with_brute_force(alternative):
    values = differences(9, 15, seed=2)
    t = flipped_t(values, all_signs(9))
    score = {"two-sided": np.abs(t), "greater": t, "less": -t}[alternative]
    result = sign_flip_test(values, flips="exact", thresholds=(1.5, 2.5), alternative=alternative)
    np.testing.assert_array_equal(result.p, (score >= score[0] - 1e-9).mean(axis=0))
    counts = np.stack([(score > c).sum(axis=1) for c in (1.5, 2.5)], axis=1)
    np.testing.assert_array_equal(result.observed, counts[0])
    np.testing.assert_array_equal(result.count_p, (counts >= counts[0]).mean(axis=0))
    order = np.argsort(-score[0])
    steps = [(score[:, order[k:]].max(axis=1) >= score[0, order[k]] - 1e-9).mean() for k in range(15)]
    np.testing.assert_array_equal(result.p_fwer[order], np.maximum.accumulate(steps))


def test_drawn_p_is_within_four_standard_errors_of_the_exact_one():
    values = differences(14, 60, seed=4)
    exact = sign_flip_test(values, flips="exact")
    drawn = sign_flip_test(values, flips=4_000, seed=11)
    assert exact.exact
    assert not drawn.exact
    error = np.sqrt(exact.p * (1 - exact.p) / 4_000)
    assert (np.abs(drawn.p - exact.p) <= 4 * error + 1 / 4_000).all()


def test_mne_and_scipy_find_the_same_drawn_p_values():
    values = differences(20, 5, seed=6)
    ours = sign_flip_test(values, flips=10_000).p
    theirs = scipy.stats.permutation_test(
        (values,),
        lambda x, axis: np.abs(x.mean(axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        alternative="greater",
        rng=np.random.default_rng(0),
    ).pvalue
    assert (np.abs(ours - theirs) <= 4 * np.sqrt(2 * theirs * (1 - theirs) / 10_000) + 2e-4).all()


def test_skewness_agrees_with_scipy():
    values = differences(20, 30) ** 3
    symmetry = sign_flip_test(values, flips=20).symmetry
    theirs = scipy.stats.skewtest(values)
    np.testing.assert_allclose(symmetry.z, theirs.statistic, rtol=1e-9)
    np.testing.assert_array_equal(symmetry.skewed, theirs.pvalue < 0.05)
    assert symmetry.share == symmetry.skewed.mean() > 0.5
