import hashlib
import io
import json
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.probe.expand import expand_with
from plantain.probe.spec import read_probe
from plantain.probe.store import read_contrasts, read_records, read_references, write_expansion

TEXT = """\
probe: events
references:
  "{event}_before": {prompt: "Before {what}"}
  "{event}_after": {file: "images/{event}.png"}
conditions:
  before: {prompt: "Continue the picture", reference: "{event}_before"}
  after: {prompt: "Continue the picture", reference: ["{event}_after", "{event}_before"]}
  plain: {prompt: "{{literal}} {what}, {times} times", stratum: one}
contrasts:
  target: {a: after, b: before, role: target}
  other: {a: plain, b: before, role: control, flip_blocks: event}
items:
  - {id: first-flood, event: flood, what: a flood, times: 2, height: 1}
  - {id: fire, event: fire, what: "a {fire}", times: 3, height: 1.5}
  - {id: second-flood, event: flood, what: a flood, times: 4}
"""


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def painted(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(stream, "PNG")
    return stream.getvalue()


PICTURES = {"flood": painted("blue"), "fire": painted("red")}


def build(folder: Path, text: str | bytes = TEXT, name: str = "events"):
    (folder / "images").mkdir(exist_ok=True)
    for event, picture in PICTURES.items():
        (folder / "images" / f"{event}.png").write_bytes(picture)
    path = folder / f"{name}.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return expand_file(path, folder)


def expand_file(path: Path, folder: Path):
    """Whatever is written: these tests hold single items, and items that share their pictures."""
    return expand_with(read_probe(path), lambda file: sha256_file(folder / file))


def test_templates_are_plain_substitution(tmp_path):
    prompts = {(r.item, r.condition): r.prompt for r in build(tmp_path).records}
    assert prompts["first-flood", "plain"] == "{literal} a flood, 2 times"
    assert prompts["fire", "plain"] == "{literal} a {fire}, 3 times"


def test_records_come_in_item_order_then_condition_order(tmp_path):
    keys = [(record.item, record.condition) for record in build(tmp_path).records]
    assert keys == [
        (item, name) for item in ("first-flood", "fire", "second-flood") for name in ("before", "after", "plain")
    ]


def test_references_expand_per_item_and_carry_the_bytes_of_files(tmp_path):
    expansion = build(tmp_path)
    names = [reference.name for reference in expansion.references]
    assert names == ["flood_before", "fire_before", "flood_after", "fire_after"]
    by_name = {reference.name: reference for reference in expansion.references}
    assert by_name["flood_before"].prompt == "Before a flood"
    assert by_name["fire_after"].file == "images/fire.png"
    assert by_name["fire_after"].file_sha256 == sha(PICTURES["fire"])
    record = next(r for r in expansion.records if (r.item, r.condition) == ("second-flood", "after"))
    assert record.reference == ("flood_after", "flood_before")


def test_digests_are_sha256_of_canonical_json(tmp_path):
    expansion = build(tmp_path)
    before = sha(canonical({"name": "fire_before", "prompt": "Before a {fire}", "file_sha256": None}))
    record = {
        "item": "fire",
        "condition": "before",
        "prompt": "Continue the picture",
        "reference": [{"name": "fire_before", "sha256": before}],
        "fields": {"event": "fire", "what": "a {fire}", "times": 3, "height": 1.5},
    }
    digests = {(r.item, r.condition): r.sha256 for r in expansion.records}
    assert digests["fire", "before"] == sha(canonical(record))
    assert expansion.set_sha256 == sha(canonical(sorted(digests.values())))


def test_a_changed_image_changes_just_the_records_that_use_it(tmp_path):
    old = build(tmp_path)
    (tmp_path / "images" / "fire.png").write_bytes(painted("green"))
    new = expand_file(tmp_path / "events.yaml", tmp_path)
    changed = [(a.item, a.condition) for a, b in zip(old.records, new.records, strict=True) if a.sha256 != b.sha256]
    assert changed == [("fire", "after")]
    assert old.set_sha256 != new.set_sha256


def test_line_ends_normal_forms_and_blanks_around_text_do_not_count(tmp_path):
    text = TEXT.replace("a flood", '"caf\u00e9 \\nflood"').replace("Continue the picture", "Continue\\nthe picture")
    plain = build(tmp_path, text)
    assert plain.records[0].prompt == "Continue\nthe picture"
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    for other in (text.replace("\n", "\r\n"), decomposed, text.replace("picture", "picture  "), "\ufeff" + text):
        assert build(tmp_path, other).set_sha256 == plain.set_sha256
    escaped = text.replace("Continue\\nthe", "Continue\\r\\nthe")
    assert build(tmp_path, escaped).records == plain.records


def test_accents_that_meet_at_the_edge_of_a_field_are_composed(tmp_path):
    text = TEXT.replace('"{{literal}} {what},', '"e{what},').replace("what: a flood", 'what: "\\u0301t\\u00e9"')
    prompts = {r.prompt for r in build(tmp_path, text).records if r.condition == "plain"}
    assert "\u00e9t\u00e9, 2 times" in prompts


def test_order_does_not_count_and_contrasts_are_no_part_of_the_digest(tmp_path):
    old = build(tmp_path)
    lines = TEXT.splitlines()
    shuffled = [*lines[:-3], lines[-1], lines[-3], lines[-2]]
    new = build(tmp_path, "\n".join(shuffled).replace("a: plain, b: before", "a: before, b: plain"))
    assert [r.item for r in new.records[:1]] == ["second-flood"]
    assert new.set_sha256 == old.set_sha256


def test_contrasts_carry_strata_and_flip_blocks_in_order(tmp_path):
    contrast = build(tmp_path).contrasts[1]
    assert contrast.strata == ("one", None)
    assert contrast.flip_blocks == ("flood", "fire", "flood")


def test_files_round_trip_and_equal_inputs_give_equal_bytes(tmp_path):
    expansion = build(tmp_path)
    write_expansion(expansion, tmp_path / "one")
    write_expansion(expansion, tmp_path / "two")
    names = ["events.contrasts.json", "events.parquet", "events.references.json"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert read_records(tmp_path / "one" / "events.parquet") == expansion.records
    assert read_references(tmp_path / "one" / "events.references.json") == expansion.references
    contrasts = read_contrasts(tmp_path / "one" / "events.contrasts.json")
    assert contrasts.contrasts == expansion.contrasts
    assert contrasts.items == ("first-flood", "fire", "second-flood")
    assert [fields.get("height") for fields in contrasts.fields] == [1.0, 1.5, None]


def test_contrasts_of_an_older_revision_can_be_read(tmp_path):
    expansion = build(tmp_path)
    write_expansion(expansion, tmp_path)
    path = tmp_path / "events.contrasts.json"
    data = json.loads(path.read_bytes())
    for contrast in data["contrasts"]:
        for name in ("frames", "clusters", "ties", "decides"):
            del contrast[name]
    del data["neutral"]
    path.write_text(json.dumps(data))
    for one in read_contrasts(path).contrasts:
        size = len(one.a) + len(one.b)
        assert (one.frames, one.clusters, one.ties, one.decides) == ((None,) * size, tuple(range(size)), (), None)


def test_the_parquet_has_the_documented_columns(tmp_path):
    write_expansion(build(tmp_path), tmp_path / "out")
    table = pl.read_parquet(tmp_path / "out" / "events.parquet")
    fields = ["event", "what", "times", "height"]
    assert table.columns == ["item", "condition", "prompt", "reference", "sha256", *fields]
    assert table.schema["reference"] == pl.List(pl.String)
    assert table["times"].dtype == pl.Int64
    assert table["height"].to_list()[-1] is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("event: fire,", "event: Fire!,", "'Fire!_before' is not a valid name"),
        ('what: a flood, times: 4', "what: a deluge, times: 4", "two different images are called 'flood_before'"),
        ('["{event}_after", "{event}_before"]', '["{event}_after", "{what}"]', "there is no reference 'a flood'"),
        ('["{event}_after", "{event}_before"]', '["{event}_after", "flood_after"]', "same reference twice"),
    ],
)  # fmt: skip
def test_references_that_do_not_work_out_are_refused(tmp_path, old, new, problem):
    with pytest.raises(InputError, match=problem) as caught:
        build(tmp_path, TEXT.replace(old, new, 1))
    assert caught.value.line is not None
    assert caught.value.fix


def test_whole_sentences_stand_in_the_items(tmp_path):
    text = """\
probe: pairs
conditions: {a: {prompt: "{canonical}"}, b: {prompt: "{bent}"}}
contrasts: {target: {a: a, b: b, role: target}}
items:
  - {id: one, canonical: "He stands.", bent: "He {bends}."}
"""
    expansion = build(tmp_path, text, "pairs")
    assert [record.prompt for record in expansion.records] == ["He stands.", "He {bends}."]
    assert expansion.references == ()
