"""The execution journal: when, where and from which commit each receipt was made.

One line an execution, appended and flushed to disk. No stage depends on it, and it never travels with the results.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from plantain.base.errors import InputError
from plantain.base.files import canonical_json, naming, write_atomic
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
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # A line that a kill tore would swallow the next one.
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        line = canonical_json(execution.model_dump(mode="json")) + b"\n"
        with naming(target):
            _write_line(descriptor, (b"\n" if torn else b"") + line)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_line(descriptor: int, line: bytes) -> None:
    """Write ``line`` whole; what fits of it on a full disk is ended, so that the next line is one of its own."""
    written = os.write(descriptor, line)
    if written < len(line):
        with suppress(OSError):
            os.write(descriptor, b"\n")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def executions(path: Path | None = None) -> list[Execution]:
    """Every complete line of the journal, in order; a line torn by a kill is left out."""
    return [found for line in _lines(path) if (found := _parsed(line))]


def torn_lines(path: Path | None = None) -> int:
    """How many lines of the journal cannot be read."""
    return sum(_parsed(line) is None for line in _lines(path))


def drop_torn_lines(path: Path | None = None) -> None:
    """Keep the lines that can be read, byte for byte."""
    if torn_lines(path):
        write_atomic(path or journal_path(), b"".join(line + b"\n" for line in _lines(path) if _parsed(line)))


def _lines(path: Path | None) -> list[bytes]:
    target = path or journal_path()
    return [line for line in target.read_bytes().split(b"\n") if line.strip()] if target.exists() else []


def _parsed(line: bytes) -> Execution | None:
    try:
        return read(line, Execution, what="a line of the journal", fix="")
    except InputError:
        return None
