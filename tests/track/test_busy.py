"""DVC's note of who reads and writes what: those that have ended keep nobody out."""

import json
import os
import subprocess
import sys

import pytest
from dvc.exceptions import DvcException
from dvc.fs import localfs
from dvc.lock import LockError
from dvc.rwlock import rwlock

from plantain.track.dvcbusy import forget_the_dead

OUT = "/workspace/receipts/model/tiny.json"


@pytest.fixture
def note(tmp_path):
    """DVC's note, which does not exist yet."""
    folder = tmp_path / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    return folder / "rwlock"


@pytest.fixture
def ended():
    """The number of a process that was killed and that nobody has waited for."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def held(pid):
    info = {"pid": pid, "cmd": "dvc repro"}
    return json.dumps({"write": {OUT: info}, "read": {"/workspace/params.yaml": [info]}})


def writes(note):
    """What a stage of DVC does first; OUT is taken and given back."""
    with rwlock(str(note.parent), localfs, "dvc repro", [], [OUT], False):
        pass


def test_a_killed_process_that_nobody_waited_for_keeps_nobody_out(note, ended):
    note.write_text(held(ended))
    with pytest.raises(LockError, match="busy"):
        writes(note)
    note.write_text(held(ended))
    forget_the_dead(note.parents[2])
    assert json.loads(note.read_text()) == {"write": {}, "read": {}}
    writes(note)


def test_a_stranger_with_the_number_of_one_that_ended_keeps_nobody_out(note):
    note.write_text(held(os.getppid()))
    os.utime(note, (1, 1))
    with pytest.raises(LockError, match="busy"):
        writes(note)
    os.utime(note, (1, 1))
    forget_the_dead(note.parents[2])
    assert json.loads(note.read_text()) == {"write": {}, "read": {}}
    writes(note)


def test_a_process_that_goes_on_keeps_what_it_holds(note):
    note.write_text(held(os.getppid()))
    forget_the_dead(note.parents[2])
    assert note.read_text() == held(os.getppid())
    with pytest.raises(LockError, match="busy"):
        writes(note)


@pytest.mark.parametrize("torn", ["", '{"write": {"/workspace/rec', "[1]", '{"write": 3}'])
def test_a_note_that_a_kill_cut_short_is_removed(note, torn):
    note.write_text(torn)
    if torn != "[1]":
        with pytest.raises(DvcException):
            writes(note)
    forget_the_dead(note.parents[2])
    assert not note.exists()
    writes(note)


def test_without_a_note_nothing_is_written(tmp_path):
    forget_the_dead(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_kill_left_empty_in_the_run_cache_stops_no_later_run(tmp_path):
    def run(*arguments):
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: cp a b, deps: [a], outs: [b]}}")
    (tmp_path / "a").write_text("text")
    assert run(sys.executable, "-m", "dvc", "repro")[0] == 0
    kept = list((tmp_path / ".dvc/cache/runs").glob("*/*/*"))
    assert kept
    for path in kept:
        path.unlink()
    (tmp_path / "dvc.lock").unlink()
    code, said = run(sys.executable, "-m", "dvc", "repro")
    assert code, "DVC no longer stumbles over it: then this is not needed"
    assert "NoneType" in said
    forget_the_dead(tmp_path)
    code, said = run(sys.executable, "-m", "dvc", "repro")
    assert code == 0, said
