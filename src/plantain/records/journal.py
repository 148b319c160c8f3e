"""The execution journal: when, where and from which commit each receipt was made.

One line an execution, appended and flushed to disk. No stage depends on it, and it never travels with the results.
"""

import os
from pathlib import Path

from plantain.base.errors import InputError
from plantain.base.files import canonical_json
from plantain.base.places import state_dir
from plantain.records.base import Frozen, read


class Execution(Frozen):
    """One line of the journal."""

    receipt_sha256: str
    receipt_path: str
    stage: str
    started: float
    """Seconds since the epoch."""
    ended: float
    host: str
    pid: int
    commit: str | None
    """Git commit of the repository, None outside git."""
    dirty: bool
    """Whether sources, prompts, params, dvc.yaml or environment differed from that commit."""
    diff_sha256: str | None
    dvc_stage: str | None
    experiment: str | None


def journal_path() -> Path:
    """The journal of this checkout."""
    return state_dir() / "executions.jsonl"


def append(execution: Execution, path: Path | None = None) -> None:
    """Append one line in a single write and flush it to disk, so that a kill loses at most this line."""
    target = path or journal_path()
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, canonical_json(execution.model_dump(mode="json")) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def executions(path: Path | None = None) -> list[Execution]:
    """Every complete line of the journal, in order; a line torn by a kill is left out."""
    target = path or journal_path()
    if not target.exists():
        return []
    found = []
    for line in target.read_bytes().split(b"\n"):
        try:
            found.append(read(line, Execution, what="a line of the journal", fix="", file=target))
        except InputError:
            continue
    return found
