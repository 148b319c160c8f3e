"""Two runs in one workspace: the later begins when the earlier has ended, and says so."""

import shutil

import pytest
from helpers import command_line
from helpers.workspace import ROOT

from plantain.commands import run


@pytest.fixture
def workspace(checkout):
    for name in ("params.yaml", "environment.yaml"):
        shutil.copy2(ROOT / name, checkout / name)
    return checkout


def test_a_run_waits_for_another_and_says_so(workspace, monkeypatch, python):
    """The other is killed when this one has said that it waits: a dead one keeps nobody waiting."""
    (workspace / ".plantain").mkdir()
    taken = "import filelock; lock = filelock.FileLock('.plantain/run.lock'); lock.acquire(); print('held', flush=True)"
    holds = python(f"{taken}; import threading; threading.Event().wait()", workspace)
    assert holds.stdout.readline() == "held\n"
    said, goes_on = [], []

    def says(text, **_):
        said.append(text)
        holds.kill()
        holds.wait()

    monkeypatch.setattr(run, "_dvc", lambda *arguments: goes_on.append(holds.poll() is None) or 0)
    monkeypatch.setattr(run, "print", says, raising=False)
    assert command_line.plantain("run").code == 0
    assert said[0] == "plantain: another run works in this workspace; this one begins when it has ended."
    assert goes_on == [False], "it ran once, when the other was gone"


@pytest.mark.parametrize(("dvc", "expected"), [(0, 0), (255, 1), (-9, 1)])
def test_what_dvc_ends_with_is_success_or_failure(workspace, monkeypatch, dvc, expected):
    monkeypatch.setattr(run, "_dvc", lambda *arguments: dvc)
    assert command_line.plantain("run").code == expected
