"""Rung 7: which test ends it, what it needs, and that it stands on all rungs below."""

import numpy as np
import pytest

from plantain.base.params import Method, VerdictParams
from plantain.ladder.evidence import CausalEvidence, Evidence, Family
from plantain.ladder.rungs import causal
from plantain.records.causal import LabelledTest

RULES = VerdictParams()


def made(**p):
    values = {"gate": 1 / 35, "donors": 1 / 35, "selection": 1 / 35} | p
    return tuple(
        LabelledTest(name=name, says=name, statistic=1.0, p=value, floor=1 / 35, rows=[4, 4])
        for name, value in values.items()
    )


def family(reached=0, draws=19):
    return Family("tiny-reinit", Method.reinit, 50.0, (60.0,) * reached + (1.0,) * (draws - reached), 75)


def rung(found):
    empty = np.zeros((4, 3))
    return causal(Evidence(empty, empty, empty, None, causal=found), RULES)


def test_everything_passed_is_passed_with_the_largest_p():
    found = rung(CausalEvidence(made(), 50.0, (family(),)))
    assert (found.status, found.p) == ("passed", pytest.approx(0.05))
    assert "19 untrained draws" in found.guarantee
    assert "localised" in found.not_claimed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gate", "do not change the velocity"),
        ("donors", "put into neutral sentences"),
        ("selection", "ranked by the map"),
    ],
)
def test_the_first_test_that_fails_is_the_reason(name, said):
    found = rung(CausalEvidence(made(**{name: 0.4}), 50.0, (family(),)))
    assert (found.status, found.p) == ("failed", 0.4)
    assert said in found.reason


def test_one_untrained_draw_that_does_as_much_ends_it():
    found = rung(CausalEvidence(made(), 50.0, (family(reached=1),)))
    assert (found.status, found.p) == ("failed", pytest.approx(0.1))
    assert "tiny-reinit" in found.reason


def test_without_swaps_or_draws_it_is_not_tested():
    assert "plantain run --study" in rung(None).reason
    assert rung(CausalEvidence(problem="eight wordings are needed")).reason == "eight wordings are needed"
    few = rung(CausalEvidence(made(), 50.0, (family(draws=18),)))
    assert few.status == "not tested"
    assert "19 untrained draws" in few.reason
