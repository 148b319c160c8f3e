"""Vector measures from Gram matrices, against the vectors themselves."""

import numpy as np
import polars as pl
import pytest
from helpers.vector_cells import NOTHING_KEPT, grams_of
from helpers.verdict_cells import ANALYSIS, CONTROL, RULES, TARGET, A, B, activations, groups, log_rms
from threadpoolctl import threadpool_limits

from plantain.base.params import WordingMeasure
from plantain.measure.plan import Comparison, RowScheme, framed, plan_of
from plantain.measure.vectors import MeasuredVectors, embedded, every_measure
from plantain.probe.records import ExpandedContrast
from plantain.probe.spec import Role
from plantain.stats import template_test

ITEMS = tuple(f"item-{k}" for k in range(12))
HEADS, DIMENSIONS = 60, 5


def planted(seed=0, references=1, seeds=1):
    random = np.random.default_rng(seed)
    wordings = random.standard_normal((1, 12, 1, 1, HEADS, DIMENSIONS))
    return wordings + random.standard_normal((12, 12, references, seeds, HEADS, DIMENSIONS))


def looked(vectors, measure=WordingMeasure.direction, **more):
    references, seeds = vectors.shape[2:4]
    cell = activations(log_rms(references=references, seeds=seeds))
    return MeasuredVectors(grams_of(vectors, A + B, ITEMS, cell.references, cell.seeds, **more), cell, measure)


def test_the_test_on_gram_matrices_is_that_on_the_vectors():
    vectors = planted()
    a, b = plan_of(TARGET, (TARGET,), RULES).rows(looked(vectors)).a, looked(vectors).rows(TARGET)[1]
    means = vectors.mean(axis=(0, 2, 3))
    kept, plain = template_test(a, b), template_test(means[:6], means[6:])
    assert kept.t == pytest.approx(plain.t, rel=1e-4)
    assert kept.delta == pytest.approx(plain.delta, abs=1e-3)
    assert np.array_equal(kept.p, plain.p)


def test_a_profile_is_every_item_beside_the_others():
    vectors = planted(1)
    a, b = looked(vectors, WordingMeasure.profile).rows(TARGET)
    own = vectors.mean(axis=(2, 3)).transpose(1, 2, 0, 3).reshape(12, HEADS, -1)
    kept, plain = template_test(a, b), template_test(own[:6], own[6:])
    assert kept.t == pytest.approx(plain.t, rel=1e-4)


def test_one_seed_and_reference_and_some_items():
    vectors = planted(2, references=2, seeds=3)
    chosen = ITEMS[::3]
    by = looked(vectors, subsets={"sampled": chosen})
    for part, expected in (
        (by.only(seed=2, reference=1), vectors[:, :, 1, 2].mean(axis=0)),
        (by.restricted(chosen, (0, 1, 2)), vectors[::3].mean(axis=(0, 2, 3))),
    ):
        a, b = part.rows(TARGET)
        assert template_test(a, b).t == pytest.approx(template_test(expected[:6], expected[6:]).t, rel=1e-4)
    assert by.restricted(ITEMS[:2], (0, 1, 2)) is None
    assert by.restricted(chosen, (0,)) is None, "one seed over two references was not kept"
    alone = looked(planted(3, seeds=3), subsets={"sampled": chosen}).restricted(chosen, (1,))
    expected = planted(3, seeds=3)[::3, :, 0, 1].mean(axis=0)
    assert template_test(*alone.rows(TARGET)).t == pytest.approx(template_test(expected[:6], expected[6:]).t, rel=1e-4)


def test_frames_of_a_contrast_and_of_its_control_stand_in_one_space():
    names = tuple(f"frame {k}" for k in range(3))
    target = ExpandedContrast("target", A[:3], B[:3], Role.target, (None,) * 6, None, frames=names * 2)
    control = ExpandedContrast("words", A[3:], B[3:], Role.control, (None,) * 6, None, frames=names * 2)
    vectors = planted(4)
    rows = Comparison(target, RowScheme.control, control).rows(looked(vectors))
    means = vectors.mean(axis=(0, 2, 3))
    plain = template_test(means[:3] - means[6:9], means[3:6] - means[9:12])
    assert template_test(rows.a, rows.b).t == pytest.approx(plain.t, rel=1e-4)
    assert len(framed(target)) == 3


def test_heads_unknown_in_a_wording_are_left_out_and_a_set_that_nobody_has_is_no_part():
    vectors = planted(5)
    known = looked(vectors)
    noise = known.grams.mean["noise"]
    grams = grams_of(vectors, A + B, ITEMS, ("image_0",), (0,))
    both = {"noise": noise, "reference": np.full_like(noise, np.nan)}
    absent = MeasuredVectors(
        type(grams)(both, both, grams.heads | {"reference": grams.heads["noise"]}, grams.conditions, grams.subsets,
                    grams.views, grams.draws, profile_subsets=grams.profile_subsets),
        known.activations, WordingMeasure.direction,
    )  # fmt: skip
    assert template_test(*absent.rows(TARGET)).t == pytest.approx(template_test(*known.rows(TARGET)).t)


def test_units_are_those_of_the_projections_that_see_the_tokens():
    table = looked(planted()).units(groups())
    assert table["unit"].to_list() == list(range(HEADS))
    assert isinstance(table, pl.DataFrame)


def test_a_capture_that_kept_nothing_leaves_magnitude():
    cell = activations(log_rms())
    assert list(every_measure(cell, groups(), ANALYSIS, NOTHING_KEPT)) == [WordingMeasure.log_rms]
    full = grams_of(planted(), A + B, ITEMS, cell.references, cell.seeds)
    assert list(every_measure(cell, groups(), ANALYSIS, full)) == ["log_rms", "direction", "profile"]


def test_a_wording_twice_in_a_contrast_is_its_own_neighbour():
    """CONTROL shares wordings between its sides: distances of 0, no error."""
    assert np.isfinite(template_test(*looked(planted()).rows(CONTROL)).t).all()


@pytest.mark.parametrize("rank", [1, 4, 11])
def test_coordinates_have_the_inner_products_whatever_the_number_of_threads(rank):
    random = np.random.default_rng(6)
    vectors = random.standard_normal((12, 3, rank))
    vectors[:, 2] = 0.0
    centred = vectors - vectors.mean(axis=0)
    rows, columns = np.triu_indices(12)
    pairs = np.einsum("chd,khd->hck", centred, centred)[:, rows, columns].astype(np.float32)
    with threadpool_limits(1):
        alone = embedded(pairs, 12)
    assert np.array_equal(alone, embedded(pairs, 12))
    found = np.einsum("chd,khd->hck", alone, alone)[:, rows, columns]
    assert found == pytest.approx(pairs, abs=1e-5)
    assert not alone[:, 2].any()
