from pathlib import Path

from plantain.probe.authoring.diff import diff
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe

TEXT = """\
probe: mine
conditions: {a: {prompt: "See {x}"}, b: {prompt: "Show {x}"}}
contrasts:
  target: {a: a, b: b, role: target}
  blocks: {a: b, b: a, role: control, flip_blocks: kind}
items:
  - {id: cat, x: a cat, kind: pet, rank: 1}
  - {id: dog, x: a dog, kind: pet, rank: 2}
  - {id: fox, x: a fox, kind: wild, rank: 3}
"""


def build(folder: Path, text: str):
    path = folder / "mine.yaml"
    path.write_text(text)
    return expand(read_probe(path), folder)


def keys(records):
    return [(record.item, record.condition) for record in records]


def test_added_removed_and_edited_records_are_told_apart(tmp_path):
    after = TEXT.replace("a dog", "a big dog").replace("id: fox", "id: red-fox")
    found = diff(build(tmp_path, TEXT), build(tmp_path, after))
    assert keys(found.added) == [("red-fox", "a"), ("red-fox", "b")]
    assert keys(found.removed) == [("fox", "a"), ("fox", "b")]
    assert [(edit.before.prompt, edit.after.prompt) for edit in found.edited] == [
        ("See a dog", "See a big dog"),
        ("Show a dog", "Show a big dog"),
    ]
    assert not found.empty


def test_a_field_in_no_prompt_is_part_of_the_record(tmp_path):
    found = diff(build(tmp_path, TEXT), build(tmp_path, TEXT.replace("rank: 3", "rank: 9")))
    assert [edit.after.fields["rank"] for edit in found.edited] == [9, 9]


def test_a_reordering_is_no_difference(tmp_path):
    lines = TEXT.splitlines(keepends=True)
    found = diff(build(tmp_path, TEXT), build(tmp_path, "".join([*lines[:-3], lines[-1], lines[-3], lines[-2]])))
    assert found.empty
    assert found.before_sha256 == found.after_sha256


def test_an_edited_contrast_is_named_and_changes_no_record(tmp_path):
    for old, new in (("flip_blocks: kind", "flip_blocks: x"), ("{a: b, b: a,", "{a: a, b: b,")):
        found = diff(build(tmp_path, TEXT), build(tmp_path, TEXT.replace(old, new)))
        assert found.contrasts == ("blocks",)
        assert (found.added, found.removed, found.edited) == ((), (), ())
        assert found.before_sha256 == found.after_sha256
