"""What git knows about the code and the questions: commit, uncommitted changes, remote."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from plantain.base.secrets import redacted_address

WATCHED: Final = (
    "src",
    "prompts",
    "params.yaml",
    "dvc.yaml",
    "environment.yaml",
    "constraints.txt",
)
"""What is run. Changes elsewhere (dvc.lock, reports, documentation) make no result dirty."""


@dataclass(frozen=True)
class GitState:
    """The commit of a checkout and what differs from it among the watched paths."""

    commit: str | None
    """None outside git or before the first commit."""
    dirty: bool
    diff_sha256: str | None
    """SHA-256 of the difference, untracked files included; None where there is none."""


def git_state(root: Path) -> GitState:
    """The state of the checkout at ``root``.

    Under ``dvc exp run`` the commit is the experiment's baseline, since the one in the temporary workspace is lost.
    """
    commit = _baseline(root) or _text(root, "rev-parse", "--verify", "--quiet", "HEAD") or None
    if commit is None:
        return GitState(None, False, None)
    difference = _difference(root, commit)
    return GitState(commit, bool(difference), hashlib.sha256(difference).hexdigest() if difference else None)


def remote_url(root: Path) -> str | None:
    """The URL of ``origin`` without credentials, or None."""
    url = _text(root, "config", "--get", "remote.origin.url")
    return redacted_address(url) or None


def run_git(root: Path, *arguments: str) -> bytes:
    """Standard output of a git command at ``root``; empty where it fails or git is absent."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False, env=_environment())
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""


def git_objects(root: Path, names: Sequence[str], *, content: bool = True) -> Iterator[tuple[str, bytes] | None]:
    """Id and bytes of each object of ``names`` (ids, or ``commit:path``), in order; None for one that git lacks.

    One process reads them all, and one object is held at a time. Without ``content`` the bytes are empty.
    """
    if not names:
        return
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{name}\n" for name in names).encode())
        wanted.seek(0)
        command = ["git", "cat-file", "--batch" if content else "--batch-check"]
        with subprocess.Popen(
            command, cwd=root, stdin=wanted, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
        ) as process:
            assert process.stdout is not None
            for _ in names:
                yield _object(process.stdout, content)


def _object(stream: IO[bytes], content: bool) -> tuple[str, bytes] | None:
    head = stream.readline().rsplit(maxsplit=2)
    if len(head) < 3 or not head[2].isdigit():
        return None
    data = stream.read(int(head[2]) + 1)[:-1] if content else b""
    return head[0].decode(), data


def _environment() -> dict[str, str]:
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}


def _text(root: Path, *arguments: str) -> str:
    return run_git(root, *arguments).decode("utf-8", "replace").strip()


def _baseline(root: Path) -> str | None:
    revision = os.environ.get("DVC_EXP_BASELINE_REV")
    return (_text(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") or None) if revision else None


def _difference(root: Path, commit: str) -> bytes:
    tracked = run_git(root, "diff", "--no-ext-diff", "--binary", commit, "--", *WATCHED)
    names = run_git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *WATCHED)
    untracked = [name for name in sorted(names.split(b"\0")) if name]
    return tracked + b"".join(_untracked(root, name) for name in untracked)


def _untracked(root: Path, name: bytes) -> bytes:
    content = (root / os.fsdecode(name)).read_bytes()
    return b"untracked " + name + b" " + hashlib.sha256(content).hexdigest().encode() + b"\n"
