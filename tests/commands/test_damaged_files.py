"""Every file that plantain or DVC owns, cut short, emptied or overwritten: each command says which one it is."""

import random
import shutil
import subprocess

import pytest
from helpers import command_line
from helpers.track_helpers import make_results
from helpers.workspace import ROOT

from plantain.commands import doctor, run
from plantain.track import ledger, lockcopy
from plantain.track.results import FolderReader, read_results

RECEIPT = "receipts/analyze/tiny/otherview.json"
JOURNAL = ".plantain/executions.jsonl"
LOCKS = ("dvc.lock", "pipelines/otherview/dvc.lock")
SETTINGS = ("params.yaml", "environment.yaml", ".dvc/config")
RECORDS = (RECEIPT, "reports/cells.json", "reports/ledger.json")
CUTS = 20

LOCK = """schema: '2.0'
stages:
  model@tiny:
    cmd: python -m plantain.stages.model tiny
    deps:
    - path: src/plantain/base/files.py
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 12
    params:
      params.yaml:
        capture.group_width: 16
    outs:
    - path: models/tiny/model.lock.json
      hash: md5
      md5: fedcba9876543210fedcba9876543210
      size: 7
"""


@pytest.fixture
def workspace(checkout, git, monkeypatch):
    """Results, committed, without a store; `dvc` is a function that succeeds, and its cache is not asked."""
    for name in ("params.yaml", "environment.yaml", "constraints.txt"):
        shutil.copy2(ROOT / name, checkout / name)
    for path, text in [(".dvc/config", "[core]\n    analytics = false\n"), *((lock, LOCK) for lock in LOCKS)]:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(text)
    make_results(checkout)
    ledger.write(checkout, read_results(FolderReader(checkout)))
    git("add", "--force", ".")
    git("commit", "--quiet", "--message", "results")
    monkeypatch.setattr(run, "_dvc", lambda *arguments: 0)
    for name in ("cache", "git", "weights"):
        monkeypatch.setitem(doctor.CHECKS, name, lambda fix, name=name: doctor.Diagnosis(name, True, "as it is"))
    return checkout


def plantain(*arguments):
    """Exit code and what is printed; anything but an error for people is raised, as a traceback would be."""
    answer = command_line.plantain(*arguments)
    return answer.code, answer.output + answer.errors


def damaged(content, name):
    """Whole files to put in place of ``content``: the seed is the file's name."""
    draw = random.Random(name)
    cuts = sorted(draw.sample(range(1, len(content) - 1), min(CUTS, len(content) - 2)))
    return [content[:cut] for cut in cuts] + [b"", draw.randbytes(300), bytes(300)]


def is_told(name, content):
    """Whether a damage must be seen: what ends a line may be the whole of a file that people write, or of a lock."""
    return name in RECORDS or not content.endswith(b"\n")


@pytest.mark.parametrize("name", [*SETTINGS, *LOCKS, *RECORDS])
def test_a_damaged_file_is_named_with_its_way_back_by_every_command(workspace, name):
    path = workspace / name
    whole = path.read_bytes()
    codes = {"run": 0 if name in RECORDS else 2, "doctor": 1, "audit": 2 if name in SETTINGS else 1}
    for content in damaged(whole, name):
        path.write_bytes(content)
        for command, expected in codes.items():
            code, said = plantain(command)
            assert "Traceback" not in said
            if is_told(name, content):
                where = (command, content[-40:], said)
                assert name in said, where
                assert code == expected, where
                assert any(way in said for way in ("git checkout", "dvc checkout", "dvc repro")), where
    path.write_bytes(whole)
    assert plantain("doctor")[0] == 0, "nothing else was wrong"


def test_a_journal_that_is_damaged_costs_its_lines_and_no_command(workspace):
    path = workspace / JOURNAL
    whole = path.read_bytes()
    for content in damaged(whole, JOURNAL):
        path.write_bytes(content)
        assert plantain("run")[0] == 0
        torn = bool(set(content.split(b"\n")) - set(whole.split(b"\n")))
        code, said = plantain("doctor")
        assert code == int(torn), said
        assert ("lines of" in said) == torn
        audited, said = plantain("audit", "--level", "hashes")
        assert audited in (0, 1)
        assert (JOURNAL in said) == torn
    assert plantain("doctor", "--fix")[0] == 0
    assert plantain("doctor")[0] == 0


def test_a_run_clears_the_note_by_which_dvc_would_wait_for_the_dead(workspace):
    note = workspace / ".dvc/tmp/rwlock"
    note.parent.mkdir()
    note.write_bytes(b'{"write": {"/work')
    assert plantain("run")[0] == 0
    assert not note.exists()


