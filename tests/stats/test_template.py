import itertools

import numpy as np
import pytest
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import concept_information, hedges_factor, null_concept_information, template_test

STRATA = [0, 0, 1, 1, 2, 2] * 2


def templates(a=6, b=6, units=50, shift=0.0, planted=0, seed=0):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(a, units)), rng.normal(size=(b, units))
    first[:, :planted] += shift
    return first, second


def labellings(a, b, strata=None):
    """Every choice of side a that keeps the sizes within strata."""
    strata = np.zeros(a + b, int) if strata is None else np.array(strata)
    own = [np.count_nonzero(strata[:a] == s) for s in np.unique(strata)]
    for chosen in itertools.combinations(range(a + b), a):
        if [np.count_nonzero(strata[list(chosen)] == s) for s in np.unique(strata)] == own:
            yield list(chosen)


def brute_force(first, second, strata=None):
    table = np.concatenate([first, second])
    sides = [(c, [i for i in range(len(table)) if i not in c]) for c in labellings(len(first), len(second), strata)]
    return np.abs(np.stack([scipy.stats.ttest_ind(table[c], table[rest]).statistic for c, rest in sides]))


@pytest.mark.parametrize(
    ("a", "b", "strata"),
    [(6, 6, None), (6, 6, STRATA), (4, 5, None), (4, 4, [0, 0, 0, 1] * 2), (3, 4, [0, 0, 1, 0, 1, 1, 1])],
)
def test_everything_agrees_with_brute_force(a, b, strata):
    first, second = templates(a, b, units=20, shift=1.5, planted=5)
    t = brute_force(first, second, strata)
    observed = scipy.stats.ttest_ind(first, second).statistic
    result = template_test(first, second, strata=strata, threshold=2.0)
    np.testing.assert_allclose(result.t, observed, rtol=1e-10)
    np.testing.assert_allclose(result.p, (t >= np.abs(observed) - 1e-9).mean(axis=0), rtol=1e-12)
    counts = (t > 2.0).sum(axis=1)
    assert result.count == np.count_nonzero(np.abs(observed) > 2.0)
    assert result.count_p == pytest.approx((counts >= result.count).mean())
    p = np.sort(scipy.stats.t.sf(t, a + b - 2) * 2, axis=1)
    psi = (p * 20 / np.arange(1, 21)).min(axis=1)
    own = (np.sort(scipy.stats.t.sf(np.abs(observed), a + b - 2) * 2) * 20 / np.arange(1, 21)).min()
    assert result.simes_p == pytest.approx((psi <= own * (1 + 1e-7)).mean())
    assert result.exact
    assert result.df == a + b - 2


@pytest.mark.parametrize(
    ("a", "strata", "number"), [(3, None, 10), (4, None, 35), (6, None, 462), (6, STRATA, 108), (8, None, 6_435)]
)
def test_floors_are_those_of_the_design(a, strata, number):
    first, second = templates(a, a, units=3)
    result = template_test(first, second, strata=strata)
    assert (result.permutations, result.floor_p, result.exact) == (number, 1 / number, True)
    apart = template_test(first + 100, second, strata=strata)
    assert (apart.p == 1 / number).all()


