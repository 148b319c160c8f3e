import numpy as np
import pytest
from scipy import stats

from plantain.stats.simulated import attacks
from studies.attacked import Plant, copies, frames, keyword, networks, numbers, percent, ranked_high, spread
from studies.scoring import HEADS, SIDE

SETS = 12


def rates(case, seed=0):
    rng = np.random.default_rng(seed)
    found = [case.draw(rng) for _ in range(SETS)]
    return {name: np.mean([one[name] for one in found]) for name in found[0]}


def test_a_word_of_one_side_passes_until_its_wordings_are_tied():
    assert rates(keyword((6, 0))) == {"as independent": 1.0, "tied by surplus": 0.0}
    found = rates(keyword((7, 0), 10))
    assert found["as independent"] > 0.5 > found["tied by surplus"]


def test_words_are_tied_from_a_surplus_of_two_on():
    assert [len(set(attacks.tied(6, used))) for used in ((6, 0), (5, 1), (4, 2), (3, 2), (2, 1))] == [7, 8, 9, 12, 12]


def test_copies_pass_until_they_are_declared():
    found = rates(copies(4, 12))
    assert found["as independent"] > 0.5 > found["declared as clusters"]
    values = attacks.copies(np.random.default_rng(0), 4_000, 6, 3, 0.9)
    r = np.corrcoef(values)
    assert r[0, 1] == pytest.approx(0.9, abs=0.06)
    assert np.abs(r[0, [2, 3, 4, 5, 6, 11]]).max() < 0.7
    assert attacks.copied(6, 3) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_frames_hide_a_concept_from_free_exchange():
    found = rates(frames(1.0))
    assert found["exchanged within frames"] > found["exchanged freely"]


def test_spread_is_named():
    found = rates(spread((6, 6), 0.1))
    assert found["dispersion p <= 5%"] == 1.0
    assert found["studentised and not named"] == 0.0


def test_a_concept_in_three_heads_is_seen_by_the_largest_pivot_and_not_by_the_count():
    rng = np.random.default_rng(1)
    sets = [[numbers(values, bound=False) for values in networks(Plant(10, 3, 0.9), 19, rng)] for _ in range(SETS)]
    found = [ranked_high(one, 19) for one in sets]
    mean = {name: np.mean([one[name] for one in found]) for name in found[0]}
    assert mean["largest pivot"] >= 0.8 > mean["count over 3"]


def test_numbers_of_a_network_are_those_of_scipy():
    (values, *_) = networks(Plant(10, 3, 0.0), 1, np.random.default_rng(0))
    t = stats.ttest_ind(values[:SIDE], values[SIDE:]).statistic
    found = numbers(values, bound=True)
    assert found["largest t"] == pytest.approx(np.abs(t).max())
    assert found["count over 3"] == np.count_nonzero(np.abs(t) > 3)
    assert 0 <= found["lower bound"] <= HEADS


def test_percentages_have_binomial_errors():
    assert percent([1.0] * 5 + [0.0] * 95) == "5 (2.2)"
