"""The coverage of the effect's interval: the study's own rounds against a truth that is known exactly."""

import numpy as np

from studies import halved
from studies.halved import CASES, Drawn, coverage


def test_a_case_is_drawn_as_it_says_and_held_as_often_as_is_claimed():
    """60 rounds: two standard errors of 95% are 5.6%."""
    assert coverage(CASES[0], rounds=60, truth=400) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 60)
    assert len({case.says for case in CASES}) == len(CASES)


def test_an_interval_that_is_never_right_is_found_out(monkeypatch):
    wrong = halved.equal_effect
    monkeypatch.setattr(halved, "equal_effect", lambda values, count, blocks: wrong(values + 10, count, blocks))
    assert coverage(Drawn("any"), rounds=5, truth=50) == 0.0
