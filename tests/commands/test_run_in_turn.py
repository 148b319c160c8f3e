"""Two runs in one workspace: the later begins when the earlier has ended, and says so."""

import os
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


@pytest.mark.parametrize(
    ("newer", "changed", "asked"),
    [
        (None, False, [("status", "--quiet")]),
        (None, True, [("status", "--quiet"), ("repro",)]),
        ("params.yaml", False, [("repro",)]),
        ("prompts/dense.yaml", False, [("repro",)]),
        ("dvc.lock", False, [("repro",)]),
    ],
)
def test_dvc_alone_says_that_nothing_is_to_do(workspace, monkeypatch, newer, changed, asked):
    """``newer``: a file that is newer than the lock; the lock itself where there is none."""
    (workspace / "prompts").mkdir()
    (workspace / "dvc.lock").write_text("schema: '2.0'\n")
    names = ("params.yaml", "environment.yaml", "dvc.yaml", "prompts/dense.yaml")
    for name in (*names, "dvc.lock"):
        (workspace / name).touch()
        os.utime(workspace / name, ns=(10**18, 10**18 + (name == newer)))
    if newer == "dvc.lock":
        (workspace / "dvc.lock").unlink()
    said = []
    monkeypatch.setattr(run, "_follow", lambda *_: None)
    monkeypatch.setattr(run, "_look_at_files", lambda: None)
    monkeypatch.setattr(run, "_dvc", lambda *one: said.append(one) or int(changed and one[0] == "status"))
    answer = command_line.plantain("run")
    assert (answer.code, answer.errors, said) == (0, "", asked)
    assert ("up to date" in answer.output) == (asked == [("status", "--quiet")])
