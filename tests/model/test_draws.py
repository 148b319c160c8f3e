"""Untrained models: what they keep of their parent, and their digests."""

import pytest
import torch
from helpers.model_sources import equal, local

from plantain.base.errors import InputError
from plantain.model.load import load_text_encoder, load_transformer
from plantain.model.resolve import resolve


def test_a_reinitialised_model_keeps_everything_but_its_transformer(saved, home):
    params = local(saved)
    lock, units = resolve("fresh", params)
    parent, parent_units = resolve("mine", params)
    assert (lock.seeds, lock.family, lock.reference_model, len(lock.draws)) == ([4], False, "mine", 1)
    assert units.equals(parent_units)
    assert equal(load_text_encoder(lock, "cpu"), load_text_encoder(parent, "cpu"))
    made = load_transformer(lock, "cpu")
    assert equal(made, load_transformer(lock, "cpu"))
    assert not equal(made, load_transformer(parent, "cpu"))
    weight = made.x_embedder.weight
    assert weight.abs().max() <= weight.shape[1] ** -0.5


def test_a_family_is_one_lock_with_a_digest_a_draw(saved, home):
    params = local(saved)
    lock, _ = resolve("family", params)
    assert (lock.seeds, lock.family, len(set(lock.draws))) == ([0, 1, 2], True, 3)
    parent = load_transformer(resolve("mine", params)[0], "cpu").x_embedder.weight
    draws = [load_transformer(lock, "cpu", draw).x_embedder.weight for draw in range(3)]
    for draw in draws:
        assert not torch.equal(draw, parent)
        assert torch.equal(draw.flatten().sort().values, parent.flatten().sort().values)
    assert not torch.equal(draws[0], draws[1])
    with pytest.raises(InputError, match=r"family has no draw 3.*0 to 2"):
        load_transformer(lock, "cpu", 3)


def test_a_draw_that_differs_from_its_digest_is_refused(saved, home):
    lock, _ = resolve("family", local(saved))
    wrong = lock.model_copy(update={"draws": [lock.draws[1], lock.draws[0], lock.draws[2]]})
    load_transformer(wrong, "cpu", 2)
    with pytest.raises(InputError, match="weights of family, draw 0, made here have digest"):
        load_transformer(wrong, "cpu", 0)
