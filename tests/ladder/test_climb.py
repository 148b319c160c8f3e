from dataclasses import replace

import numpy as np
import pytest
from helpers.verdict_cells import RULES, floor_of
from scipy import stats

from plantain.base.params import Method
from plantain.ladder.climb import climb
from plantain.ladder.evidence import Evidence, Family, Reliability, Replica
from plantain.ladder.rungs import RUNGS, exceeds_paraphrase, exceeds_untrained, rank_p
from plantain.records.verdict import NAMES, Status

HEADS = 60
STRATA = ("short", "short", "middle", "middle", "long", "long") * 2
REPLICAS = tuple(Replica(seed, image, 0.01) for seed in range(3) for image in ("one", "two"))


def families(own=20.0, draws=(1.0,) * 19, counts=(1,) * 19):
    return tuple(Family(f"by {method}", method, own, tuple(draws), HEADS, tuple(counts)) for method in Method)


def evidence(concept=8.0, side=6, **changes):
    rng = np.random.default_rng(4)
    table = rng.normal(size=(2 * side, HEADS))
    table[:side, :20] += concept
    differences = 1.0 + rng.normal(size=(12, HEADS))
    full = Evidence(
        differences=differences,
        a=table[:side],
        b=table[side:],
        reliability=Reliability(0.9, 0.01, 0.005),
        strata=STRATA if side == 6 else None,
        families=families(),
        replicas=REPLICAS,
        has_reference=True,
    )
    return replace(full, **changes)


def statuses(found):
    return [rung.status for rung in found.rungs]


def test_everything_there_reaches_six_and_no_further():
    found = climb(evidence(), RULES)
    assert found.rung == 6
    assert statuses(found) == [Status.passed, Status.reported] + [Status.passed] * 4 + [Status.untested]
    assert "what they cause is untested" in found.sentence
    assert found.selective >= 10
    assert found.metrics()["selective_heads_lower_bound"] == found.selective


BROKEN = {
    1: {"differences": np.random.default_rng(0).normal(size=(12, HEADS))},
    3: {"a": np.random.default_rng(1).normal(size=(6, HEADS)), "b": np.random.default_rng(2).normal(size=(6, HEADS))},
    4: {"families": families(own=20, draws=(20,) + (1,) * 18)},
    6: {"replicas": (*REPLICAS[:-1], Replica(2, "two", 0.06))},
}


@pytest.mark.parametrize("rung", BROKEN)
def test_the_climb_ends_at_the_first_rung_that_fails(rung):
    found = climb(evidence(**BROKEN[rung]), RULES)
    assert found.rung == (1 if rung == 3 else rung - 1)
    assert statuses(found)[rung - 1] is Status.failed
    later = [one for one in found.rungs[rung:] if one.rung != 2]
    assert {one.status for one in later} == {Status.untested}
    assert all("climb ends" in one.reason for one in later)
    assert found.sentence.startswith(f"Rung {found.rung} of 7: ")


@pytest.mark.parametrize("reliability", [None, Reliability(0.1, 0.9, 0.001), Reliability(0.9, 0.06, 0.06)])
def test_rung_two_is_a_number_that_gates_nothing(reliability):
    found = climb(evidence(reliability=reliability), RULES)
    assert found.rung == 6
    assert found.rungs[1].status is (Status.untested if reliability is None else Status.reported)
    assert found.sentence == climb(evidence(), RULES).sentence
    assert climb(evidence(reliability=reliability, **BROKEN[1]), RULES).rungs[1] == found.rungs[1]


UNTESTED = {
    "too few items": (1, {"differences": np.ones((5, HEADS))}, "0.0625"),
    "no untrained draws": (4, {"families": ()}, "19 draws by reinit are needed, 0 are here"),
    "one way to untrain": (4, {"families": families()[:1]}, "by shuffle"),
    "eighteen draws": (4, {"families": families(draws=(1,) * 18, counts=(1,) * 18)}, "18 are here"),
    "saturated": (4, {"families": families(counts=(55,) * 19)}, "saturated"),
    "no strata": (5, {"strata": None}, "stratum"),
    "unequal strata": (5, {"unequal": "stratum 'six' holds 6 to 9 tokens"}, "6 to 9 tokens"),
    "confounded strata": (5, {"strata": ("long",) * 6 + ("short",) * 6}, "smallest p"),
    "two seeds": (6, {"replicas": REPLICAS[:4]}, "3 noise seeds x 2 reference images"),
    "three seeds without reference": (6, {"has_reference": False, "replicas": REPLICAS[::2]}, "6 noise seeds"),
    "a hole": (6, {"replicas": REPLICAS[:-1]}, "are needed"),
}


@pytest.mark.parametrize("case", UNTESTED)
def test_what_cannot_be_tested_says_so_and_stops_the_climb(case):
    rung, changes, said = UNTESTED[case]
    found = climb(evidence(**changes), RULES)
    assert found.rung == rung - 1
    assert found.rungs[rung - 1].status is Status.untested
    assert said in found.rungs[rung - 1].reason
    assert found.sentence.startswith(f"Rung {rung - 1} of 7: ")


