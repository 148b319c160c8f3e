"""Heads chosen by a map and what they do: every labelling by hand, and networks in which loud heads do most."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from plantain.base.errors import InputError
from plantain.stats.selection import donor_test, selection_test

EVERY = [(0, *rest) for rest in combinations(range(1, 8), 3)]


def heads(random, *, loudness=None, concept=0.0, planted=0):
    """Wordings (8, 40) of heads that move as much as they are loud, the first of them with the concept as well."""
    loudness = np.exp(random.standard_normal(40)) if loudness is None else loudness
    values = random.standard_normal((8, 40)) * loudness
    values[:4, :planted] += concept * loudness[:planted]
    return values


def test_p_is_the_share_of_labellings_whose_map_agrees_as_well_with_what_heads_do():
    random = np.random.default_rng(1)
    values, mediation = heads(random), random.standard_normal(40)
    found = selection_test(values[:4], values[4:], mediation)
    by_hand = []
    for chosen in EVERY:
        rest = [at for at in range(8) if at not in chosen]
        t = np.abs(scipy_stats.ttest_ind(values[list(chosen)], values[rest]).statistic)
        by_hand.append(scipy_stats.spearmanr(t, mediation).statistic)
    assert found.statistic == pytest.approx(by_hand[0])
    assert sorted(found.null) == pytest.approx(sorted(by_hand))
    assert found.p == pytest.approx(np.mean(np.array(by_hand) >= by_hand[0] - 1e-12))
    assert (found.floor_p, found.rows) == (pytest.approx(1 / 35), (4, 4))


def test_loud_heads_that_do_most_are_no_evidence():
    """Loudness decides what a head does, labels nothing: p is at its floor as rarely as it should be."""
    random = np.random.default_rng(2)
    p = []
    for _ in range(400):
        loudness = np.exp(random.standard_normal(40))
        values = heads(random, loudness=loudness)
        p.append(selection_test(values[:4], values[4:], loudness + 0.3 * random.standard_normal(40)).p)
    assert np.mean(np.array(p) <= 2 / 35) == pytest.approx(2 / 35, abs=3 * np.sqrt(2 / 35 / 400))


def test_heads_chosen_by_the_concept_that_carry_the_change_are_found():
    random = np.random.default_rng(3)
    found = []
    for _ in range(60):
        values = heads(random, concept=4.0, planted=20)
        mediation = random.standard_normal(40) + np.where(np.arange(40) < 20, 2.0, 0.0)
        found.append(selection_test(values[:4], values[4:], mediation).p)
    assert np.mean(np.array(found) <= 0.05) > 0.8


def test_maps_of_vectors_serve_as_well():
    random = np.random.default_rng(4)
    values = random.standard_normal((8, 40, 3))
    values[:4, :20] += 4.0
    mediation = np.where(np.arange(40) < 20, 1.0, 0.0) + 0.1 * random.standard_normal(40)
    assert selection_test(values[:4], values[4:], mediation).p == pytest.approx(1 / 35)


def test_clusters_are_one_piece_of_evidence():
    values = heads(np.random.default_rng(5))
    found = selection_test(values[:4], values[4:], np.arange(40.0), clusters=[0, 0, 1, 2, 3, 4, 5, 6])
    assert found.rows == (3, 4)
    assert found.floor_p == pytest.approx(1 / 35)


def test_a_silent_head_has_no_t_and_constant_mediation_no_correlation():
    values = heads(np.random.default_rng(6))
    values[:, 7] = 1.0
    assert np.isfinite(selection_test(values[:4], values[4:], np.arange(40.0)).null).all()
    constant = selection_test(values[:4], values[4:], np.ones(40))
    assert (constant.statistic, constant.p) == (0.0, 1.0)


def test_the_side_of_a_donor_is_told_by_the_pseudo_f():
    random = np.random.default_rng(7)
    a, b = random.standard_normal((4, 30)) + 1.5, random.standard_normal((4, 30))
    rows = np.concatenate([a, b])
    ratios = []
    for chosen in EVERY:
        own = np.isin(np.arange(8), chosen)
        between = 2 * np.square(rows[own].mean(0) - rows[~own].mean(0)).sum()
        ratios.append(between / (np.square(rows - rows.mean(0)).sum() - between))
    assert donor_test(a, b).p == pytest.approx(np.mean(np.array(ratios) >= ratios[0] * (1 - 1e-9)))
    assert donor_test(b, random.standard_normal((4, 30))).p > 0.05
    assert donor_test(np.ones((4, 3)), np.ones((4, 3))).p == 1.0


def test_other_heads_and_missing_numbers_are_refused():
    values = heads(np.random.default_rng(8))
    with pytest.raises(InputError, match="mediation"):
        selection_test(values[:4], values[4:], np.ones(39))
    with pytest.raises(InputError, match="mediation"):
        selection_test(values[:4], values[4:], np.full(40, np.nan))
