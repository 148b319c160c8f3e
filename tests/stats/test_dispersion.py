import itertools

import numpy as np
import pytest

from plantain.base.errors import InputError
from plantain.stats import dispersion_test
from plantain.stats.dispersion import effective_rows
from plantain.stats.simulated.scenarios import factors


def brute_force(first, second):
    """Every relabelling of the rows brought to one mean, each side about its own, written out."""
    table = np.concatenate([first - first.mean(0), second - second.mean(0)])
    table = table / np.sqrt(np.square(table).mean(0))

    def statistic(chosen):
        sides = table[list(chosen)], np.delete(table, list(chosen), axis=0)
        means = []
        for side in sides:
            squares = np.square(side - side.mean(0)).mean(1) * len(side) / (len(side) - 1)
            means.append(np.log(squares).mean() / 2)
        return abs(means[0] - means[1])

    own = statistic(range(len(first)))
    found = [statistic(chosen) for chosen in itertools.combinations(range(len(table)), len(first))]
    return np.mean(np.array(found) >= own * (1 - 1e-9))


@pytest.mark.parametrize("sides", [(4, 4), (5, 3), (6, 4)])
@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_agrees_with_brute_force(sides, ratio):
    rng = np.random.default_rng(sum(sides))
    first, second = ratio * rng.normal(size=(sides[0], 30)), rng.normal(size=(sides[1], 30))
    result = dispersion_test(first, second)
    assert result.p == pytest.approx(brute_force(first, second))
    ratios = first.std(axis=0, ddof=1) / second.std(axis=0, ddof=1)
    assert result.ratio == pytest.approx(np.median(ratios))
    assert result.rows == sides


def test_a_shift_and_the_scale_of_a_unit_say_nothing_about_spread():
    rng = np.random.default_rng(1)
    first, second = 0.4 * rng.normal(size=(6, 40)), rng.normal(size=(6, 40))
    plain = dispersion_test(first, second)
    scale = np.exp(2 * rng.normal(size=40))
    other = dispersion_test(first * scale + 100, second * scale)
    assert other.p == plain.p
    assert other.ratio == pytest.approx(plain.ratio)
    assert dispersion_test(second, first).p == plain.p
    assert dispersion_test(second, first).ratio == pytest.approx(1 / np.median(1 / (1 / plain.ratio)), rel=0.2)


@pytest.mark.parametrize("sides", [(6, 6), (8, 4)])
def test_finds_unequal_spread_and_keeps_its_level(sides):
    rng = np.random.default_rng(2)
    found = {ratio: [] for ratio in (1.0, 0.3, 0.1)}
    for _ in range(200):
        values = factors(rng, sum(sides), 60)
        for ratio, p in found.items():
            p.append(dispersion_test(ratio * values[: sides[0]], values[sides[0] :]).p <= 0.05)
    assert np.mean(found[1.0]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert min(np.mean(found[0.3]), np.mean(found[0.1])) >= 0.95


def test_clusters_and_frames_are_exchanged_as_in_the_test_of_wordings():
    rng = np.random.default_rng(3)
    shared = 3 * rng.normal(size=(8, 30))
    first, second = shared + 0.1 * rng.normal(size=(8, 30)), shared + rng.normal(size=(8, 30))
    framed = dispersion_test(first, second, frames=list(range(8)) * 2)
    assert (framed.exchange, framed.floor_p, framed.permutations) == ("frames", 1 / 128, 128)
    clusters = [0, 0, 1, 2, 3, 4, 5, 5, *range(6, 14)]
    means = np.stack([first[:2].mean(0), *first[2:6], first[6:].mean(0)])
    assert dispersion_test(first, second, clusters=clusters).p == dispersion_test(means, second).p


def test_copies_have_no_spread():
    rng = np.random.default_rng(4)
    first, second = np.repeat(rng.normal(size=(1, 20)), 6, axis=0), rng.normal(size=(6, 20))
    result = dispersion_test(first, second)
    assert (result.ratio, result.p) == (0.0, result.floor_p)
    assert dispersion_test(second, first).ratio == np.inf
    nothing = dispersion_test(first, first + 1)
    assert nothing.p == 1.0
    assert np.isnan(nothing.ratio)


def test_refuses_a_side_of_one_row():
    with pytest.raises(InputError, match="1 row of a side has no spread"):
        dispersion_test(np.zeros((1, 3)), np.ones((4, 3)))


def test_rows_are_worth_as_many_as_are_independent():
    random = np.random.default_rng(5)
    apart = random.standard_normal((8, 20_000))
    assert effective_rows(apart) == pytest.approx(8, abs=0.02)
    assert effective_rows(np.repeat(apart[:4], 2, axis=0)) == pytest.approx(4, abs=0.02)
    # Pairs of correlation r: eigenvalues 1 + r (one pair fewer, since rows are centred) and 1 - r.
    pairs = np.sqrt(0.9) * np.repeat(apart[:3], 2, axis=0) + np.sqrt(0.1) * random.standard_normal((6, 20_000))
    shares = np.array([1.9, 1.9, 0.1, 0.1, 0.1])
    assert effective_rows(pairs) == pytest.approx(1 + shares.sum() ** 2 / np.square(shares).sum(), abs=0.05)
    assert np.isnan(effective_rows(np.ones((4, 50))))
