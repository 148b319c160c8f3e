"""Errors that a person can act on: where it is, what is wrong, what to do."""

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
