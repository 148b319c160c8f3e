import numpy as np
import pytest

from plantain.stats import bounds
from plantain.stats.bounds import Curves, calibrate, item_calibration
from plantain.stats.flips.draw import draw_flips
from plantain.stats.flips.quantise import quantise
from plantain.stats.sifted import bound_pivots

RNG = np.random.default_rng(5)
FLIPS, UNITS = 700, 300

CASES = {
    "noise": RNG.normal(size=(14, UNITS)),
    "common": RNG.normal(size=(14, 1)) + 0.1 * RNG.normal(size=(14, UNITS)),
    "huge effects": RNG.normal(size=(14, UNITS)) + np.where(np.arange(UNITS) < 40, 50.0, 0.0),
    "two values": RNG.choice([-1.0, 1.0], size=(14, UNITS)),
    "constant": np.full((14, UNITS), 2.0),
    "alike": np.tile(RNG.normal(size=(14, 1)), UNITS),
    "heavy": RNG.standard_cauchy(size=(14, UNITS)),
    "few items": RNG.normal(size=(4, UNITS)),
}


def sorted_psi(values, flips):
    """The pivots by sorting every row, ``(flips,)``, with SciPy's t in `calibrate`."""
    scores = quantise(values, np.arange(len(values)))
    table = flips.signs() @ scores.parts.astype(np.float64)
    alive = np.ones(values.shape[1], bool)
    curves = Curves("linear", 0, values.shape[1])
    return calibrate(lambda _: iter([table]), alive, scores.freedom, curves, 0.95), scores, curves


@pytest.mark.parametrize("name", CASES)
def test_bounds_enclose_the_pivot_and_keep_every_flip_that_decides(name):
    values = CASES[name]
    flips = draw_flips(len(values), FLIPS, seed=3)
    whole, scores, curves = sorted_psi(values, flips)
    found = bound_pivots(scores.parts, flips, scores.freedom, curves.level)
    assert (found.low <= whole.pivots * (1 + 1e-9)).all()
    assert (found.high >= whole.pivots * (1 - 1e-9)).all()
    kept = set(found.deciding(int(0.05 * len(flips)), bounds.TIE).tolist())
    assert set(np.flatnonzero(whole.pivots <= max(whole.level, whole.pivots[0])).tolist()) <= kept


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_what_is_not_sorted_changes_no_answer(name, confidence, monkeypatch):
    values = CASES[name]
    answers = []
    for large in (True, False):
        monkeypatch.setattr(bounds, "repays_kernel", lambda *_, large=large: large)
        found = item_calibration(values, flips=FLIPS, confidence=confidence, seed=3)
        sets = [found.lower_bound(np.arange(size)) for size in (UNITS, 100, 10, 1)]
        answers.append((found.level, found.simes_p, len(found.pivots), found.pivots[0], found.p.tobytes(), sets))
    assert answers[0] == answers[1]


def test_most_flips_are_not_sorted_where_there_is_an_effect():
    values = RNG.normal(size=(20, 400)) + np.where(np.arange(400) < 20, 1.5, 0.0)
    flips = draw_flips(20, 2_000, seed=0)
    scores = quantise(values, np.arange(20))
    found = bound_pivots(scores.parts, flips, scores.freedom, Curves("linear", 0, 400).level)
    assert 101 <= len(found.deciding(100, bounds.TIE)) < 130
