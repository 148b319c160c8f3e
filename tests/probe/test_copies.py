"""Copies would be counted as independent evidence: items that are one item, wordings that are one wording."""

from pathlib import Path

import pytest

from plantain.base.errors import InputError
from plantain.probe.copies import contents, shared_side
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe

TEXT = """\
probe: mine
references:
  "{room}": {prompt: "A {look}"}
conditions:
  a_1: {prompt: "See {who}", reference: "{room}"}
  a_2: {prompt: "Look at {who}", reference: "{room}"}
  b_1: {prompt: "Hear {who} {how}", reference: "{room}"}
contrasts:
  target: {a: [a_1, a_2], b: b_1, role: target}
  words: {a: a_1, b: a_2, role: control, flip_blocks: kind}
items:
  - {id: cat, who: a cat, how: well, room: kitchen, look: room, kind: pet, rank: 1}
  - {id: dog, who: a dog, how: well, room: kitchen, look: room, kind: pet, rank: 2}
  - {id: fox, who: a fox, how: well, room: kitchen, look: room, kind: wild, rank: 3}
"""


def load(folder: Path, *changes: tuple[str, str]):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "mine.yaml"
    path.write_text(text)
    return expand(read_probe(path), folder)


def refused(folder: Path, *changes: tuple[str, str]) -> InputError:
    with pytest.raises(InputError) as caught:
        load(folder, *changes)
    assert caught.value.fix
    return caught.value


def test_items_that_differ_in_what_no_template_uses_are_one_item(tmp_path):
    assert load(tmp_path)
    error = refused(tmp_path, ("who: a fox", 'who: " a cat"'))
    assert (error.line, error.field) == (14, "items.2")
    assert "'cat' (line 12) and 'fox' put the same prompts in every condition" in error.problem


def test_names_of_pictures_and_ids_do_not_tell_items_apart(tmp_path):
    error = refused(tmp_path, ("who: a fox, how: well, room: kitchen", "who: a dog, how: well, room: hall"))
    assert (error.line, "(line 13)" in error.problem) == (14, True)


def test_a_template_may_tell_items_apart_by_their_id(tmp_path):
    assert load(tmp_path, ("who: a fox", "who: a cat"), ("See {who}", "See {id}"), ("Look at {who}", "Look at {id}"))


def test_two_wordings_of_a_side_with_one_text_are_one_wording(tmp_path):
    error = refused(tmp_path, ("Look at {who}", "See  {who}"), ("See {who}", "See  {who}"))
    assert (error.line, error.field) == (6, "conditions.a_2")
    assert "'a_2' and 'a_1' (line 5) are on one side" in error.problem


def test_items_that_are_one_pair_in_a_contrast_must_share_a_flip_block(tmp_path):
    """fox and cat differ in b_1 alone, so in `words`, which leaves b_1 out, they are one pair."""
    same = ("who: a fox, how: well", "who: a cat, how: badly")
    error = refused(tmp_path, same)
    assert (error.line, "contrast 'words'" in error.problem, "flip_blocks" in error.fix) == (14, True, True)
    assert load(tmp_path, same, ("kind: wild", "kind: pet"))


def test_items_may_share_one_side_and_are_named(tmp_path):
    expansion = load(tmp_path, ("Hear {who} {how}", "Hear someone {how}"))
    target, table = expansion.contrasts[0], contents(expansion)
    assert shared_side(table, target, target.b) == (("cat", "dog"), ("cat", "fox"))
    assert shared_side(table, target, target.a) == ()


def test_a_single_item_is_refused_before_anything_runs(tmp_path):
    text = TEXT.splitlines(keepends=True)
    path = tmp_path / "mine.yaml"
    path.write_text("".join(text[:-2]))
    with pytest.raises(InputError, match="a single item has no spread") as caught:
        expand(read_probe(path), tmp_path)
    assert caught.value.line == 11
