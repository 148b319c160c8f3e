"""`plantain init`, and every command from any folder of the workspace that it makes."""

import os
import subprocess
import sys

import pytest
from helpers.command_line import plantain
from helpers.workspace import GIT_IDENTITY, ROOT, Workspace, forget_outer_checkout

from plantain.base.environment import declared_versions
from plantain.base.files import sha256_bytes
from plantain.stages import rooms
from plantain.stages.pipelines import pipeline_text
from plantain.stages.workspace import keep, make
from plantain.stages.workspace.template import COPIES, STARTER, top_text, workspace_files

MARKS = ("dvc.yaml", "params.yaml", "environment.yaml")


@pytest.fixture(autouse=True)
def outside(tmp_path, monkeypatch):
    """An empty folder in no workspace, and an identity for git."""
    forget_outer_checkout(monkeypatch)
    for name, value in GIT_IDENTITY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".git" not in path.parts)


def files(folder):
    return [path for path in tree(folder) if (folder / path).is_file()]


def test_a_workspace_holds_all_that_git_and_dvc_need_and_is_committed(outside):
    done = plantain("init", "mine")
    assert done.code == 0, done.errors
    made = Workspace(outside / "mine")
    assert (
        set(files(made.path))
        == set(workspace_files())
        >= {*MARKS, "prompts/colours.yaml", "pipelines/colours/dvc.yaml"}
    )
    assert made.git("log", "--format=%s").splitlines() == ["A workspace for probes"]
    assert made.git("status", "--porcelain") == ""
    assert made.git("ls-files").splitlines() == sorted(workspace_files())
    assert plantain("prompts", "check", STARTER, folder=made.path).code == 0


@pytest.mark.parametrize("before", ["nothing", "an empty folder"])
def test_a_new_and_an_empty_folder_are_taken(outside, before):
    if before == "an empty folder":
        (outside / "mine").mkdir()
        assert plantain("init", ".", folder=outside / "mine").code == 0
    else:
        assert plantain("init", "mine").code == 0
    assert set(files(outside / "mine")) == set(workspace_files())
    assert sorted(path.name for path in outside.iterdir()) == ["mine"]


def test_a_folder_with_something_in_it_is_refused_and_left_alone(outside):
    (outside / "mine").mkdir()
    (outside / "mine/notes.txt").write_text("kept")
    done = plantain("init", "mine")
    assert (done.code, done.errors) == (
        2,
        "plantain: mine: the folder is not empty. Fix: name a new or an empty folder.\n",
    )
    assert tree(outside / "mine") == ["notes.txt"]


@pytest.mark.parametrize("inside", ["other", "prompts/other"])
def test_a_folder_in_another_workspace_is_refused(outside, inside):
    plantain("init", "mine")
    before = tree(outside / "mine")
    done = plantain("init", f"mine/{inside}")
    assert done.code == 2
    assert f"it lies in the workspace {outside / 'mine'}" in done.errors
    assert tree(outside / "mine") == before


@pytest.mark.parametrize("there", [False, True])
def test_a_workspace_is_made_whole_or_not_at_all(outside, monkeypatch, there):
    target = outside / "mine"
    if there:
        target.mkdir()
    monkeypatch.setattr(make, "_begin_history", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make.make_workspace(target)
    assert tree(outside) == (["mine"] if there else [])


def test_without_an_identity_git_commits_nothing_and_the_way_is_told(outside, monkeypatch):
    for name in GIT_IDENTITY:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(outside / "home"))
    done = plantain("init", "mine")
    assert done.code == 0
    assert "git made no commit" in done.output
    assert "git config user.name" in done.output
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd="mine", capture_output=True, check=False).returncode
    staged = subprocess.run(["git", "diff", "--cached", "--name-only"], cwd="mine", capture_output=True, check=True)
    assert len(staged.stdout.splitlines()) == len(workspace_files())


