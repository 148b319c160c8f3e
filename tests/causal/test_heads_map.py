"""The map of all heads: the same numbers as swaps one by one, the same bytes however it was computed."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import Notes

from plantain.base.errors import InputError
from plantain.capture.progress import Silent
from plantain.capture.shards import Store
from plantain.causal import heads_map
from plantain.causal.heads import HeadSet, TokenRoute
from plantain.causal.heads_map import SwapPair, mediate, single_head_mediation
from plantain.causal.mediation import RoundingFloor, mediation, relative_change
from plantain.causal.sets import doses_of
from plantain.causal.swaps import Swap


@pytest.fixture
def store(tmp_path) -> Store:
    return Store("causal", lambda _: None, tmp_path / "causal")


def kept(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(str(store)).glob("*/*")}


def pairs(stage):
    return [stage.pair(creature) for creature in ("a small dog", "a tall person")]


def test_it_is_the_mediation_of_every_single_head_both_ways(small, store):
    found = single_head_mediation(small.theatre, pairs(small), store=store, progress=Silent())
    heads = small.theatre.heads()
    assert found.m.shape == found.off_axis.shape == (2, 2, 10)
    assert found.sets == tuple(HeadSet((head,)) for head in heads)
    for at, (recipient, donor) in enumerate(pairs(small)):
        one, other = small.theatre.clean(recipient), small.theatre.clean(donor)
        for way, (base, given) in enumerate([(one, other), (other, one)]):
            edits = [Swap(given, HeadSet((head,))) for head in heads]
            expected = mediation(small.theatre.swapped(base, edits), base, given)
            np.testing.assert_array_equal(found.m[at, way], expected.m)
            np.testing.assert_array_equal(found.off_axis[at, way], expected.off_axis)
            assert found.change[at, way] == relative_change(base, given)
        np.testing.assert_array_equal(found.dose[at], doses_of(small.theatre, one, other))
    np.testing.assert_allclose(found.mean_m(), found.m.mean(axis=(0, 1)), rtol=1e-12)


def test_items_count_equally_whatever_their_number_of_pairs(small, store):
    further = SwapPair(small.passes["a small dog", "mention"], small.passes["a small dog", "viewpoint_2"])
    found = mediate(
        small.theatre, [*pairs(small), further], [small.theatre.heads()], both=False, store=store, progress=Silent()
    )
    assert found.m.shape == (3, 1, 1)
    sets = [HeadSet.of([(4, 0)])]
    found = mediate(small.theatre, [*pairs(small), further], sets, both=False, store=store, progress=Silent())
    dog, person, second = found.m[:, 0, 0]
    assert found.mean_m()[0] == pytest.approx(((dog + second) / 2 + person) / 2)
    assert found.mean_dose().shape == (10,)


def test_a_second_run_swaps_nothing(small, store, monkeypatch):
    first = single_head_mediation(small.theatre, pairs(small), store=store, progress=Silent())
    before = kept(store)
    monkeypatch.setattr(heads_map, "_run", None)
    again = single_head_mediation(small.theatre, pairs(small), store=store, progress=Silent())
    np.testing.assert_array_equal(again.m, first.m)
    assert kept(store) == before
    assert len(before) == 2


def test_an_interrupted_run_goes_on_and_leaves_the_same_bytes(small, store, tmp_path, monkeypatch):
    whole = Store("causal", lambda _: None, tmp_path / "whole")
    single_head_mediation(small.theatre, pairs(small), store=whole, progress=Silent())
    made, calls = heads_map._Work.of, []

    def stopping(self, pair, advance):
        calls.append(pair)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return made(self, pair, advance)

    told = Notes()
    with monkeypatch.context() as patch:
        patch.setattr(heads_map._Work, "of", stopping)
        with pytest.raises(KeyboardInterrupt):
            single_head_mediation(small.theatre, pairs(small), store=store, progress=told)
    assert told.said == ["interrupted: 1 of 2 pairs are kept; run again to go on from there."]
    assert len(kept(store)) == 1
    told = Notes()
    single_head_mediation(small.theatre, pairs(small), store=store, progress=told)
    assert told.steps == 20, "only the pair that was missing"
    assert kept(store) == kept(whole)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_the_number_of_workers_changes_no_byte(small, store, tmp_path):
    told = Notes()
    many = Store("causal", told.note, tmp_path / "many")
    found = single_head_mediation(small.theatre, pairs(small), workers=2, store=many, progress=told)
    alone = single_head_mediation(small.theatre, pairs(small), workers=1, store=store, progress=Silent())
    np.testing.assert_array_equal(found.m, alone.m)
    assert kept(many) == kept(store)
    assert told.steps == 40
    assert told.said == []


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_what_a_failing_worker_leaves_is_done_without_it(small, store, tmp_path, monkeypatch):
    parent, made = os.getpid(), heads_map._Work.of

    def failing(self, pair, advance):
        if os.getpid() != parent:
            raise RuntimeError("no such luck")
        return made(self, pair, advance)

    monkeypatch.setattr(heads_map._Work, "of", failing)
    told = Notes()
    found = single_head_mediation(small.theatre, pairs(small), workers=2, store=store, progress=told)
    assert sum("no such luck" in sentence for sentence in told.said) == 2
    monkeypatch.undo()
    fine = Store("causal", told.note, tmp_path / "fine")
    alone = single_head_mediation(small.theatre, pairs(small), workers=1, store=fine, progress=Silent())
    np.testing.assert_array_equal(found.m, alone.m)


def test_what_is_asked_is_part_of_the_key(small, store):
    asked = pairs(small)[:1]
    options = {"store": store, "progress": Silent()}
    mediate(small.theatre, asked, [HeadSet.of([(4, 0)])], **options)
    mediate(small.theatre, asked, [HeadSet.of([(4, 1)])], **options)
    mediate(small.theatre, asked, [HeadSet.of([(4, 0)])], tokens=TokenRoute.noise, **options)
    mediate(small.theatre, asked, [HeadSet.of([(4, 0)])], both=False, **options)
    mediate(small.theatre, [SwapPair(*reversed(asked[0]))], [HeadSet.of([(4, 0)])], **options)
    assert len(kept(store)) == 5


def test_pairs_near_to_rounding_are_refused_before_anything_is_swapped(small, store, monkeypatch):
    monkeypatch.setattr(heads_map, "_run", None)
    with pytest.raises(InputError, match="through rounding alone"):
        single_head_mediation(
            small.theatre, pairs(small), floor=RoundingFloor("small", "float32", 1.0, None), store=store
        )
    assert kept(store) == {}
