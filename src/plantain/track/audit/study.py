"""What an audit can say of a verdict: tables of the study against their receipts, and rules that were changed."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.git import run_git
from plantain.track.results import Reader, parse_receipt

FOLDERS: Final = (places.STUDY.as_posix(), "reports/nulls", "reports/replications")
"""Where the tables are, and where earlier revisions had them."""
RECEIPT: Final = ".receipt.json"
VERDICTS: Final = places.VERDICTS.as_posix()


@dataclass(frozen=True)
class BrokenTable:
    """A table of the study that is not what its receipt says."""

    path: str
    problem: str
    """A sentence, with the way out."""


@dataclass(frozen=True)
class RuleChange:
    """A commit that changed the rules of the verdict while verdicts were already published."""

    commit: str
    """Empty for what is not committed yet."""
    date: str
    """ISO 8601; empty for what is not committed yet."""
    rules: dict[str, tuple[Any, Any]]
    """Rule to what it was and what it became; None where there was or is none."""

    def __str__(self) -> str:
        where = f"commit {self.commit[:12]} of {self.date}" if self.commit else "not committed yet"
        what = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in self.rules.items())
        return f"rules of the verdict changed after verdicts were published ({where}): {what}"


def broken_tables(reader: Reader) -> Iterator[BrokenTable]:
    """Tables without a receipt, with one that does not fit them, and receipts without a table."""
    names = [name for folder in FOLDERS for name in reader.names(folder) if name.endswith(".json")]
    receipts = {name for name in names if name.endswith(RECEIPT)}
    for name in names:
        if name in receipts:
            table = name.removesuffix(RECEIPT) + ".json"
            if table not in names:
                yield BrokenTable(table, "its receipt is here and it is missing. Restore it with git.")
            yield from _beside(reader, name, table)
        elif (problem := _problem(reader, name)) is not None:
            yield BrokenTable(name, problem)


def rule_changes(root: Path) -> list[RuleChange]:
    """Changes of ``verdict`` in params.yaml since the first commit that published verdicts, oldest first.

    The last one may be that of the working folder, not committed yet.
    """
    listed = run_git(root, "log", "--reverse", "--first-parent", "--format=%H %cI", "--", "params.yaml").decode()
    states = [(commit, date, _rules(root, commit)) for commit, date in map(str.split, listed.splitlines())]
    here = root / places.PARAMS
    states.append(("", "", _verdict(here.read_bytes() if here.is_file() else b"")))
    found = []
    for (_, _, old), (commit, date, new) in pairwise(states):
        if old and new and old != new and _published_before(root, commit):
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            found.append(RuleChange(commit, date, {name: (old.get(name), new.get(name)) for name in names}))
    return found


def _problem(reader: Reader, name: str) -> str | None:
    path = str(PurePosixPath(name).with_suffix(RECEIPT))
    content, digests = reader.read(path), reader.digests(name)
    if content is None or digests is None:
        return "there is no receipt beside it. Run `plantain run --study`."
    try:
        receipt = parse_receipt(path, content).receipt
    except InputError as error:
        return str(error)
    written = {record.path: record.sha256 for record in receipt.writes}
    if written.get(name) != digests.sha256:
        return "its bytes are not those that its receipt names. Restore it with git, or run `plantain run --study`."
    return None


def _beside(reader: Reader, receipt: str, table: str) -> Iterator[BrokenTable]:
    """What a receipt names beside its table, as pictures, and is not here, or is something else."""
    content = reader.read(receipt)
    try:
        writes = parse_receipt(receipt, content).receipt.writes if content is not None else []
    except InputError:  # damaged, which is said of the table
        return
    for record in writes:
        digests = reader.digests(record.path) if record.path != table else None
        if record.path != table and (digests is None or digests.sha256 != record.sha256):
            what = "it is missing" if digests is None else "its bytes are not those that its receipt names"
            yield BrokenTable(record.path, f"{what}. Restore it with git, or run `plantain run --study`.")


def _published_before(root: Path, commit: str) -> bool:
    """Whether the state before ``commit`` (the last commit, for what is not committed yet) held verdicts."""
    revision = f"{commit}^" if commit else "HEAD"
    return bool(run_git(root, "ls-tree", "--name-only", revision, "--", VERDICTS).strip())


def _rules(root: Path, commit: str) -> dict[str, Any]:
    return _verdict(run_git(root, "show", f"{commit}:params.yaml"))


def _verdict(content: bytes) -> dict[str, Any]:
    try:
        data = YAML(typ="safe").load(io.BytesIO(content))
    except YAMLError:
        return {}
    found = data.get("verdict") if isinstance(data, dict) else None
    return dict(found) if isinstance(found, dict) else {}
