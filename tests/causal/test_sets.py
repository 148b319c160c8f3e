from collections import Counter

import numpy as np
import pytest

from plantain.base.errors import InputError
from plantain.causal.cost import passes_of
from plantain.causal.heads import HeadSet, TokenRoute, all_heads, kind_of
from plantain.causal.sets import bottom, dose_matched, doses_of, random_alike, top
from plantain.records.lock import Geometry

GEOMETRY = Geometry(
    joint_blocks=5, single_blocks=20, heads=3, head_width=32, mlp_width=288, groups=540, parameters=1, text_width=144
)
HEADS = all_heads(GEOMETRY, TokenRoute.image)
SCORES = np.random.default_rng(1).standard_normal(75)


def kinds(heads):
    return Counter(kind_of(head, GEOMETRY) for head in heads)


def test_top_and_bottom_follow_the_scores():
    ranked = [HEADS.heads[at] for at in np.argsort(-SCORES)]
    assert top(HEADS, SCORES, 7) == HeadSet.of(ranked[:7])
    assert bottom(HEADS, SCORES, 7) == HeadSet.of(ranked[-7:])
    assert len(top(HEADS, SCORES, 0)) == 0
    assert top(HEADS, SCORES, 75) == HEADS
    assert top(HEADS, np.zeros(75), 2) == HeadSet(HEADS.heads[:2]), "of equal ones the first"


@pytest.mark.parametrize("scores", [SCORES[:74], np.where(np.arange(75) == 3, np.nan, SCORES)])
def test_scores_are_one_number_a_head(scores):
    with pytest.raises(InputError, match="for 75 heads"):
        top(HEADS, scores, 3)


def test_no_more_heads_than_there_are():
    with pytest.raises(InputError, match="76 heads of 75"):
        top(HEADS, SCORES, 76)


def test_random_sets_have_the_block_kinds_of_the_set_they_stand_for():
    like = HeadSet((*HEADS.heads[:4], *HEADS.heads[20:26]))
    drawn = [random_alike(HEADS, like, GEOMETRY, seed) for seed in range(300)]
    assert all(kinds(heads) == {"joint": 4, "single": 6} for heads in drawn)
    assert drawn[0] == random_alike(HEADS, like, GEOMETRY, 0)
    assert len(set(drawn)) > 290
    counts = Counter(head for heads in drawn for head in heads)
    share = {head: count / 300 for head, count in counts.items()}
    for head in HEADS:
        expected = 4 / 15 if kind_of(head, GEOMETRY) == "joint" else 6 / 60
        assert share[head] == pytest.approx(expected, abs=0.12)


def test_no_global_generator_is_touched():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.get_state()[1].copy()  # noqa: NPY002
    random_alike(HEADS, HEADS, GEOMETRY, 0)
    np.testing.assert_array_equal(np.random.get_state()[1], expected)  # noqa: NPY002


def test_matched_sets_have_other_heads_of_like_dose():
    doses = np.exp(np.random.default_rng(2).normal(size=75))
    like = HeadSet((*HEADS.heads[1:5], *HEADS.heads[30:38]))
    known = dict(zip(HEADS, doses, strict=True))
    for seed in range(20):
        found = dose_matched(HEADS, doses, like, GEOMETRY, seed)
        assert not set(found.heads) & set(like)
        assert kinds(found.heads) == kinds(like)
        assert found.across == 0
        assert found.dose == pytest.approx(sum(known[h] for h in found.heads) / sum(known[h] for h in like))
        assert 0.5 < found.dose < 2.0
    assert dose_matched(HEADS, doses, like, GEOMETRY, 0) == dose_matched(HEADS, doses, like, GEOMETRY, 0)
    closest = dose_matched(HEADS, np.arange(75.0) + 1, HeadSet(HEADS.heads[40:41]), GEOMETRY, 0, nearest=1)
    assert closest.heads.heads[0] in (HEADS.heads[39], HEADS.heads[41])


def test_an_exhausted_block_kind_is_told():
    like = HeadSet(HEADS.heads[:12])
    found = dose_matched(HEADS, np.ones(75), like, GEOMETRY, 0)
    assert found.across == 9, "three of fifteen joint heads are left"
    assert len(found.heads) == 12


def test_most_heads_cannot_be_matched():
    with pytest.raises(InputError, match="too few to match"):
        dose_matched(HEADS, np.ones(75), HeadSet(HEADS.heads[:38]), GEOMETRY, 0)


def test_doses_are_norms_of_what_reaches_the_residual_stream(tiny):
    """Against the projection itself, called with everything but one head's change set to zero."""
    import torch

    theatre = tiny.theatre
    one, other = tiny.clean["a small dog", "mention"], tiny.clean["a small dog", "viewpoint"]
    found = doses_of(theatre, one, other)
    assert found.shape == (75,)
    np.testing.assert_allclose(found, doses_of(theatre, other, one), rtol=1e-6)
    for at in (0, 7, 15, 43, 74):
        place, head = HEADS.heads[at]
        module, width = theatre.projections[place].module, theatre.projections[place].module.in_features
        start = 0 if place < 10 else 96
        change = torch.zeros(32, width)
        channels = slice(32 * head, 32 * head + 32)
        both = [passed.attention[place].values[start:, channels] for passed in (one, other)]
        change[:, channels] = both[1] - both[0]
        with torch.no_grad():
            norms = torch.linalg.vector_norm(module(change).double(), dim=1)
        assert found[at] == pytest.approx(float(norms.mean()), rel=1e-5)


def test_what_it_costs():
    singles = [HeadSet((head,)) for head in HEADS]
    found = passes_of(GEOMETRY, singles, 10)
    assert (found.clean, found.swapped) == (20, 1500)
    blocks_run = sum(3 * (25 - block) for block in range(25)) / 25
    assert found.forwards == pytest.approx(20 + 20 * blocks_run)
    whole = passes_of(GEOMETRY, [HEADS], 3, directions=1)
    assert (whole.clean, whole.swapped, whole.forwards) == (6, 3, 9.0)
    both = found + whole
    assert (both.clean, both.swapped) == (26, 1503)
    last = passes_of(GEOMETRY, [HeadSet.of([(29, 0)])], 1, directions=1)
    assert last.forwards == pytest.approx(2 + 1 / 25)


def test_what_it_costs_needs_no_torch(python, tmp_path):
    program = "import sys, plantain.causal.cost, plantain.causal.heads; print('torch' in sys.modules)"
    done = python(program, tmp_path)
    assert done.communicate()[0].strip() == "False"