def test_delta_is_the_shift_in_template_deviations():
    first, second = templates(units=10, shift=2.0, planted=10)
    pooled = np.sqrt((first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2)
    expected = (first.mean(axis=0) - second.mean(axis=0)) / pooled * hedges_factor(10)
    np.testing.assert_allclose(template_test(first, second).delta, expected, rtol=1e-10)


def test_a_shift_of_single_templates_is_no_concept():
    # Each sentence has its own shift in every unit: item-level tests would call all units different.
    first, second = templates(units=400, seed=3)
    assert template_test(first * 50, second * 50).lower_bound == 0


def test_planted_concepts_are_found_within_strata():
    first, second = templates(units=300, shift=3.5, planted=60)
    result = template_test(first, second, strata=STRATA, unit_sets=[range(60), range(60, 300)])
    assert result.simes_p == result.floor_p
    assert 20 <= result.lower_bound <= 60
    assert result.set_lower_bounds[0] >= result.lower_bound - 1
    assert result.set_lower_bounds[1] == 0
    assert result.count_p <= 0.05
    assert 20 < result.count < 80


def test_strata_keep_a_nuisance_out():
    # Side a is longer within no stratum, but strata differ wildly: the test within strata sees nothing of it.
    first, second = templates(units=200)
    shift = np.repeat([0.0, 10.0, 20.0], 2)[:, None]
    plain, strata = (template_test(first + shift, second + shift, strata=s) for s in (None, STRATA))
    assert strata.permutations < plain.permutations
    assert strata.simes_p > 0.05


def test_draws_when_there_are_too_many_relabellings():
    first, second = templates(9, 9, units=30)
    exact = template_test(first, second, permutations=30_000)
    drawn = template_test(first, second, permutations=4_000)
    assert exact.exact
    assert exact.permutations == 24_310
    assert not drawn.exact
    assert drawn.permutations == 4_000
    assert drawn.floor_p == 1 / 4_000
    assert (np.abs(drawn.p - exact.p) <= 4 * np.sqrt(exact.p * (1 - exact.p) / 4_000) + 1 / 4_000).all()


def test_dead_and_degenerate_units():
    first, second = templates(units=5)
    first[:, 1] = second[:, 1] = 0.1
    first[:, 2], second[:, 2] = 0.3, 0.1
    result = template_test(first, second)
    assert result.alive.tolist() == [True, False, True, True, True]
    assert np.isnan(result.t[1])
    assert np.isnan(result.p[1])
    assert np.isposinf(result.t[2])
    assert result.p[2] == result.floor_p
    assert result.count >= 1


def test_concept_information_has_the_null_mean_of_its_formula():
    rng = np.random.default_rng(0)
    t = rng.standard_t(10, 400_000)
    assert null_concept_information(10) == pytest.approx(0.1050, abs=1e-4)
    assert concept_information(t, 10) == pytest.approx(null_concept_information(10), abs=0.002)
    first, second = templates(units=60)
    ours = template_test(first, second)
    r = [np.corrcoef(np.r_[np.ones(6), np.zeros(6)], np.r_[first[:, u], second[:, u]])[0, 1] for u in range(60)]
    assert ours.concept_information == pytest.approx(np.mean(-np.log1p(-np.square(r))))
    assert concept_information(ours.t[::-1], 10) == pytest.approx(ours.concept_information)


def test_type_one_error_is_nominal():
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(250):
        factors = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 40))
        values = factors + rng.normal(size=(12, 40))
        rejected += template_test(values[:6], values[6:], strata=STRATA).simes_p <= 0.05
    assert rejected / 250 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 250)


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        (np.zeros((1, 2)), np.zeros((1, 2)), {}, "no degree of freedom"),
        (np.zeros((4, 2)), np.zeros((4, 3)), {}, "Side a has 2 units"),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), {}, "Wording 0, unit 0"),
        (np.zeros((4, 2)), np.zeros((4, 2)), {"strata": [1, 2]}, "2 stratum labels for 8 rows"),
        (np.zeros((4, 2)), np.zeros((4, 2)), {"permutations": 0}, "out of range"),
    ],
)
def test_refuses_wrong_input(first, second, options, message):
    with pytest.raises(InputError, match=message):
        template_test(first, second, **options)


@pytest.mark.parametrize("dimensions", [(), (4,)])
def test_scores_that_are_not_kept_give_the_same_bytes(dimensions, monkeypatch):
    a, b = (np.random.default_rng(seed).normal(size=(7, 30, *dimensions)) for seed in (1, 2))
    kept = template_test(a, b, threshold=1.0)
    monkeypatch.setattr("plantain.stats.template.KEPT_BYTES", 0)
    monkeypatch.setattr("plantain.stats.template.CHUNK_BYTES", 8 * 30 * 100)
    again = template_test(a, b, threshold=1.0)
    assert again.p.tobytes() == kept.p.tobytes()
    assert again.calibration.pivots.tobytes() == kept.calibration.pivots.tobytes()
    assert (again.count, again.count_p) == (kept.count, kept.count_p)
