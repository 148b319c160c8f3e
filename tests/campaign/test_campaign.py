"""The short form of the campaign: every part once, at a size that costs seconds."""

import json

import pytest

from plantain.base.errors import InputError
from plantain.probe.spec import read_probe
from tests.campaign import crowd, cuts, kills, probes, small, tables
from tests.campaign.verdicts import Answers


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The two stages that need no model."""
    return small.brief(tmp_path_factory.mktemp("campaign"))


def assert_nothing_lost(tally):
    assert tally.losses == []
    assert tally.lost == 0
    assert all(row.tried for row in tally.rows[:1])


def test_killed_at_changes_of_files_the_run_ends_with_the_same_bytes(workspace, tmp_path):
    tally = kills.campaign(workspace, 1, 1, tmp_path / "log")
    assert tally.rows[0].tried == 1
    assert_nothing_lost(tally)


def test_a_strike_at_a_change_of_a_file_ends_every_process(workspace):
    workspace.reset()
    found = kills.attempt(workspace, kills.Strike(change=3))
    assert (found.killed, found.changes) == (True, 3)


def test_bytes_that_differ_are_found(workspace):
    (workspace.path / "reports/cells.json").write_text("{}")
    record = kills.Record()
    kills._compare(workspace, workspace.snapshot() | {"reports/cells.json": "0", "receipts/gone.json": "1"}, record)
    assert record.differing == ["receipts/gone.json: missing", "reports/cells.json: other bytes"]


def test_files_cut_short_are_named_or_harmless(workspace, tmp_path):
    assert_nothing_lost(cuts.campaign(workspace, 3, 1, tmp_path / "log"))


def test_runs_at_once_leave_the_bytes_of_one(workspace, tmp_path):
    assert_nothing_lost(crowd.campaign(workspace, 2, 1, tmp_path / "log"))


def test_hostile_probes_are_read_or_refused_by_name(tmp_path):
    tally = probes.campaign(tmp_path, 200, 1, tmp_path / "log")
    assert_nothing_lost(tally)
    read = json.loads(tally.rows[0].remark.split(" ")[0].replace(",", ""))
    assert 0 < read < 200, "some are read and some refused, or the generator tests nothing"


def test_hostile_tables_are_read_or_refused_by_name(tmp_path):
    tally = tables.campaign(tmp_path, 20, 1, tmp_path / "log")
    assert_nothing_lost(tally)
    read = json.loads(tally.rows[0].remark.split(" ")[0].replace(",", ""))
    assert 0 < read < 20


def test_another_exception_and_an_error_without_a_file_are_losses(tmp_path):
    answers = Answers("probes")

    def raises(error):
        raise error

    answers.ask(lambda: raises(KeyError("x")), b"", tmp_path)
    answers.ask(lambda: raises(InputError("wrong", fix="mend it")), b"", tmp_path)
    answers.ask(lambda: read_probe(tmp_path / "none.yaml"), b"", tmp_path / "none.yaml")
    assert (answers.other, answers.refused, answers.unnamed, len(answers.losses)) == (1, 2, 1, 2)
