"""The simulated networks of rung 7 are what their names say, and the rates of the calibration see what they must."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from plantain.stats.selection import donor_test
from plantain.stats.simulated import swaps
from plantain.stats.simulated.scenarios import Scenario
from plantain.stats.simulated.selftest import run_selftest
from plantain.stats.simulated.swaps import EVERY_TEST, NOMINAL, NetworkKind, Swapped

PLANTED = NetworkKind(concept=4.0)


def network(seed=0, plant=PLANTED):
    return plant(np.random.default_rng(seed))


def test_mediation_is_the_share_of_the_change_that_a_head_makes_by_hand():
    found = network()
    outputs = found.halves[1]
    by_hand = np.zeros(swaps.HEADS)
    for one, other in zip(outputs[:4], outputs[4:], strict=True):
        base, whole = one @ found.gains, other @ found.gains
        for head in range(swaps.HEADS):
            patched = one.copy()
            patched[head] = other[head]
            moved = patched @ found.gains - base
            by_hand[head] += moved @ (whole - base) / np.square(whole - base).sum() / 4
    assert found.mediation() == pytest.approx(by_hand)
    assert found.mediation().sum() == pytest.approx(1.0)


def test_what_is_donated_is_what_the_chosen_heads_do_in_one_sentence():
    found = network(1)
    heads = found.chosen()
    first, second = found.halves[0][:4].mean(axis=0), found.halves[0][4:].mean(axis=0)
    puts_in = np.linalg.norm((first - second)[:, None] * found.gains, axis=1)
    assert set(heads) == set(np.argsort(puts_in)[-swaps.TOGETHER :])
    neutral = np.random.default_rng(2).standard_normal(swaps.HEADS)
    rows = []
    for outputs in found.halves[1]:
        patched = neutral.copy()
        patched[heads] = outputs[heads]
        rows.append(patched @ found.gains)
    # A neutral sentence adds the same to every row, and a test of distances does not see it.
    assert donor_test(rows[:4], rows[4:]).statistic == pytest.approx(donor_test(*found.donated()).statistic)


def test_rewordings_are_what_their_names_say():
    random, loudness = np.random.default_rng(3), np.exp(np.linspace(-2, 2, 4_000))
    led = swaps.led_by_loudness(random, loudness)
    assert led[:, -400:].mean(axis=1).std() > 5 * led[:, :400].mean(axis=1).std()
    assert led.std() == pytest.approx(1.0, abs=0.3)
    copies = np.corrcoef(swaps.near_copies(random, loudness))
    assert copies[0, 1] == pytest.approx(0.99, abs=0.02)
    assert abs(copies[0, 2]) < 0.8
    steady = swaps.steady(random, loudness)
    assert steady[:4].std() / steady[4:].std() == pytest.approx(0.1, abs=0.02)
    assert np.abs(swaps.one_far_away(random, loudness)[0]).mean() == pytest.approx(10, abs=0.5)
    assert scipy_stats.kurtosis(swaps.wild(random, loudness), axis=None) > 10


def test_heads_that_do_not_follow_move_on_one_half_alone():
    still = {"rewording": lambda random, loudness: np.zeros((8, len(loudness)))}
    both = network(4, NetworkKind(concept=4.0, **still)).halves
    assert np.array_equal(both[0], both[1])
    assert np.count_nonzero(both[0][0]) == 0.3 * swaps.HEADS
    one, other = network(4, NetworkKind(concept=4.0, follows=False, **still)).halves
    assert not np.array_equal(one != 0, other != 0)


def test_copies_taken_for_wordings_are_seen():
    rules = {"gate: p <= 5%": NOMINAL}
    cases = {"undeclared": None, "declared": swaps.COPIES}
    made = {name: Swapped(NetworkKind(swaps.near_copies), clusters=labels) for name, labels in cases.items()}
    rows = {name: run_selftest(scenarios=[Scenario(name, 60, one, rules)])[0] for name, one in made.items()}
    assert not rows["undeclared"].passed
    assert rows["declared"].passed


def test_the_whole_rung_passes_where_the_heads_that_separate_carry_and_not_where_others_do():
    rate = {}
    for name in ("80% of heads separate and carry", "other heads separate than carry"):
        random = np.random.default_rng(5)
        made = (swaps.POWERS | swaps.SIZES)[name]
        rate[name] = np.mean([made(random)[EVERY_TEST] for _ in range(30)])
    assert rate["80% of heads separate and carry"] > 0.5
    assert rate["other heads separate than carry"] < 0.2
