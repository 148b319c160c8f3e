"""Results at git revisions: commits, branches, tags, experiments, read without touching the workspace."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from plantain.errors import InputError
from plantain.track.git import run_git
from plantain.track.results import Digests, digests_of


@dataclass(frozen=True)
class Revision:
    """One commit."""

    sha: str
    time: float
    """Seconds since the epoch when it was committed."""
    label: str
    """A ref that points at it, or its short name."""


@dataclass
class RevisionReader:
    """The repository at a revision; what neither git nor the DVC cache nor a remote holds reads as None."""

    root: Path
    revision: str
    missing: list[str] = field(default_factory=list)
    """Paths that DVC knows at this revision and could not bring."""
    _known: dict[str, Digests | None] = field(default_factory=dict)

    @property
    def folder(self) -> Path | None:
        """None: a revision is no folder."""
        return None

    @cached_property
    def _files(self) -> Any:
        from dvc.api import DVCFileSystem

        return DVCFileSystem(str(self.root), rev=self.revision)

    def read(self, path: str) -> bytes | None:
        """The bytes of ``path`` at this revision, or None."""
        tracked = run_git(self.root, "show", f"{self.revision}:./{path}")
        if tracked:
            return tracked
        try:
            return bytes(self._files.cat_file(path))
        except FileNotFoundError:
            if self._files.exists(path):
                self.missing.append(path)
            return None
        except Exception:  # a remote may fail in any way; what is missing is reported by its path
            self.missing.append(path)
            return None

    def digests(self, path: str) -> Digests | None:
        """Digests of ``path`` at this revision, or None."""
        if path not in self._known:
            tracked = run_git(self.root, "show", f"{self.revision}:./{path}")
            self._known[path] = digests_of(io.BytesIO(tracked)) if tracked else self._digests(path)
        return self._known[path]

    def _digests(self, path: str) -> Digests | None:
        try:
            with self._files.open(path, "rb") as stream:
                return digests_of(stream)
        except Exception:  # as in read
            return None

    def names(self, folder: str) -> list[str]:
        """Paths of all files below ``folder``, sorted."""
        try:
            found = self._files.find(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(path).lstrip("/") for path in found)


def resolve(root: Path, revision: str) -> str:
    """The full commit of ``revision``, which may be an experiment's name.

    Raises:
        InputError: git knows no such commit.
    """
    for name in (revision, *_experiment_refs(root, revision)):
        found = run_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found:
            return found.decode().strip()
    fix = "name a commit, a branch, a tag, or an experiment that `dvc exp list --all-commits` shows."
    raise InputError(f"git has no revision '{revision}'.", fix=fix)


def revisions(root: Path, *paths: str) -> list[Revision]:
    """Commits of every ref, experiments included, in which one of ``paths`` changed; oldest first.

    Commits that hold the same content of all ``paths`` are listed once, at the oldest.
    """
    layout = "--format=%H%x09%ct%x09%D"
    log = run_git(root, "log", "--all", "--full-history", "--date-order", "--reverse", layout, "--", *paths).decode()
    seen: set[str] = set()
    return [revision for revision in _parsed(log) if not _seen(root, revision, paths, seen)]


def _parsed(log: str) -> Iterator[Revision]:
    for line in log.splitlines():
        sha, time, refs = line.split("\t")
        name = refs.split(", ")[0].removeprefix("HEAD -> ").removeprefix("tag: ")
        yield Revision(sha, float(time), name.rsplit("/", 1)[-1] if name.startswith("refs/exps") else name or sha[:10])


def _seen(root: Path, revision: Revision, paths: tuple[str, ...], seen: set[str]) -> bool:
    content = hashlib.sha256(run_git(root, "ls-tree", revision.sha, "--", *paths)).hexdigest()
    if content in seen:
        return True
    seen.add(content)
    return False


def _experiment_refs(root: Path, name: str) -> list[str]:
    listed = run_git(root, "for-each-ref", "--format=%(refname)", "refs/exps").decode().split()
    return [ref for ref in listed if ref.rsplit("/", 1)[-1] == name]
