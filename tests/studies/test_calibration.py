import numpy as np
import pytest
from scipy import stats

from plantain.base.params import VerdictParams
from plantain.ladder.rungs import compare_templates
from studies.scoring import (
    FACTORS,
    HEADS,
    MIXED,
    TRUTHS,
    _network,
    participation_ratio,
    pooled_t,
    rung_five_alone,
    simulate,
    stop,
)

RULES = VerdictParams(flips=200, permutations=500)
BY_NAME = {truth.name: truth for truth in TRUTHS}


def test_the_simulated_geometry_is_the_measured_one():
    ratios = []
    for seed in range(30):
        templates = _network(np.random.default_rng(seed))(12)
        ratios.append(participation_ratio(templates))
    assert 4.4 < np.mean(ratios) < 5.1
    assert templates.shape == (12, HEADS)
    many = _network(np.random.default_rng(0))(4000)
    np.testing.assert_allclose(many.std(axis=0), 1, atol=0.06)
    assert participation_ratio(np.eye(5)) == pytest.approx(4)
    assert len(FACTORS) > 12


def test_pooled_t_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 30)), rng.normal(size=(6, 30))
    np.testing.assert_allclose(pooled_t(a, b), stats.ttest_ind(a, b).statistic)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_ladder_stops_where_the_truth_is(name):
    truth = BY_NAME[name]
    reached = [stop(truth, RULES, seed).rung for seed in range(5)]
    assert sum(rung in truth.stops for rung in reached) >= 4


def test_rung_five_by_itself_keeps_its_level_where_only_length_matters():
    wrong = sum(rung_five_alone(RULES, seed) for seed in range(200))
    assert stats.binomtest(wrong, 200, 0.05, alternative="greater").pvalue > 0.001
    assert compare_templates(np.zeros((6, 1)), np.ones((6, 1)), MIXED, RULES).floor_p < 0.01


def test_equal_seeds_give_equal_cells():
    first, second = (simulate(BY_NAME["concept"], RULES, 3) for _ in range(2))
    np.testing.assert_array_equal(first.a, second.a)
    assert first.families == second.families
    assert not np.array_equal(first.a, simulate(BY_NAME["concept"], RULES, 4).a)
