"""Many probes on one model: Holm's correction beside its definition, and what it does to a verdict."""

import numpy as np
import pytest
from helpers.verdict_cells import FRAME, RULES, cell, log_rms

from plantain.ladder.holm import corrected
from plantain.ladder.judge import judge
from plantain.records.verdict import Status


def by_hand(p):
    """Holm as it is defined: reject in order while p_(k) <= alpha / (m - k + 1); the smallest alpha that rejects."""
    order = np.argsort(p, kind="stable")
    found = np.empty(len(p))
    for place, at in enumerate(order):
        found[at] = max(min(1.0, (len(p) - k) * p[order[k]]) for k in range(place + 1))
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_the_corrected_p_is_the_smallest_level_at_which_holm_rejects(size):
    p = np.random.default_rng(size).uniform(size=size) ** 3
    cells = {}
    for at, value in enumerate(p):
        third = NOTHING.rungs[2].model_copy(update={"p": value})
        cells[f"{at}"] = NOTHING.model_copy(update={"rungs": [*NOTHING.rungs[:2], third, *NOTHING.rungs[3:]]})
    found = corrected(cells, RULES)
    assert [found[f"{at}"].p_holm for at in range(size)] == pytest.approx(by_hand(p), rel=1e-5)
    assert corrected({}, RULES) == {}


def test_the_claim_of_a_lower_rung_survives_where_that_of_the_highest_does_not():
    """Rung 3 with p = 0.01 and rung 4 with p = 0.04: among two probes 0.02 and 0.08."""
    small = CONCEPT.rungs[2].model_copy(update={"p": 0.01, "status": Status.passed})
    worse = CONCEPT.rungs[3].model_copy(update={"p": 0.04, "status": Status.passed})
    rungs = [*CONCEPT.rungs[:2], small, worse, *CONCEPT.rungs[4:]]
    climbed = CONCEPT.model_copy(update={"rung": 4, "rungs": rungs})
    found = corrected({"one": climbed, "two": NOTHING}, RULES)
    assert (found["one"].survives, found["one"].rung) == (False, 3)
    assert "(Holm: rung 3)" in found["one"].sentence
    assert found["two"].rung == 0
    alone = corrected({"one": climbed}, RULES)["one"]
    assert (alone.survives, alone.rung) == (True, 4)


CONCEPT = judge(cell(log_rms(concept=8.0)), FRAME)
NOTHING = judge(cell(log_rms(rng=7)), FRAME)
FLAT = judge(cell(log_rms(rng=1, templates=0.0, noise=3.0)), FRAME)


def test_the_cells_are_what_they_should_be():
    assert (CONCEPT.rung, NOTHING.rung, FLAT.rung) == (3, 1, 0)
    assert NOTHING.rungs[2].status is Status.failed


def test_a_claim_is_held_against_the_number_of_probes():
    found = corrected({"one": CONCEPT, "two": NOTHING, "three": FLAT}, RULES)
    one, two, three = found["one"], found["two"], found["three"]
    assert {one.probes, two.probes, three.probes} == {3}
    assert one.p == CONCEPT.rungs[2].p
    assert one.p_holm == pytest.approx(3 * one.p, rel=1e-5)
    assert (two.p, three.p) == (NOTHING.rungs[2].p, 1.0)
    assert one.metrics == {"claim_p": one.p, "p_holm": one.p_holm}
    assert one.survives
    assert one.sentence == CONCEPT.sentence


def test_beyond_22_probes_no_six_against_six_survives_and_the_sentence_says_so():
    """The floor of 6 + 6 is 1 / 462: times 23 it is 0.0498, times 24 it is not."""
    for probes, survives in ((23, True), (24, False)):
        found = corrected({"one": CONCEPT} | {f"probe {k}": NOTHING for k in range(probes - 1)}, RULES)["one"]
        assert found.survives is survives
        assert ("fails Holm, 24 probes" in found.sentence) is not survives
        assert ("cannot survive Holm over 24 probes" in found.reason) is not survives
    assert "rung 3 gives no p below 0.00216" in found.reason


def test_several_small_p_lift_one_another():
    """Step-down: the largest of them is compared with the level itself."""
    found = corrected({f"probe {k}": CONCEPT for k in range(24)}, RULES)
    assert len({one.p_holm for one in found.values()}) == 1


def test_a_probe_that_cannot_be_tested_is_not_counted():
    untestable = CONCEPT.model_copy(update={"design": CONCEPT.design.model_copy(update={"floor": None})})
    found = corrected({"one": CONCEPT, "other": untestable}, RULES)
    assert found["one"].probes == 1
    assert "other" not in found
    small = CONCEPT.model_copy(update={"design": CONCEPT.design.model_copy(update={"floor": 0.1})})
    assert corrected({"one": CONCEPT, "other": small}, RULES)["one"].probes == 1


def test_the_largest_p_of_the_rungs_that_carry_the_claim_counts():
    fourth = CONCEPT.rungs[3].model_copy(update={"status": Status.passed, "p": 0.05, "floor": 0.05})
    rungs = [*CONCEPT.rungs[:3], fourth, *CONCEPT.rungs[4:]]
    found = corrected({"one": CONCEPT.model_copy(update={"rung": 4, "rungs": rungs}), "two": NOTHING}, RULES)
    assert (found["one"].p, found["one"].p_holm) == (0.05, 0.1)
    assert "rung 4 gives no p below 0.05" in found["one"].reason
    alone = corrected({"one": CONCEPT.model_copy(update={"rung": 4, "rungs": rungs})}, RULES)["one"]
    assert (alone.survives, alone.reason) == (True, "")
