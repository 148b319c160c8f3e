import json
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from plantain.base.errors import InputError
from plantain.base.files import canonical_json, readable_json
from plantain.records import journal
from plantain.records.base import ExactNumber, Frozen, absent, read
from plantain.records.cells import cells_of, read_cells
from plantain.records.journal import Execution
from plantain.records.verdict import Information


class Inner(Frozen):
    number: ExactNumber
    reason: str | None = Field(default=None, exclude_if=absent)


class Outer(Frozen):
    schema_: Literal["outer/1"] = Field(default="outer/1", alias="schema")
    rows: list[Inner]


WHOLE = {"schema": "outer/1", "rows": [{"number": 30}, {"number": 30.0, "reason": "so"}]}


def opened(content: bytes):
    return read(content, Outer, what="an outer", fix="make it anew.", file="outer.json")


def test_what_was_read_is_written_byte_for_byte():
    assert opened(readable_json(WHOLE)).to_bytes() == readable_json(WHOLE)
    assert b'"number": 30\n' in readable_json(WHOLE)
    assert b'"number": 30.0,' in readable_json(WHOLE)


def test_fields_of_other_revisions_are_ignored_at_every_depth_and_cannot_be_written():
    newer = {**WHOLE, "later": 1, "rows": [{**row, "later": 2} for row in WHOLE["rows"]]}
    assert opened(json.dumps(newer).encode()) == opened(readable_json(WHOLE))
    with pytest.raises(ValidationError, match="later"):
        Inner(number=1, later=2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Invalid JSON"),
        (readable_json(WHOLE)[:-9], "Invalid JSON"),
        (b"\xff\xfe\x00", "Invalid JSON"),
        (b"[]", "not readable as an outer"),
        (b'{"schema": "outer/1"}', "rows: not readable as an outer (Field required)"),
        (b'{"rows": [{"number": "many"}]}', "rows.0.number: not readable"),
        (b'{"schema": "outer/2", "rows": []}', "schema: not readable"),
    ],
)
def test_whatever_is_wrong_is_one_sentence_with_file_field_and_fix(content, words, tmp_path):
    with pytest.raises(InputError) as caught:
        opened(content)
    assert words in str(caught.value)
    assert str(caught.value).startswith("outer.json: ")
    assert str(caught.value).endswith("Fix: make it anew.")
    assert "\n" not in str(caught.value)
    path = tmp_path / "there.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        read(path, Outer, what="an outer", fix="make it anew.")


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json: not readable as an outer \(No such file"):
        read(tmp_path / "gone.json", Outer, what="an outer", fix="x")


def test_the_cells_of_a_run_are_every_probe_on_every_model():
    cells = cells_of(["a", "b"], ["m", "n"])
    assert read_cells(cells.to_bytes()).names == [("a", "m"), ("a", "n"), ("b", "m"), ("b", "n")]


def test_information_that_was_not_measured_leaves_no_trace():
    assert json.loads(Information().to_bytes()) == {}
    assert json.loads(Information(model=1.5).to_bytes()) == {"model": 1.5}


LINE = Execution(
    receipt_sha256="0" * 64, receipt_path="receipts/a.json", stage="a", started=1.5, ended=2, host="h", pid=7,
    commit=None, dirty=True, diff_sha256=None, dvc_stage=None, experiment=None,
)  # fmt: skip


def test_the_journal_keeps_whole_lines_and_leaves_out_what_a_kill_tore(tmp_path):
    path = tmp_path / "executions.jsonl"
    journal.append(LINE, path)
    journal.append(LINE.model_copy(update={"stage": "b"}), path)
    newer = canonical_json(LINE.model_dump() | {"stage": "c", "later": 1})
    path.write_bytes(path.read_bytes() + b'{"receipt_sha\n\xff\xfe\n[]\n' + newer + b"\n" + newer[:-20])
    assert [line.stage for line in journal.executions(path)] == ["a", "b", "c"]
    assert journal.executions(path)[0] == LINE
