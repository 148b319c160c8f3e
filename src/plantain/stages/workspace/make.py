"""Make a workspace: every file, a git repository, the first commit; whole or not at all."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import remove
from plantain.stages.workspace.template import workspace_files

_MESSAGE = "A workspace for probes"


@dataclass(frozen=True)
class NewWorkspace:
    """A workspace that was made."""

    path: Path
    uncommitted: str = ""
    """Why there is no first commit; empty where there is one."""


def make_workspace(target: Path) -> NewWorkspace:
    """Make ``target``, a new or empty folder, a workspace with one example probe on the embedded models.

    Raises:
        InputError: something is there, it lies in another workspace, or git is missing. Nothing is written then.
    """
    _check(target)
    scratch = target / ".init" if target.exists() else target.with_name(f".{target.name}.init")
    if scratch.exists():
        raise InputError("another `plantain init` is at work, or was killed.", file=scratch, fix="remove that folder.")
    try:
        for name, data in workspace_files().items():
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        uncommitted = _begin_history(scratch)
        _move(scratch, target)
    finally:
        remove(scratch)
    return NewWorkspace(target, uncommitted)


def _check(target: Path) -> None:
    around = places.workspace_of(target.absolute())
    if around is not None:
        fix = "choose a folder outside of it; `plantain probe new NAME` begins another probe there."
        raise InputError(f"it lies in the workspace {around}.", file=target, fix=fix)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "the folder is not empty" if target.is_dir() else "this is a file"
        raise InputError(f"{what}.", file=target, fix="name a new or an empty folder.")
    if not target.absolute().parent.is_dir():
        raise InputError("the folder around it is missing.", file=target, fix="make that folder first.")


def _move(scratch: Path, target: Path) -> None:
    """Give a finished workspace its name; in a folder that is there already, child by child."""
    if not target.exists():
        scratch.rename(target)
        return
    moved: list[Path] = []
    try:
        for child in sorted(scratch.iterdir()):
            moved.append(child.rename(target / child.name))
    except BaseException:
        for path in moved:
            remove(path)
        raise


def _begin_history(folder: Path) -> str:
    """Make ``folder`` a git repository with one commit; why there is none, where git knows nobody to name in it."""
    for arguments in (("init", "--quiet"), ("add", "--all")):
        done = _git(folder, *arguments)
        if done.returncode:
            raise InputError(f"`git {' '.join(arguments)}` failed: {_said(done)}", fix="mend that, then start again.")
    done = _git(folder, "-c", "user.useConfigOnly=true", "commit", "--quiet", "--no-verify", "--message", _MESSAGE)
    return _said(done) if done.returncode else ""


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A hook of git that runs this has GIT_DIR and the like point at its own repository.
    environment = {name: value for name, value in os.environ.items() if name not in _POINTERS}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise InputError("git is not installed.", fix="install git, which DVC needs too.") from None


_POINTERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of what git says, which is its reason."""
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1].removeprefix("fatal: ") if lines else f"git ended with {done.returncode}"
