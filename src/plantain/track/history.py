"""Results at git revisions, read without touching the workspace; and when each receipt was made, by the journal."""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from plantain.base.errors import InputError
from plantain.base.git import git_objects, run_git
from plantain.records.journal import Execution
from plantain.track.results import Digests, Held, digests_of


@dataclass(frozen=True)
class Revision:
    """One commit."""

    sha: str
    time: float
    """Seconds since the epoch when it was committed."""
    label: str
    """A ref that points at it, or its short name."""
    experiment: str | None = None
    """Its name, for a commit that an experiment of DVC alone points at."""


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


def held_by_dvc(root: Path) -> Callable[[str, str], bytes | None]:
    """Reads a file of a revision from what DVC holds, as one that was imported."""

    def read(revision: str, path: str) -> bytes | None:
        # Opening a revision costs a second, which a file that DVC never held there need not cost.
        if not run_git(root, "show", f"{revision}:./{path}.dvc"):
            return None
        return RevisionReader(root, revision).read(path)

    return read


_EXPERIMENT: Final = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/[^/]+")


def resolve_revision(root: Path, revision: str) -> str:
    """The full commit of ``revision``, which may be an experiment's name.

    Raises:
        InputError: git knows no such commit.
    """
    for name in (revision, *(sha for sha, name in _experiments(root) if name == revision)):
        found = run_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found:
            return found.decode().strip()
    fix = "name a commit, a branch, a tag, or an experiment that `dvc exp list --all-commits` shows."
    raise InputError(f"git has no revision '{revision}'.", fix=fix)


def revisions(root: Path, *paths: str) -> list[Revision]:
    """Commits of every ref, experiments included, in which one of ``paths`` changed; oldest first.

    Commits that hold the same content of all ``paths`` are listed once, at the oldest; those of experiments apart.
    """
    layout = "--format=%H%x09%ct%x09%D"
    log = run_git(root, "log", "--all", "--full-history", "--date-order", "--reverse", layout, "--", *paths).decode()
    names = dict(_experiments(root))
    seen: set[tuple[bool, bytes]] = set()
    return [revision for revision in _parsed(log, names) if not _seen(root, revision, paths, seen)]


@dataclass(frozen=True)
class State:
    """What git holds of some paths at one commit."""

    commit: str
    blobs: tuple[str | None, ...]
    """Object ids, in the order of the paths; None for a path that is not there."""


def states(root: Path, *paths: str, until: str | None = None) -> list[State]:
    """Every content that ``paths`` ever had together, each at the oldest commit that holds it; oldest first.

    Of every ref, experiments included; with ``until`` of that commit and its ancestors. Two git processes in all.
    """
    which = ("--all",) if until is None else (until,)
    log = run_git(root, "log", *which, "--full-history", "--date-order", "--reverse", "--format=%H", "--", *paths)
    commits, prefix = log.decode().split(), run_git(root, "rev-parse", "--show-prefix").decode().strip()
    names = [f"{commit}:{prefix}{path}" for commit in commits for path in paths]
    found = [one and one[0] for one in git_objects(root, names, content=False)]
    blobs = [tuple(found[start : start + len(paths)]) for start in range(0, len(found), len(paths))]
    first: dict[tuple[str | None, ...], str] = {}
    for commit, held in zip(commits, blobs, strict=True):
        first.setdefault(held, commit)
    return [State(commit, held) for held, commit in first.items()]


def is_whole(root: Path) -> bool:
    """Whether git holds the history of ``root`` from its beginning: false for a shallow clone and outside git."""
    return run_git(root, "rev-parse", "--is-shallow-repository").strip() == b"false"


def _parsed(log: str, experiments: Mapping[str, str]) -> Iterator[Revision]:
    for line in log.splitlines():
        sha, time, refs = line.split("\t")
        own = [name for name in refs.split(", ") if name and not name.startswith("refs/exps")]
        label = own[0].removeprefix("HEAD -> ").removeprefix("tag: ") if own else sha[:10]
        name = None if own else experiments.get(sha)
        yield Revision(sha, float(time), name or label, name)


def _seen(root: Path, revision: Revision, paths: tuple[str, ...], seen: set[tuple[bool, bytes]]) -> bool:
    listed = run_git(root, "ls-tree", revision.sha, "--", *paths)
    content = (revision.experiment is not None, hashlib.sha256(listed).digest())
    if content in seen:
        return True
    seen.add(content)
    return False


def _experiments(root: Path) -> list[tuple[str, str]]:
    """Commit and name of every experiment: DVC keeps them as ``refs/exps/<baseline in two parts>/<name>``."""
    listed = run_git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").decode().splitlines()
    pairs = [line.split(" ", 1) for line in listed]
    return [(sha, ref.rsplit("/", 1)[-1]) for sha, ref in pairs if _EXPERIMENT.fullmatch(ref)]


ELSEWHERE: Final = "another checkout (this one's journal holds no execution of it)"


@dataclass(frozen=True)
class Times:
    """The journal, looked up by receipt and by place."""

    by_receipt: dict[str, Execution]
    last_at: dict[str, str]
    """Receipt path to the digest of the receipt that was executed there last."""
    now: float
    """What stands for the time of a receipt that the journal does not know."""
    revision: Revision | None
    """Where the results were found; None for the workspace."""
    experiment: str | None = None
    """Whose results they are, where they are those of an experiment of DVC."""
    first: dict[str, Execution] = field(default_factory=dict)
    """By receipt the execution that made it first: a run of the tracker keeps its start, also when it is made anew."""

    @classmethod
    def of(
        cls, journal: Iterable[Execution], revision: Revision | None = None, experiment: str | None = None
    ) -> "Times":
        """Index ``journal``; of several executions of one receipt the last says where, the first when."""
        lines = list(journal)
        by_receipt = {line.receipt_sha256: line for line in lines}
        last_at = {line.receipt_path: line.receipt_sha256 for line in lines if line.experiment == experiment}
        now = revision.time if revision else datetime.now(UTC).timestamp()
        first = {line.receipt_sha256: line for line in reversed(lines)}
        return cls(by_receipt, last_at, now, revision, experiment, first)

    def span(self, held: Held) -> tuple[float, float]:
        """Start and end in seconds since the epoch; for a receipt unknown to the journal, when it was found."""
        line = self.first.get(held.sha256)
        return (line.started, line.ended) if line else (self.now, self.now)

    def tags(self, held: Held) -> dict[str, str]:
        """Commit, dirtiness and, for a result that DVC restored, where it was computed."""
        line = self.by_receipt.get(held.sha256)
        found = {"recorded_in": self.revision.sha} if self.revision else {}
        if line is None:
            return found | {"cached_from": ELSEWHERE}
        tags = found | {"git_dirty": str(line.dirty).lower(), "executed_on": line.host}
        tags |= {"mlflow.source.git.commit": line.commit} if line.commit else {}
        tags |= {"git_diff_sha256": line.diff_sha256} if line.diff_sha256 else {}
        tags |= {"experiment": line.experiment} if line.experiment else {}
        restored = self.revision is None and self.last_at.get(held.path) != held.sha256
        return tags | ({"cached_from": self._origin(line)} if restored else {})

    @staticmethod
    def _origin(line: Execution) -> str:
        moment = datetime.fromtimestamp(line.started, UTC).isoformat(timespec="seconds")
        return f"execution of {moment} at commit {line.commit or 'none'}"
