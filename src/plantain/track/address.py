"""How people name a result, ``PROBE@MODEL[@REV][:CONTRAST]`` or an MLflow run id, and the result that it names."""

import re
from dataclasses import dataclass
from pathlib import Path

from plantain.base.config import MODEL_NAME, NAME
from plantain.base.errors import InputError
from plantain.base.params import TrackingParams
from plantain.track.history import RevisionReader, resolve_revision, revisions
from plantain.track.mlflow.check import run_tags
from plantain.track.results import RESULTS, Cell, FolderReader, Reader, Results, read_results

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


@dataclass(frozen=True)
class Found:
    """Where results were found, and which of them are meant."""

    reader: Reader
    results: Results
    cells: tuple[Cell, ...]
    rev: str | None
    """Full commit, or None for the workspace."""
    contrast: str | None = None


def everything(root: Path, rev: str | None = None) -> Found:
    """All results of the workspace, or of a revision."""
    sha = resolve_revision(root, rev) if rev else None
    reader: Reader = RevisionReader(root, sha) if sha else FolderReader(root)
    results = read_results(reader)
    return Found(reader, results, results.cells, sha)


def find(root: Path, address: Address | RunId, tracking: TrackingParams) -> Found:
    """The result at ``address``.

    Raises:
        InputError: nothing is there; says what is.
    """
    if isinstance(address, RunId):
        return _of_run(root, run_tags(address.id, tracking))
    found = everything(root, address.rev)
    cells = tuple(cell for cell in found.cells if (cell.probe, cell.model) == (address.probe, address.model))
    if not cells:
        known = ", ".join(cell.name for cell in found.cells) or "none"
        where = f"revision {address.rev}" if address.rev else "this workspace"
        raise InputError(f"{where} has no result {address.probe}@{address.model}.", fix=f"there is: {known}.")
    _check_contrast(cells[0], address)
    return Found(found.reader, found.results, cells, found.rev, address.contrast)


def _check_contrast(cell: Cell, address: Address) -> None:
    known = cell.held["analyze"].receipt.metrics if "analyze" in cell.held else {}
    if address.contrast and address.contrast not in known:
        fix = f"use one of: {', '.join(known) or 'none was analysed yet'}."
        raise InputError(f"{cell.name} has no contrast '{address.contrast}'.", fix=fix)


def _of_run(root: Path, tags: dict[str, str]) -> Found:
    """The workspace if its receipts are the run's, else the newest revision whose receipts are."""
    contrast = tags.get("contrast") or None
    places = [None, *(revision.sha for revision in reversed(revisions(root, *RESULTS)))]
    for rev in places:
        found = everything(root, rev)
        cells = tuple(cell for cell in found.cells if _is_of(cell, tags))
        if cells:
            return Found(found.reader, found.results, cells, found.rev, contrast)
    fix = "run `dvc fetch --all-commits` where a remote holds it."
    raise InputError(f"neither the workspace nor git's history holds the result of run {tags['probe']}.", fix=fix)


def _is_of(cell: Cell, tags: dict[str, str]) -> bool:
    if (cell.probe, cell.model, cell.capture_key) != (tags["probe"], tags["model"], tags.get("capture_key")):
        return False
    wanted = tags.get("receipt_sha256")
    return wanted is None or any(held.sha256 == wanted for held in cell.held.values())
