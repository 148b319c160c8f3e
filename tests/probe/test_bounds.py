"""A probe file of any size and shape is read in bounded time, or refused with the line."""

from pathlib import Path

import pytest

from plantain.base.errors import InputError
from plantain.probe import spec
from plantain.probe.spec import read_probe

CASES = Path(__file__).parent / "cases"


def probe(folder: Path, items: int, conditions: int = 2) -> Path:
    rows = ["probe: big", "conditions:"]
    rows += [f"  c_{n}: {{prompt: 'Wording {n} of {{x}}'}}" for n in range(conditions)]
    rows += ["contrasts:", "  target: {a: c_0, b: c_1, role: target}", "items:"]
    rows += [f"  - {{id: i{n}, x: thing {n}}}" for n in range(items)]
    path = folder / "big.yaml"
    path.write_text("\n".join(rows))
    return path


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_probe(path)
    assert caught.value.fix
    return caught.value


def test_a_bomb_of_aliases_is_refused_at_its_line():
    error = refused(CASES / "bomb.yaml")
    assert (error.line, "aliases stand for more than" in error.problem) == (15, True)


def test_brackets_without_end_are_refused_at_their_line():
    error = refused(CASES / "deep.yaml")
    assert (error.line, "levels deep" in error.problem) == (2, True)


def test_more_items_than_can_be_tested_are_refused_at_the_first_beyond(tmp_path, monkeypatch):
    monkeypatch.setattr(spec, "MOST_ITEMS", 20)
    assert len(read_probe(probe(tmp_path, 20)).items) == 20
    assert refused(probe(tmp_path, 21)).line == 8 + 20


def test_items_times_conditions_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(spec, "MOST_RECORDS", 60)
    assert read_probe(probe(tmp_path, 20, 3))
    error = refused(probe(tmp_path, 20, 4))
    assert (error.line, error.field) == (9, "items")
    assert "20 items in 4 conditions are 80 records" in error.problem


def test_more_wordings_than_a_relabelling_can_hold_are_refused(tmp_path):
    path = probe(tmp_path, 2, 65)
    sides = (", ".join(f"c_{n}" for n in span) for span in (range(33), range(33, 65)))
    text = path.read_text().replace("{a: c_0, b: c_1,", "{{a: [{}], b: [{}],".format(*sides))
    path.write_text(text)
    error = refused(path)
    assert (error.field, "33 and 32 wordings" in error.problem) == ("contrasts.target", True)
    path.write_text(text.replace("c_32, ", "").replace("[c_0, ", "[").replace(", c_32]", "]"))
    assert read_probe(path)


ODD = """probe: odd
references:
  kitchen: {prompt: A kitchen}
conditions:
  view: {prompt: "Seen by {creature}"}
  mention: {prompt: "Near {creature}"}
contrasts:
  published: {a: view, b: mention, role: published}
items:
- {id: cat, creature: a cat}
- {id: ant, creature: an ant}
"""


@pytest.mark.parametrize("name", [".inf", "7", "null", "true", "2026-11-25"])
@pytest.mark.parametrize("known", ["kitchen", "mention", "published", "creature"])
def test_a_name_that_yaml_reads_as_something_else_is_refused_where_it_stands(tmp_path, name, known):
    """At its line, or at that of the mapping that it is in."""
    path = tmp_path / "odd.yaml"
    path.write_text(ODD)
    read_probe(path)
    path.write_text(ODD.replace(f"{known}: ", f"{name}: "))
    line = next(number for number, text in enumerate(ODD.splitlines(), 1) if f"{known}: " in text)
    with pytest.raises(InputError, match=rf"odd\.yaml:({line}|{line - 1}|{line - 2}): .*is not text"):
        read_probe(path)


@pytest.mark.parametrize("number", [".inf", ".nan", str(2**63), "9" * 400], ids=["inf", "nan", "2**63", "400 digits"])
def test_numbers_that_fit_no_column_are_refused_at_their_line(tmp_path, number):
    path = probe(tmp_path, 2)
    path.write_text(path.read_text().replace("x: thing 1", f"x: {number}"))
    error = refused(path)
    assert (error.line, error.field, "beyond 64 bits" in error.problem) == (9, "items.1.x", True)