def test_a_repository_of_git_that_runs_this_is_not_written_to(outside, monkeypatch):
    (outside / "outer").mkdir()
    outer = Workspace(outside / "outer")
    outer.git("init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(outside / "outer/.git"))
    assert plantain("init", "mine").code == 0
    monkeypatch.delenv("GIT_DIR")
    assert outer.git("status", "--porcelain") == ""
    assert (outside / "mine/.git").is_dir()


@pytest.mark.parametrize("name", COPIES)
def test_the_template_is_this_repository(name):
    copy = (keep.FILES / name).read_bytes()
    assert copy == (ROOT / COPIES[name]).read_bytes(), "run `python -m plantain.stages.workspace.keep`"


def without_code(text):
    """What a checkout's stages are without the lines on code, by another way than the one under test."""
    lines = [line.replace("PYTHONPATH=src ", "") for line in text.splitlines()]
    kept = [line for line in lines if line.strip() != "- src/plantain"]
    both = zip(kept, [*kept[1:], ""], strict=True)
    return [line for line, after in both if not (line.strip() == "deps:" and not after.strip().startswith("-"))]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((ROOT / "dvc.yaml").read_text(), top_text()),
        (pipeline_text("mine", checkout=True).decode(), pipeline_text("mine", checkout=False).decode()),
    ],
)
def test_stages_of_a_workspace_are_those_of_this_repository_without_its_code(ours, theirs):
    *lines, last = theirs.splitlines()
    assert lines == without_code(ours)
    assert last.endswith(sha256_bytes("".join(f"{line}\n" for line in lines).encode()))
    assert "src" not in theirs


def test_every_section_declares_plantain_beside_what_this_repository_declares(outside):
    plantain("init", "mine")
    declared = declared_versions(outside / "mine/environment.yaml")
    assert set(declared) == set(rooms.SECTIONS)
    assert {section: found["plantain"] for section, found in declared.items()} == {
        section: rooms.section_version(section) for section in rooms.SECTIONS
    }
    for section, packages in declared_versions(ROOT / "environment.yaml").items():
        assert {"plantain", *packages} == set(declared[section])


def test_commands_work_in_every_folder_and_say_where(outside):
    plantain("init", "mine")
    root = outside / "mine"
    at_root = plantain("prompts", "show", STARTER, folder=root)
    below = plantain("prompts", "show", STARTER, folder=root / "prompts")
    assert at_root.errors == ""
    assert below.output == at_root.output
    assert below.errors == f"plantain: in the workspace {root}\n"


def test_paths_are_those_of_the_folder_that_they_were_typed_in(outside):
    plantain("init", "mine")
    (outside / "mine/notes").mkdir()
    (outside / "mine/notes/pairs.csv").write_text("a,b\nA red lamp,A blue lamp\nA red door,A blue door\n")
    done = plantain("probe", "new", "lamps", "--from", "pairs.csv", folder=outside / "mine/notes")
    assert done.code == 0, done.errors
    assert (outside / "mine/prompts/lamps.yaml").exists()
    by_path = plantain("prompts", "show", "lamps.yaml", folder=outside / "mine/prompts")
    assert by_path.output == plantain("prompts", "show", "lamps", folder=outside / "mine").output
    found = plantain("audit", "--prompts", "lamps.yaml", folder=outside / "mine/prompts")
    assert "no number of the workspace" in " ".join(found.output.split())


@pytest.mark.parametrize("words", [("run",), ("show", "a@b"), ("doctor",), ("cache",), ("probe", "new", "mine")])
def test_outside_of_a_workspace_a_command_says_how_to_get_one(outside, words):
    done = plantain(*words)
    assert done.code == 2
    assert done.errors.startswith(f"plantain: {outside} is in no workspace: ")
    assert done.errors.endswith("Fix: go to one, or make one with `plantain init DIR`.\n")
    assert done.errors.count("\n") == 1
    assert tree(outside) == []


@pytest.mark.parametrize("words", [("version",), ("run", "--help"), ("prompts", "check", "--help"), ("--help",)])
def test_what_needs_no_workspace_asks_for_none(words):
    assert plantain(*words).code == 0


def test_the_program_itself_goes_to_the_workspace(outside):
    plantain("init", "mine")
    command = [sys.executable, "-m", "plantain.cli", "prompts", "show", STARTER]
    done = subprocess.run(command, cwd=outside / "mine/reports", capture_output=True, text=True, check=True)
    assert "prompt set" in done.stdout
    assert done.stderr == f"plantain: in the workspace {outside / 'mine'}\n"
