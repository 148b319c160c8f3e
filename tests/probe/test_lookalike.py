"""Sides that a person cannot tell apart are shown by the Unicode names of what differs."""

import unicodedata
from pathlib import Path

import pytest

from plantain.probe.authoring.check import check_probe
from plantain.probe.lookalike import oddities, skeleton, told_apart
from plantain.probe.node import text_problem

NBSP, ZWJ, ZWNJ, A = "\u00a0", "\u200d", "\u200c", "\u0430"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A cat, here", []),
        ("Ein Bär am Fluß", []),
        ("кот на коврике", []),
        ("\u0391 γάτα", []),
        ("日本の猫", []),
        ("a \u2026 cat\u2019s 5 m\u00b2", []),
        (f"A{NBSP}cat", ["U+00A0 NO-BREAK SPACE"]),
        ("A\u3000cat", ["U+3000 IDEOGRAPHIC SPACE"]),
        ("A  cat", ["two spaces in a row"]),
        (f"A c{A}t", [f"U+0430 CYRILLIC SMALL LETTER A in 'c{A}t'"]),
        ("A c\u03b1t", ["U+03B1 GREEK SMALL LETTER ALPHA in 'c\u03b1t'"]),
        ("\u043a\u043eт i кoт", ["U+006F LATIN SMALL LETTER O in 'кoт'"]),
        ("A \uff43at", ["U+FF43 FULLWIDTH LATIN SMALL LETTER C"]),
        ("A \U0001d41cat", ["U+1D41C MATHEMATICAL BOLD SMALL C"]),
        ("A c\ufffdt", ["U+FFFD REPLACEMENT CHARACTER"]),
    ],
)
def test_characters_that_do_not_look_like_what_they_are_are_named(text, said):
    assert list(oddities(unicodedata.normalize("NFC", text))) == said


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (f"A{NBSP}cat", "A cat", "U+0020 SPACE, U+00A0 NO-BREAK SPACE"),
        (f"A c{A}t", "A cat", "U+0061 LATIN SMALL LETTER A, U+0430 CYRILLIC SMALL LETTER A"),
        ("A  cat", "A cat", "how many U+0020 SPACE stand in a row"),
        (f"a{NBSP}cat here", f"a cat{NBSP}here", "the places of U+00A0 NO-BREAK SPACE"),
        ("A \uff43at", "A cat", "U+0063 LATIN SMALL LETTER C, U+FF43 FULLWIDTH LATIN SMALL LETTER C"),
        ("non\u2011stop", "non-stop", "U+002D HYPHEN-MINUS, U+2011 NON-BREAKING HYPHEN"),
        ("\u0421\u041e\u0420", "COP", None),
    ],
)
def test_texts_that_look_the_same_have_one_skeleton(a, b, said):
    assert skeleton(a) == skeleton(b)
    assert said is None or told_apart(a, b) == told_apart(b, a) == said


@pytest.mark.parametrize(("a", "b"), [("A cat", "a cat"), ("A cat", "A cut"), ("A cat", "A cat."), ("кот", "kot")])
def test_texts_that_look_different_have_not(a, b):
    assert skeleton(a) != skeleton(b)


@pytest.mark.parametrize("character", "\u3164\u115f\u1160\uffa0\u2800\u034f\u200b\u00ad\ufeff\u2060\U000e0041")
def test_what_cannot_be_seen_is_refused_by_its_name(character):
    assert text_problem(f"A ca{character}t").endswith(f"U+{ord(character):04X} {unicodedata.name(character)}.")


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", True),
        ("\u0915\u094d\u200d\u0937", True),
        ("a \U0001f469\u200d\U0001f52c at work", True),
        ("a \U0001f469\U0001f3fd\u200d\U0001f52c at work", True),
        (f"A ca{ZWJ}t", False),
        (f"A {ZWNJ}cat", False),
        (f"A cat{ZWJ}", False),
        (f"{ZWJ}A cat", False),
        (f"к{ZWNJ}от", False),
        (f"\u0645{ZWNJ}{ZWNJ}\u062e", False),
        (f"\u1ea1{ZWJ}t", False),
    ],
)
def test_joiners_are_text_where_letters_or_emoji_are_joined_and_nowhere_else(text, fine):
    assert (text_problem(text) == "") == fine


def checked(folder: Path, *items: str):
    rows = ["probe: mine", "conditions:", "  a: {prompt: '{x}'}", "  b: {prompt: '{y}'}", "contrasts:"]
    rows += ["  target: {a: a, b: b, role: target}", "items:", *items]
    path = folder / "mine.yaml"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path, check_probe(path, folder)


def test_sides_that_look_the_same_are_a_problem_with_its_line(tmp_path):
    path, found = checked(tmp_path, "  - {id: i, x: A dog, y: A cow}", f"  - {{id: j, x: A c{A}t, y: A cat}}")
    assert not found.ok
    assert found.problems[0].startswith(f"{path}:9: items.1: on the two sides of the contrast 'target' the texts look")
    assert "U+0061 LATIN SMALL LETTER A, U+0430 CYRILLIC SMALL LETTER A." in found.problems[0]


def test_odd_characters_are_noted_with_their_line_and_are_no_problem(tmp_path):
    path, found = checked(tmp_path, f"  - {{id: i, x: A{NBSP}cat, y: A{NBSP}dog}}", "  - {id: j, x: A hen, y: A  pig}")
    assert found.ok
    assert list(found.notes) == [
        f"{path}:8: items.0.x: the text holds U+00A0 NO-BREAK SPACE.",
        f"{path}:8: items.0.y: the text holds U+00A0 NO-BREAK SPACE.",
        f"{path}:9: items.1.y: the text holds two spaces in a row.",
    ]


def test_items_that_share_a_side_are_noted(tmp_path):
    rows = [f"  - {{id: {name}, x: A cat, y: A {name}}}" for name in ("cow", "dog", "hen")]
    path, found = checked(tmp_path, *rows)
    assert found.ok
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"{path}:6: contrasts.target: side a is the same for the items 'cow' and 'dog'")


SIDED = """probe: sided
title: t
hypothesis: h
conditions:
  one: {prompt: "A {body} {pose} there"}
  two: {prompt: "Some {body} {pose}"}
  flat: {prompt: "A {body} at rest there"}
  free: {prompt: "{own}"}
contrasts:
  target: {a: [one, two], b: flat, role: target}
  again: {a: flat, b: two, role: control}
  twice: {a: two, b: flat, role: control}
  same: {a: one, b: two, role: control}
  bare: {a: free, b: flat, role: control}
items:
  - {id: i, body: cat, pose: bowing, own: A hen}
  - {id: j, body: dog, pose: leaping, own: A pig}
"""


def test_a_field_that_one_side_alone_uses_is_noted_once_with_its_contrasts(tmp_path):
    path = tmp_path / "sided.yaml"
    path.write_text(SIDED)
    found = check_probe(path, tmp_path)
    rest = ": item by item the sides differ in what that says, and heads may tell them apart by it."
    assert (found.ok, [note.removesuffix(rest) for note in found.notes]) == (True, [
        f"{path}:10: contrasts.target: {{pose}} on side a alone, and so in twice",
        f"{path}:11: contrasts.again: {{pose}} on side b alone",
        f"{path}:14: contrasts.bare: {{body}} on side b alone",
    ])  # fmt: skip


def test_a_filler_in_a_probe_file_is_refused(tmp_path):
    _, found = checked(tmp_path, "  - {id: i, x: A cat\u3164, y: A dog}", "  - {id: j, x: A hen, y: A pig}")
    assert "U+3164 HANGUL FILLER" in found.problems[0]
