"""Errors that a person can act on: where it is, what is wrong, what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class PlantainError(Exception):
    """An error with a message for people; the command line prints it without a traceback."""

    exit_code = 1


class CheckFailed(PlantainError):
    """A check that plantain was asked to make did not hold (exit code 1)."""


class InputError(PlantainError, ValueError):
    """Wrong usage or input (exit code 2). Names file, line, field and fix as far as they exist.

    A ValueError too, so that who uses `plantain.stats` as a library catches what Python raises for a bad argument.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        file: Path | str | None = None,
        line: int | None = None,
        field: str = "",
    ) -> None:
        self.problem = problem
        self.fix = fix
        self.file = file
        self.line = line
        self.field = field
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        lead = " ".join(part for part in (f"{place}:" if place else "", f"{self.field}:" if self.field else "") if part)
        body = f"{lead} {self.problem}" if lead else self.problem
        return f"{body} Fix: {self.fix}" if self.fix else body


_POINTER = b"version https://git-lfs.github.com/spec/"
"""How the text begins that Git keeps, and a clone without Git LFS has, in place of a large file."""


def refuse_pointer(content: bytes, file: Path | str) -> None:
    """Refuse ``content``, or its beginning, where it is what Git LFS leaves in place of ``file``.

    Raises:
        InputError: it is.
    """
    if content.startswith(_POINTER):
        fix = f"run `git lfs pull` in the repository that {Path(file).name} is from (`git lfs install` comes first)."
        raise InputError("a pointer of Git LFS stands here, and not the file itself.", file=file, fix=fix)


def refuse_pointer_at(file: Path) -> None:
    """The same of what stands at ``file``, where that is a file."""
    if file.is_file():
        with file.open("rb") as stream:
            refuse_pointer(stream.read(len(_POINTER)), file)


@contextmanager
def reading(file: Path, what: str, fix: str) -> Iterator[None]:
    """Whatever a parser raises inside says that ``file`` is not readable as ``what``, and how to bring it back.

    Raises:
        InputError: anything but an error for people was raised inside.
    """
    try:
        yield
    except (PlantainError, MemoryError):
        raise
    except Exception as error:  # polars, safetensors, json and pydantic each have errors of their own kind
        with suppress(OSError):
            refuse_pointer_at(file)
        raise InputError(f"not readable as {what} ({_reason(error)}).", file=file, fix=fix) from None


def restored(file: Path) -> str:
    """The fix of a damaged output of the pipeline; without force DVC keeps what it does not know."""
    return f"bring it back with `dvc checkout --force {file}`, or make it anew with `dvc repro`."


def _reason(error: Exception) -> str:
    """The first line of what a parser says, for a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"there is no {error}"
    if isinstance(error, TypeError | AttributeError):
        return "its parts are of another kind"
    said = str(error).strip() or type(error).__name__
    if listed := getattr(error, "errors", None):  # pydantic's: the first of them, without its three lines
        first = listed()[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return said.splitlines()[0].rstrip(".")[:200]


_DISK = {
    errno.ENOSPC: "free some space (`plantain cache` shows what can go), or move the cache with PLANTAIN_CACHE.",
    errno.EDQUOT: "free some of your quota (see `plantain cache`), or move the cache with PLANTAIN_CACHE.",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`), or use a file system that takes larger ones.",
    errno.EROFS: "mount the file system for writing, or work in a folder that can be written.",
    errno.EACCES: "give yourself the permission, or work in a folder of your own.",
    errno.EPERM: "give yourself the permission, or work in a folder of your own.",
    errno.EIO: "look at the disk, or work on another.",
}
"""What the disk may refuse, and what helps."""

_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)

_SAID = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust (polars, safetensors) put an error of the system into their own."""


def disk_errno(error: BaseException) -> int | None:
    """The number of what the disk refused; None where ``error`` is about something else."""
    said = _SAID.search(str(error))
    number = error.errno if isinstance(error, OSError) else int(said[1]) if said else None
    if number is None and "database or disk is full" in str(error):  # SQLite has its own words
        number = errno.ENOSPC
    return number if number in _DISK else None


def disk_error(error: BaseException) -> PlantainError | None:
    """``error`` as a sentence for people, where the disk refused to read or write; nothing is left half written.

    A folder that this user may not write is wrong usage (exit code 2); a full disk is not.
    """
    number = disk_errno(error)
    if number is None:
        return None
    names = [getattr(error, name, None) for name in ("filename2", "filename")]
    file = next((str(name) for name in names if name is not None), "a file")
    problem = f"cannot be read or written: {os.strerror(number).lower()}."
    if number in _FORBIDDEN:
        return InputError(problem, file=file, fix=_DISK[number])
    return PlantainError(f"{file}: {problem} Fix: {_DISK[number]}")