def test_a_line_after_a_torn_one_is_not_lost(workspace):
    from plantain.records import journal

    path = workspace / JOURNAL
    known = journal.executions()
    path.write_bytes(path.read_bytes() + b'{"receipt_sha256": "ab')
    journal.append(known[0])
    assert journal.executions() == [*known, known[0]]
    assert journal.torn_lines() == 1
    journal.drop_torn_lines()
    assert (journal.executions(), journal.torn_lines()) == ([*known, known[0]], 0)


@pytest.mark.parametrize("name", LOCKS)
def test_the_last_good_copy_of_a_lock_is_put_back_byte_for_byte(workspace, name):
    path = workspace / name
    whole = path.read_bytes()
    assert plantain("run")[0] == 0
    for content in damaged(whole, name):
        path.write_bytes(content)
        if not is_told(name, content):
            continue
        code, said = plantain("run")
        assert code == 2
        assert "plantain doctor --fix" in said
        code, said = plantain("doctor", "--fix")
        assert code == 0, said
        assert f"put back: {name}" in said
        assert path.read_bytes() == whole


def test_a_copy_is_kept_before_a_run_and_after_one_that_succeeded(workspace, monkeypatch):
    path, copy = workspace / "dvc.lock", workspace / ".plantain/lock-copies/dvc.lock"
    longer = LOCK + LOCK.partition("stages:\n")[2].replace("model@tiny", "model@other")

    def dvc(code):
        def called(*arguments):
            assert copy.read_text() == before
            path.write_text(longer)
            return code

        return called

    before = LOCK
    monkeypatch.setattr(run, "_dvc", dvc(1))
    assert plantain("run")[0] == 1
    assert copy.read_text() == LOCK
    path.write_text(LOCK)
    monkeypatch.setattr(run, "_dvc", dvc(0))
    assert plantain("run")[0] == 0
    assert copy.read_text() == longer


def test_a_lock_cut_between_two_stages_does_not_replace_its_copy(workspace):
    path, copy = workspace / "dvc.lock", workspace / ".plantain/lock-copies/dvc.lock"
    path.write_text(LOCK + LOCK.partition("stages:\n")[2].replace("model@tiny", "model@other"))
    lockcopy.keep(workspace)
    longer = copy.read_bytes()
    path.write_text(LOCK)
    lockcopy.keep(workspace)
    assert copy.read_bytes() == longer
    path.write_text(LOCK.replace("size: 7", "size: 8"))
    lockcopy.keep(workspace)
    assert copy.read_bytes() == path.read_bytes()


def test_locks_without_a_copy_name_git(workspace):
    (workspace / "dvc.lock").write_text("stages: [")
    assert lockcopy.restore(workspace) == []
    code, said = plantain("doctor", "--fix")
    assert code == 1
    assert "git checkout dvc.lock" in said


def test_doctor_makes_every_check_whatever_one_of_them_raises(workspace, monkeypatch):
    def fails(fix):
        raise RuntimeError("no answer from https://someone:hunter2token@host/x")

    monkeypatch.setitem(doctor.CHECKS, "versions", fails)
    (workspace / "mlflow").mkdir()
    (workspace / "mlflow/mlflow.db").write_bytes(random.Random(1).randbytes(5000))
    code, said = plantain("doctor")
    assert code == 1
    lines = [line for line in said.splitlines() if line.startswith(("ok", "wrong"))]
    assert [line.split(":")[0].split(maxsplit=1)[1] for line in lines] == list(doctor.CHECKS)
    assert "wrong  versions: it could not be checked (no answer from https://host/x)" in lines
    assert "hunter2token" not in said
    assert any(line.startswith("wrong  MLflow store:") and "is no MLflow database" in line for line in lines)


def test_metrics_that_are_no_table_are_a_broken_link(workspace):
    (workspace / "reports/tiny/otherview/metrics.json").write_text("[1, 2]")
    code, said = plantain("audit", "--level", "hashes")
    assert code == 1
    assert "reports/tiny/otherview/metrics.json" in said


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]", b'{"a/b": 3}'])
def test_a_damaged_note_of_digests_is_made_anew(workspace, content):
    from plantain.model.local import _Remembered

    weights = workspace / "model/part/weights"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"numbers")
    known = _Remembered(workspace / "model")
    first = known(weights)
    known._store.write_bytes(content)
    assert known(weights) == first


def test_doctor_shows_what_dvc_says_and_not_where_it_sends_people(checkout, monkeypatch):
    said = "ERROR: unexpected error - s3 is supported, but requires 'dvc-s3'\n\nHaving any troubles? Hit us up\n"
    answer = subprocess.CompletedProcess([], 255, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: answer)
    found = doctor._cache(False)
    assert not found.ok
    assert found.found == "unexpected error - s3 is supported, but requires 'dvc-s3'"
