import numpy as np
import pytest

from plantain.stats.bounds import item_calibration
from plantain.stats.simulated import scenarios as simulate
from plantain.stats.simulated.scenarios import KNOWN, NOMINAL, SCENARIOS, Rule, Scenario, item_null, overstated
from plantain.stats.simulated.selftest import EVERY, judge, run_selftest


def outcomes(rate, number=3_000):
    return (np.arange(number) < rate * number).astype(float)


@pytest.fixture(scope="module")
def rows():
    return {(row.scenario, row.check): row for row in run_selftest(share=0.03, seed=1)}


def test_short_form_holds(rows):
    assert len(rows) == sum(len(scenario.rules) for scenario in EVERY)
    assert all(row.passed for row in rows.values()), [row for row in rows.values() if not row.passed]


def test_clusters_fail_without_blocks_and_hold_with_them(rows):
    name = "items that share a scene"
    assert rows[name, "without blocks: max-T p <= 5%"].observed > 0.4
    assert rows[name, "with blocks: max-T p <= 5%"].observed < 0.15


def test_a_sentence_shift_is_found_by_items_and_not_by_wordings(rows):
    name = "sentences without a concept"
    assert rows[name, "items: max-T p <= 5%"].observed == 1.0
    assert rows[name, "wordings: Simes p <= 5%"].observed < 0.15


@pytest.mark.parametrize(
    ("name", "fooled", "told"),
    [
        ("a word in 7 of 10 wordings", "untied: bound > 0", "tied: bound > 0"),
        ("4 wordings as 12", "undeclared: bound > 0", "declared: bound > 0"),
        ("8 items as 32", "without blocks: bound > 0", "with blocks: bound > 0"),
    ],
)
def test_what_fools_the_tests_does_not_once_it_is_declared(rows, name, fooled, told):
    assert rows[name, fooled].observed > 0.3
    assert rows[name, told].observed < 0.3


def test_unequal_spread_passes_and_is_named(rows):
    name = "unequal spread, equal means"
    assert rows[name, "8 + 4, ratio .1: wordings: bound > 0"].observed > 0.2
    assert rows[name, "8 + 4, ratio .1: dispersion p <= 5%"].observed > 0.9


def test_an_excess_of_two_points_shows_at_3000_data_sets():
    assert judge("", "", NOMINAL, outcomes(0.05)).passed
    assert not judge("", "", NOMINAL, outcomes(0.07)).passed
    assert judge("", "", KNOWN, outcomes(0.3)).passed
    assert not judge("", "", KNOWN, outcomes(0.05)).passed
    assert not judge("", "", Rule("at least", 0.8), outcomes(0.7)).passed


def test_standard_errors_are_those_of_a_rate():
    row = judge("a", "b", NOMINAL, outcomes(0.05))
    assert row.standard_error == pytest.approx(np.sqrt(0.05 * 0.95 / 3_000), rel=1e-3)
    assert (row.observed, row.nominal, row.datasets) == (0.05, 0.05, 3_000)


def test_rows_are_the_same_for_the_same_seed():
    first, second, other = (run_selftest(share=0.0, seed=seed, scenarios=SCENARIOS[3:4]) for seed in (0, 0, 1))
    assert first == second != other


def test_seeds_as_rows_would_be_caught():
    # Four noise seeds of an item taken for four items: which is forbidden, and what the self-test must see.
    def seeds_as_rows(random):
        items = np.repeat(simulate.independent(random, 8, 30), 4, axis=0)
        return item_null(items + 0.3 * random.standard_normal(items.shape), seed=0)

    rules = {"max-T p <= 5%": NOMINAL}
    (row,) = run_selftest(share=1.0, scenarios=[Scenario("seeds as rows", 40, seeds_as_rows, rules)])
    assert row.observed > 0.5
    assert not row.passed


def test_simulated_data_are_what_their_names_say():
    random = np.random.default_rng(0)
    factors = simulate.factors(random, 4_000, 6)
    assert np.allclose(factors.var(axis=0), 1, atol=0.1)
    assert np.abs(np.corrcoef(factors.T))[0, 1:].max() > 0.1
    clustered = simulate.clustered(random, 2_000, 2, 1).reshape(2_000, 2)
    assert np.corrcoef(clustered.T)[0, 1] == pytest.approx(0.5, abs=0.05)
    assert simulate.skewed(random, 9_000, 1).mean() == pytest.approx(0, abs=0.05)
    sentences = simulate.sentences(random, 6, 400, 20)
    assert sentences.mean(axis=1).std(axis=0).mean() == pytest.approx(3, rel=0.4)


def test_an_overstated_bound_is_noticed():
    values = np.random.default_rng(0).normal(size=(16, 100))
    values[:, :20] += 3.0
    calibration = item_calibration(values, flips=200)
    assert overstated(calibration, 20) == 0.0
    assert overstated(calibration, 10) == 1.0
