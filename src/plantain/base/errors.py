"""Errors that a person can act on: where it is, what is wrong, what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PlantainError(Exception):
    """An error with a message for people; the command line prints it without a traceback."""

    exit_code = 1


class CheckFailed(PlantainError):
    """A check that plantain was asked to make did not hold (exit code 1)."""


class InputError(PlantainError):
    """Wrong usage or input (exit code 2). Names file, line, field and fix as far as they exist."""

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
