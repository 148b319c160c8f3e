"""A wording at a time is what all of them at once are, to the last bit."""

import numpy as np
import polars as pl
import pytest

from plantain.base.errors import InputError
from plantain.base.params import Measure, Tokens, UnitKind
from plantain.measure import magnitude
from plantain.measure.magnitude import Magnitude, item_level, measure, template_level
from plantain.records.activations import Activations

A, B = ("a0", "a1", "a2"), ("b0", "b1")


def groups():
    rows = [("single", block, "all", "attention", at // 2, 16 * at, 16) for block in range(2) for at in range(6)]
    names = ["block_kind", "block", "stream", "part", "head", "first_channel", "width"]
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.fixture
def activations():
    random = np.random.default_rng(0)
    values = random.gamma(2.0, size=(2, 7, 5, 2, 3, 4, 12)).astype(np.float32)
    values[:, :, 1, 1] = np.nan  # one wording has one alternative alone
    values[:, 3, 4] = np.nan  # and one item was not run with one wording
    values[:, 2, 0, ..., :2] = 0.0  # a silent head
    counts = random.integers(1, 9, (7, 5, 2, 4)).astype(np.int32)
    items = tuple(f"i{n}" for n in range(7))
    return Activations(values, counts, items, (*A, *B), ("x", "y"), (0, 1, 2), (0, 1))


@pytest.mark.parametrize("kind", UnitKind)
@pytest.mark.parametrize("block", [1, 1 << 19])
def test_sides_and_wordings_are_those_of_the_whole_measure(activations, monkeypatch, kind, block):
    whole = measure(activations, groups(), kind, Tokens.image, Measure.log_rms, draw=1)
    monkeypatch.setattr(magnitude, "BLOCK_VALUES", block)
    found = Magnitude.of(activations, groups(), kind, Tokens.image, Measure.log_rms, draw=1)
    np.testing.assert_array_equal(found.everything(), whole)
    by_item = [np.nanmean(whole[:, at].reshape(7, 6, -1), axis=1) for at in range(5)]
    sides = [np.mean(by_item[:3], axis=0), np.mean(by_item[3:], axis=0)]
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.item_level(A, B), sides[0] - sides[1], rtol=1e-12)
    np.testing.assert_array_equal(found.item_level(A, B), item_level(whole, (*A, *B), A, B))
    np.testing.assert_array_equal(found.template_level(B), template_level(whole, (*A, *B), B))


def test_a_wording_that_was_not_captured_is_named(activations):
    found = Magnitude.of(activations, groups(), UnitKind.head, Tokens.image, Measure.rms)
    with pytest.raises(InputError, match="'c' is not among"):
        found.wording("c")
