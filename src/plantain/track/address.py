"""How people name a result: ``PROBE@MODEL[@REV][:CONTRAST]``, or an MLflow run id."""

import re
from dataclasses import dataclass

from plantain.config import MODEL_NAME, NAME
from plantain.errors import InputError

_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Address:
    """One result: a probe on a model, at a git revision or in the workspace, whole or one contrast of it."""

    probe: str
    model: str
    rev: str | None = None
    contrast: str | None = None

    def __str__(self) -> str:
        rev = f"@{self.rev}" if self.rev else ""
        contrast = f":{self.contrast}" if self.contrast else ""
        return f"{self.probe}@{self.model}{rev}{contrast}"


@dataclass(frozen=True)
class RunId:
    """An MLflow run."""

    id: str


def parse(text: str) -> Address | RunId:
    """Read what a person typed.

    Raises:
        InputError: it is neither an address nor a run id.
    """
    if _RUN_ID.fullmatch(text):
        return RunId(text)
    body, colon, contrast = text.partition(":")
    probe, _, rest = body.partition("@")
    model, at, rev = rest.partition("@")
    _check(text, "probe", probe, bool(NAME.fullmatch(probe)))
    _check(text, "model", model, bool(MODEL_NAME.fullmatch(model)))
    _check(text, "revision", rev, bool(rev) or not at)
    _check(text, "contrast", contrast, bool(NAME.fullmatch(contrast)) or not colon)
    return Address(probe, model, rev or None, contrast or None)


def _check(text: str, part: str, value: str, good: bool) -> None:
    if not good:
        problem = f"'{text}' names no result: '{value}' is not a {part}."
        raise InputError(problem, fix="write PROBE@MODEL, PROBE@MODEL@REV, PROBE@MODEL:CONTRAST, or an MLflow run id.")
