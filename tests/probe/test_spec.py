import re
from pathlib import Path

import pytest

from plantain.base.errors import InputError
from plantain.probe.expand import expand
from plantain.probe.spec import Decides, Role, read_probe

GOOD = """\
probe: mine
title: Mine
references:
  room: {prompt: "A room"}
conditions:
  seen: {prompt: "The room as {who} sees it", reference: room}
  shown: {prompt: "The room with {who} in it", reference: room, stratum: short}
  alone: {prompt: "The room for {who}", reference: room}
contrasts:
  target: {a: seen, b: [shown], role: target}
  other: {a: [alone], b: [seen], role: control, flip_blocks: kind}
items:
  - {id: cat, who: a cat, kind: pet}
  - {id: big-dog, who: a dog, kind: pet}
  - {id: fox, who: a fox, kind: wild}
"""


def write(folder: Path, text: str | bytes, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(path: Path):
    return expand(read_probe(path), path.parent)


def test_a_probe_is_read_as_it_stands(tmp_path):
    probe = read_probe(write(tmp_path, GOOD))
    assert list(probe.conditions) == ["seen", "shown", "alone"]
    assert (probe.conditions["shown"].stratum, probe.conditions["seen"].stratum) == ("short", None)
    assert probe.contrasts["target"].a == ("seen",)
    assert probe.contrasts["target"].role is Role.target
    assert probe.contrasts["other"].flip_blocks == "kind"
    assert probe.items["big-dog"].fields == {"who": "a dog", "kind": "pet"}
    assert probe.hypothesis == ""


CASES = [
    # what is replaced, by what, the line named, the field named, words of the problem and of the fix
    ("as {who} sees", "as {whom} sees", 6, "conditions.seen", "no item has the field 'whom'", "id, who, kind"),
    ("id: fox", "id: cat", 15, "items.2.id", "'cat' occurs twice", "an id of its own"),
    ("a: seen,", "a: sene,", 10, "contrasts.target.a", "no condition 'sene'", "seen, shown, alone"),
    ("b: [shown]", "b: [shown, sene]", 10, "contrasts.target.b.1", "no condition 'sene'", "seen"),
    (re.compile(r"items:\n(.|\n)*"), "items: []\n", 12, "items", "empty", "at least one"),
    (re.compile(r"items:\n(.|\n)*"), "items:\n", 12, "items", "nothing stands where a list", "list"),
    (re.compile(r"items:\n(.|\n)*"), "", 1, "", "`items` is missing", "items:"),
    (", who: a fox", "", 15, "items.2", "item 'fox' has no 'who'", "add `who:`"),
    ("b: [shown]", "b: [shown, shown]", 10, "contrasts.target.b.1", "listed twice", "once"),
    ("b: [shown]", "b: [shown, seen]", 10, "contrasts.target", "both sides hold seen", "of its own"),
    ('"The room as {who} sees it"', "12", 6, "conditions.seen.prompt", "a number stands where text", "quotes"),
    ('"The room as {who} sees it"', "true", 6, "conditions.seen.prompt", "a boolean stands where text", "quotes"),
    ('"The room as {who} sees it"', "[x]", 6, "conditions.seen.prompt", "a list stands where text", "quotes"),
    ('"The room as {who} sees it"', '" "', 6, "conditions.seen.prompt", "empty", "write"),
    ("  shown:", "  seen:", 7, "", "occurs twice", "keep one"),
    ("The room as", "The room\\tas", 6, "conditions.seen.prompt", "U+0009", "visible"),
    ("The room as", "The room\\u200bas", 6, "conditions.seen.prompt", "U+200B", "visible"),
    ("who: a cat", 'who: "a \\x07cat"', 13, "items.0.who", "U+0007", "visible"),
    ("{who} sees", "{who.__class__} sees", 6, "conditions.seen.prompt", "'{who.__class__}' is not a plain field", "{{"),
    ("{who} sees", "{who!r} sees", 6, "conditions.seen.prompt", "not a plain field", "{{"),
    ("{who} sees", "{} sees", 6, "conditions.seen.prompt", "not a plain field", "{{"),
    ("{who} sees", "{who sees", 6, "conditions.seen.prompt", "a single '{'", "{{"),
    ("{who} sees", "who} sees", 6, "conditions.seen.prompt", "a single '}'", "}}"),
    ("  seen:", "  Seen-it:", 6, "conditions.Seen-it", "not a valid name", "lower-case"),
    ("  other:", "  other-one:", 11, "contrasts.other-one", "not a valid name", "lower-case"),
    ("probe: mine", "probe: mine-2", 1, "probe", "not a valid name", "lower-case"),
    ("probe: mine", "probe: yours", 1, "probe", "called 'yours'", "yours.yaml"),
    ("id: big-dog", "id: Big Dog", 14, "items.1.id", "not a valid id", "hyphens"),
    ("id: cat, ", "", 13, "items.0", "no id", "id:"),
    ("kind: wild", "kind: 3", 15, "items.2.kind", "text in one item and a number", "one kind"),
    ("kind: wild", "kind: .nan", 15, "items.2.kind", "not finite", "fits"),
    ("kind: wild", "kind: 2020-01-01", 15, "items.2.kind", "a date stands", "quotes"),
    ("kind: wild", "kind: wild, prompt: x", 15, "items.2.prompt", "name of a column", "something else"),
    ("stratum: short", "strata: short", 7, "conditions.shown.strata", "not a known key", "stratum"),
    ("title: Mine", "titel: Mine", 2, "titel", "not a known key", "title"),
    ("role: target", "role: main", 10, "contrasts.target.role", "not a role", "published, target, control"),
    ("role: control", "role: target", 11, "contrasts.other.role", "cannot have the role target", "control"),
    ("role: target", "role: control", 10, "contrasts.target.role", "cannot have the role control", "target"),
    ("b: [shown], role: target", "b: [shown]", 10, "contrasts.target", "`role` is missing", "role:"),
    ("flip_blocks: kind", "flip_blocks: kin", 11, "contrasts.other", "no item has the field 'kin'", "kind"),
    ("sees it\", reference: room", "sees it\", reference: rom", 6, "conditions.seen.reference", "'rom'", "room"),
    ('{prompt: "A room"}', "{}", 4, "references.room", "empty", "add"),
    ('{prompt: "A room"}', "{file: ../x.png}", 4, "references.room.file", "outside the repository", "into the rep"),
    ('{prompt: "A room"}', "{file: x.png}", 4, "references.room.file", "no file 'x.png'", "repository root"),
    ('{prompt: "A room"}', "{prompt: x, file: x.png}", 4, "references.room", "both a prompt and a file", "one of"),
    ('{prompt: "A room"}', '{prompt: "A {who} room"}', 4, "references.room", "name does not", "room_{who}"),
    ("stratum: short", "role: spare", 7, "conditions.shown.role", "'spare' is not a role of a condition", "neutral"),
    ("stratum: short", "role: neutral", 7, "conditions.shown.role", "'target' holds 'shown', which is neutral", "out"),
    ("stratum: short", "frame: One", 7, "conditions.shown.frame", "'One' is not a valid name", "lower-case"),
    ("  alone:", "  spare: {prompt: Empty, role: neutral}\n  alone:", 8, "conditions.spare", "without 'who'", "{who}"),
    ("  alone:", '  spare: {prompt: "{who} {kind}", role: neutral}\n  alone:', 8, "conditions.spare", "kind", "alone"),
    ("role: target", "role: target, decides: words", 10, "contrasts.target.decides", "decides nothing", "control"),
    ("role: control", "role: control, decides: all", 11, "contrasts.other.decides", "'all'", "words, picture"),
    ("  room:", "  unused: {prompt: x}\n  room:", 4, "references.unused", "no condition uses", "remove"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[3]}-{case[4]}")
def test_every_error_names_file_line_field_and_fix(tmp_path, case):
    old, new, line, field, problem, fix = case
    bad = old.sub(new, GOOD) if isinstance(old, re.Pattern) else GOOD.replace(old, new, 1)
    assert bad != GOOD
    path = write(tmp_path, bad)
    with pytest.raises(InputError) as caught:
        load(path)
    error = caught.value
    assert (error.file, error.line, error.field) == (path, line, field)
    assert problem in error.problem
    assert fix in error.fix


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    path = write(tmp_path, GOOD.encode().replace(b"a dog", b"a d\xf6g"))
    with pytest.raises(InputError) as caught:
        read_probe(path)
    assert (caught.value.file, caught.value.line) == (path, 14)


def test_a_key_merged_from_an_anchor_still_has_a_line(tmp_path):
    text = GOOD.replace('  alone: {prompt: "The room for {who}", reference: room}', "  alone:\n    <<: {prompt: 3}")
    with pytest.raises(InputError, match="a number stands") as caught:
        read_probe(write(tmp_path, text))
    assert caught.value.line in (8, 9)


def test_joiners_that_languages_need_are_kept(tmp_path):
    text = GOOD.replace("a cat", '"\\u0645\\u06cc\\u200c\\u062e\\u0648\\u0627\\u0647\\u0645"')
    assert "\u200c" in str(read_probe(write(tmp_path, text)).items["cat"].fields["who"])


def test_a_control_says_what_it_decides_and_a_wording_its_frame(tmp_path):
    text = GOOD.replace("role: control", "role: control, decides: words").replace("stratum: short", "frame: one")
    probe = read_probe(write(tmp_path, text))
    assert (probe.contrasts["other"].decides, probe.contrasts["target"].decides) == (Decides.words, None)
    assert (probe.conditions["shown"].frame, probe.conditions["seen"].frame) == ("one", None)


def test_what_is_neutral_needs_a_target(tmp_path):
    text = GOOD.replace("  target:", "  published:").replace("role: target", "role: published")
    text = text.replace("  alone:", '  spare: {prompt: "{who}", role: neutral}\n  alone:')
    with pytest.raises(InputError, match="no target that it could be neutral to") as caught:
        read_probe(write(tmp_path, text))
    assert (caught.value.line, caught.value.field) == (8, "conditions.spare.role")