def test_six_seeds_do_where_there_is_no_reference():
    replicas = tuple(Replica(seed, "none", 0.01) for seed in range(6))
    assert climb(evidence(has_reference=False, replicas=replicas), RULES).rung == 6


@pytest.mark.parametrize(("side", "floor"), [(4, floor_of(4)), (5, floor_of(5)), (6, floor_of(6))])
def test_the_floor_of_rung_three_is_that_of_its_templates(side, floor):
    rung = exceeds_paraphrase(evidence(side=side), RULES)
    assert rung.floor == pytest.approx(floor)
    assert rung.p == pytest.approx(floor)
    assert rung.status is Status.passed


def test_three_templates_a_side_cannot_reach_five_percent():
    rung = exceeds_paraphrase(evidence(side=3), RULES.model_copy(update={"min_templates": 3}))
    assert (rung.status, rung.floor) == (Status.untested, pytest.approx(0.1))
    assert "4 templates a side" in exceeds_paraphrase(evidence(side=3), RULES).reason


def test_the_floor_of_rung_five_is_that_of_its_strata():
    rungs = climb(evidence(), RULES).rungs
    assert rungs[4].floor == pytest.approx(floor_of(2, 2, 2)) == pytest.approx(1 / 108)


def test_the_rank_among_untrained_draws_is_exact():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 1000, size=(4000, 20))
    ranks = [rank_p(Family("f", Method.reinit, int(row[0]), tuple(row[1:]), 1000)) for row in scores]
    passed = np.mean(np.array(ranks) <= RULES.alpha)
    assert stats.binomtest(int(passed * 4000), 4000, 0.05).pvalue > 0.001
    assert rank_p(Family("f", Method.reinit, 5, (5,) + (0,) * 18, 9)) == 0.1


def test_both_ways_to_untrain_must_be_exceeded():
    low, high = families(draws=(1,) * 19)[0], families(draws=(30,) * 19)[1]
    assert exceeds_untrained(evidence(families=(low, high)), RULES).status is Status.failed


def test_a_draw_that_ties_with_the_model_is_not_exceeded_in_words():
    """Of forty, one draw that stands out as far leaves p = 2 / 40: passed, but not more than in every draw."""
    tied = families(own=20, draws=(20,) + (1,) * 38, counts=(1,) * 39)
    found = climb(evidence(families=tied), RULES)
    assert (found.rung, found.rungs[3].p) == (6, 0.05)
    assert "every untrained draw" not in found.sentence
    assert "the largest of 78 draws has 20" in found.rungs[3].guarantee


def test_a_family_of_few_draws_is_set_aside():
    few = Family("extra", Method.reinit, 20, (30, 30), HEADS, (1, 1))
    found = exceeds_untrained(evidence(families=(*families(), few)), RULES)
    assert (found.status, found.floor) == (Status.passed, 0.05)
    assert "the largest of 38 draws has 1" in found.guarantee


def test_a_family_that_is_one_short_because_the_model_is_in_it_says_so():
    short = tuple(replace(family, itself=1) for family in families(draws=(1,) * 18, counts=(1,) * 18))
    assert "`seeds` of the family has to be larger by one" in exceeds_untrained(evidence(families=short), RULES).reason


def test_a_table_that_does_not_serve_rung_six_is_named():
    said = climb(evidence(replicas=(), unrepeated="the table was made from other inputs (rules)"), RULES).rungs[5]
    assert said.reason.endswith("the table was made from other inputs (rules)")


def test_every_rung_says_what_passing_it_does_not_say():
    for rung in climb(evidence(), RULES).rungs[:6]:
        assert rung.guarantee
        assert rung.not_claimed
        assert rung.number is not None
        assert rung.floor is not None


def test_the_rungs_stand_in_the_order_in_which_they_are_tested():
    found = [test(evidence(), RULES) for test in RUNGS]
    assert [rung.rung for rung in found] == list(range(1, 8))
    assert [rung.name for rung in found] == list(NAMES)


def test_delta_is_the_standardised_shift_of_scipys_t():
    given = evidence()
    t = stats.ttest_ind(given.a, given.b).statistic
    hedges = 0.9227456  # Gamma(5) / (sqrt(5) Gamma(4.5)), ten degrees of freedom
    effect = climb(given, RULES).effect
    assert effect.delta == pytest.approx(np.median(np.abs(t * np.sqrt(2 / 6) * hedges)), rel=1e-4)
    assert effect.heads == (np.abs(t) > 3).sum()
    assert effect.concept_information == pytest.approx(np.log1p(t**2 / 10).mean())


def test_equal_evidence_gives_equal_verdicts():
    assert climb(evidence(), RULES).record() == climb(evidence(), RULES).record()
