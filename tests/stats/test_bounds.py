import numpy as np
import pytest
import scipy.special
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import item_calibration, true_discoveries
from plantain.stats.bounds import Curves, pivots
from plantain.stats.flips.draw import draw_flips
from plantain.stats.flips.quantise import QUANTA


def planted(items=12, units=40, strong=10, shift=2.0, seed=0):
    values = np.random.default_rng(seed).normal(size=(items, units))
    values[:, :strong] += shift
    return values


def p_table(values, flips):
    """Two-sided p-values of t for every flip by SciPy, ``(flips, units)``."""
    signs = flips.signs()
    return np.stack([scipy.stats.ttest_1samp(row[:, None] * values, 0).pvalue for row in signs])


def levels(p, family, shift):
    """psi by the definition, without any short cut."""
    units = p.shape[1]
    k = np.arange(shift + 1, units + 1)
    ordered = np.sort(p, axis=1)[:, shift:]
    if family == "linear":
        return (ordered * (units - shift) / (k - shift)).min(axis=1)
    return scipy.stats.beta.cdf(ordered, k, units + 1 - k).min(axis=1)


def bound(p, level, family, shift, units):
    k = np.arange(shift + 1, len(p) + 1)
    curve = (
        level * (k - shift) / (units - shift) if family == "linear" else scipy.stats.beta.ppf(level, k, units + 1 - k)
    )
    false = [np.count_nonzero(p >= point * (1 - 1e-9)) + rank - 1 for point, rank in zip(curve, k, strict=True)]
    return max(0, len(p) - min([*false, len(p)]))


@pytest.mark.parametrize(("family", "shift"), [("linear", 0), ("linear", 5), ("beta", 0), ("beta", 3)])
def test_bounds_follow_the_definition(family, shift):
    values = planted(units=120, strong=40, shift=1.5)
    flips = draw_flips(12, 400, seed=0)
    p = p_table(values, flips)
    psi = levels(p, family, shift)
    level = np.sort(psi)[int(np.floor(0.05 * 400))]
    calibration = item_calibration(values, family=family, shift=shift, flips=400)
    np.testing.assert_allclose(calibration.pivots, psi, rtol=1e-4)
    np.testing.assert_allclose(calibration.level, level, rtol=1e-4)
    for units in (np.arange(120), np.arange(40), np.arange(30, 60), np.array([3])):
        assert calibration.lower_bound(units) == bound(p[0, units], level, family, shift, 120)


@pytest.mark.parametrize(("family", "shift"), [("linear", 0), ("linear", 5), ("beta", 0), ("beta", 3)])
@pytest.mark.parametrize("freedom", [3, 24, 400])
def test_pivots_that_are_looked_up_first_are_those_of_every_rank_to_the_last_bit(family, shift, freedom):
    rng = np.random.default_rng(freedom)
    u = np.tanh(rng.normal(size=(200, 90)) * rng.uniform(0.1, 3, size=(200, 1)))
    u[:2], u[2, :40], u[3:20, 50:], u[20:60] = np.array([[0.0], [1.0]]), 1.0, 0.0, np.round(u[20:60], 2)
    scores = np.rint(np.abs(u) * QUANTA).astype(np.int32)
    magnitudes, k = -np.sort(-scores, axis=1), np.arange(shift + 1, 91)
    left = 1 - magnitudes[:, shift:] / QUANTA
    p = scipy.special.betainc(freedom / 2, 0.5, left * (1 + magnitudes[:, shift:] / QUANTA))
    through = p * ((90 - shift) / (k - shift)) if family == "linear" else scipy.special.betainc(k, 91 - k, p)
    np.testing.assert_array_equal(pivots(magnitudes, Curves(family, shift, 90), freedom), through.min(axis=1))


def test_bounds_are_for_each_set():
    values = planted()
    mask = np.zeros(40, bool)
    mask[10:] = True
    got = true_discoveries(values, unit_sets=[range(40), range(10), mask, []], flips="exact")
    assert got.dtype == np.int64
    assert 6 <= got[0] <= 10
    assert got[1] >= got[0] - 1
    assert got[2] == 0
    assert got[3] == 0


def test_dead_units_count_for_nothing():
    values = planted()
    with_dead = np.concatenate([values, np.zeros((12, 25))], axis=1)
    sets = [range(40), range(5)]
    np.testing.assert_array_equal(
        true_discoveries(values, unit_sets=sets), true_discoveries(with_dead, unit_sets=[range(65), range(5)])
    )
    assert true_discoveries(np.zeros((12, 3)), unit_sets=[range(3)]).tolist() == [0]


def test_a_smaller_set_never_has_more_than_a_larger_one():
    calibration = item_calibration(planted(shift=1.2))
    order = np.argsort(calibration.p)
    bounds = [calibration.lower_bound(order[:k]) for k in range(1, 41)]
    assert (np.diff(bounds) >= 0).all()
    assert bounds[-1] == calibration.lower_bound()


def test_blocks_share_a_sign():
    values = np.repeat(np.random.default_rng(0).normal(size=(6, 30)), 4, axis=0)
    values += 0.01 * np.random.default_rng(1).normal(size=values.shape)
    blocks = np.repeat(np.arange(6), 4)
    assert true_discoveries(values, unit_sets=[range(30)])[0] > 0
    assert true_discoveries(values, unit_sets=[range(30)], blocks=blocks)[0] == 0


def test_linear_bounds_agree_with_sanssouci():
    peer = pytest.importorskip("sanssouci", reason="peers are the bench extra")
    values = planted(units=60, strong=20, shift=1.5)
    flips = draw_flips(12, 1_000, seed=0)
    p = p_table(values, flips)
    calibration = item_calibration(values, flips=1_000)
    thresholds = peer.linear_template(calibration.level, 60, 60)
    for units in (np.arange(60), np.arange(20), np.arange(15, 40)):
        assert calibration.lower_bound(units) == peer.min_tp(np.sort(p[0, units]), thresholds)


def test_coverage_holds_under_dependence():
    rng = np.random.default_rng(0)
    violated = 0
    for _ in range(300):
        values = rng.normal(size=(14, 60)) + 1.5 * rng.normal(size=(14, 1))
        values[:, :15] += 1.0
        calibration = item_calibration(values, confidence=0.9, flips=200)
        ranked = np.argsort(calibration.p)
        true = np.cumsum(ranked < 15)
        violated += any(calibration.lower_bound(ranked[:k]) > true[k - 1] for k in (5, 15, 30, 60))
    assert violated / 300 <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 300)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "quadratic"}, "no family"),
        ({"shift": 40}, "does not fit"),
        ({"shift": -1}, "does not fit"),
        ({"confidence": 1.0}, "strictly between"),
        ({"unit_sets": [[99]]}, "no unit number"),
        ({"unit_sets": [np.zeros(3, bool)]}, "unit mask"),
    ],
)
def test_refuses_wrong_input(options, message):
    with pytest.raises(InputError, match=message):
        true_discoveries(planted(), **{"unit_sets": [range(40)], **options})
