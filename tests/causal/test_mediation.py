"""Mediation against least squares, and facts about the embedded models that were measured with other code."""

import numpy as np
import pytest
import torch
from helpers.capture_model import make_lock

from plantain.base.errors import InputError
from plantain.causal.heads import KINDS, HeadSet, TokenRoute, kind_of
from plantain.causal.mediation import RoundingFloor, in_float32, mediation, relative_change, rounding_floor
from plantain.causal.swaps import Swap


def test_m_is_the_coefficient_of_least_squares():
    rng = np.random.default_rng(0)
    recipient, donor = rng.standard_normal((2, 6, 5)).astype(np.float32)
    swapped = rng.standard_normal((4, 6, 5)).astype(np.float32)
    found = mediation(torch.from_numpy(swapped), torch.from_numpy(recipient), torch.from_numpy(donor))
    change = (donor.astype(np.float64) - recipient).ravel()
    for row in range(4):
        moved = (swapped[row].astype(np.float64) - recipient).ravel()
        (m,), (rest,), *_ = np.linalg.lstsq(change[:, None], moved, rcond=None)
        np.testing.assert_allclose(found.m[row], m, rtol=1e-12)
        np.testing.assert_allclose(found.off_axis[row], np.sqrt(rest) / np.linalg.norm(change), rtol=1e-12)
    assert found.m.dtype == found.off_axis.dtype == np.float64


def test_none_half_and_all_of_a_change():
    recipient, donor = np.zeros((3, 2)), np.arange(6.0).reshape(3, 2)
    m, off_axis = mediation(np.stack([recipient, donor / 2, donor, -donor]), recipient, donor)
    np.testing.assert_array_equal(m, [0.0, 0.5, 1.0, -1.0])
    np.testing.assert_array_equal(off_axis, np.zeros(4))
    assert mediation(donor, recipient, donor).m.shape == (1,)


def test_nothing_can_be_mediated_where_nothing_changes():
    with pytest.raises(InputError, match="same velocity"):
        mediation(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)))


def between(stage, first, second):
    found = [
        relative_change(stage.clean[creature, first], stage.clean[creature, second])
        for creature in ("a small dog", "a tall person")
    ]
    return float(np.mean(found))


def test_the_trained_model_draws_the_difference_between_sides_and_not_between_wordings(tiny, untrained):
    """Published ratios: 25 for tiny, 0.4 for an untrained network."""
    trained = between(tiny, "mention", "viewpoint") / between(tiny, "viewpoint_2", "viewpoint")
    chance = between(untrained, "mention", "viewpoint") / between(untrained, "viewpoint_2", "viewpoint")
    assert trained > 8
    assert chance < 2


def test_joint_heads_carry_a_part_and_single_heads_nearly_all(tiny):
    """Published for the mean over ten items: joint .68 and .41, single .995 and 1.003."""
    recipient, donor = tiny.clean["a small dog", "mention"], tiny.clean["a small dog", "viewpoint"]
    geometry = tiny.theatre.lock.geometry
    parts = {kind: HeadSet.of(h for h in tiny.theatre.heads() if kind_of(h, geometry) == kind) for kind in KINDS}
    found = {
        kind: mediation(tiny.theatre.swapped(recipient, [Swap(donor, heads)]), recipient, donor).m[0]
        for kind, heads in parts.items()
    }
    assert {kind: len(heads) for kind, heads in parts.items()} == {"joint": 15, "single": 60}
    assert 0.1 < found["joint"] < 0.95
    assert found["single"] == pytest.approx(1.0, abs=0.1)


def test_rounding_is_far_below_the_changes_of_float32(tiny):
    floor = rounding_floor(tiny.theatre, list(tiny.passes.values())[:3])
    assert floor.precision is None
    assert floor.largest == floor.batch < 1e-6
    floor.refuse(tiny.clean["a small dog", "mention"], tiny.clean["a small dog", "viewpoint"])


def test_a_change_that_is_too_near_to_rounding_is_refused(tiny):
    pair = tiny.clean["a small dog", "viewpoint"], tiny.clean["a small dog", "viewpoint_2"]
    change = relative_change(*pair)
    RoundingFloor("tiny", "bfloat16", 0.0, change / 10.1).refuse(*pair)
    with pytest.raises(
        InputError, match="'tiny' in bfloat16: from 'viewpoint' to 'viewpoint_2' of 'a small dog'"
    ) as found:
        RoundingFloor("tiny", "bfloat16", change / 9.9, None).refuse(*pair)
    assert "set dtype: float32" in found.value.fix
    assert found.value.field == "models.tiny.dtype"


def test_a_low_precision_is_compared_with_float32(home, small_model, staged):
    low = staged(lambda: make_lock(small_model, dtype="bfloat16"), home / "noise")
    floor = rounding_floor(low.theatre, list(low.passes.values())[:2])
    assert floor.dtype == "bfloat16"
    assert floor.precision is not None
    assert 1e-4 < floor.precision < 0.1
    assert low.theatre.transformer.dtype == torch.bfloat16, "the model itself is left as it is"
    exact = in_float32(low.theatre)
    assert exact.transformer.dtype == torch.float32
    one = low.passes["a small dog", "viewpoint"]
    assert relative_change(exact.velocities([one])[0], low.clean["a small dog", "viewpoint"]) == pytest.approx(
        floor.precision, rel=1.0
    )
    with pytest.raises(InputError, match="through rounding alone"):
        floor.refuse(low.clean["a small dog", "viewpoint"], low.clean["a small dog", "viewpoint_2"])


def test_the_floor_needs_company(small):
    with pytest.raises(InputError, match="two passes"):
        rounding_floor(small.theatre, [small.passes["a small dog", "viewpoint"]])


def test_text_tokens_matter_upstream(tiny):
    recipient, donor = tiny.clean["a small dog", "mention"], tiny.clean["a small dog", "viewpoint"]
    heads = tiny.theatre.heads(TokenRoute.text)
    found = tiny.theatre.swapped(recipient, [Swap(donor, heads, TokenRoute.text)])
    m, _ = mediation(found, recipient, donor)
    assert 0.0 < abs(m[0]) < 1.0, "embeddings of the recipient's own words are left"
