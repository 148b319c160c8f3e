"""Numbers made again: every metric from the activations, and passes from the model."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from plantain.base import places
from plantain.base.errors import InputError, reading
from plantain.base.params import AnalysisParams, CaptureParams, Section
from plantain.records.activations import Activations, read_activations
from plantain.records.grams import Grams, read_grams
from plantain.track.audit.checks import Broken, count, differences
from plantain.track.results import Cell, Held, Reader

Declared = TypeVar("Declared", bound=Section)

_TOLERANCE = 1e-3
"""Relative difference allowed where the passes were batched otherwise or ran on another kind of device."""


def check_stats(cell: Cell, reader: Reader) -> Iterator[Broken]:
    """Numbers of the receipt that the activations do not give again, bit for bit, by the code of this checkout."""
    from plantain.analysis.cell import analyse_cell
    from plantain.probe.store import read_contrasts
    from plantain.records.units import read_units

    held = cell.held["analyze"]
    receipt = held.receipt
    analyses = {name: typed_settings(held, AnalysisParams, found) for name, found in receipt.params["analyses"].items()}
    with _files(reader, _inputs(cell)) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the stage said them when it ran
        result = analyse_cell(
            read_activations(folder / places.activations(cell.model, cell.probe)),
            read_units(folder / places.units(cell.model)),
            read_contrasts(folder / places.contrasts(cell.probe)),
            analyses,
            _grams(folder, cell),
        )
    path = places.metrics(cell.model, cell.probe).as_posix()
    for name, said, again in differences(receipt.metrics, result.metrics):
        problem = f"{name} is {said}, and the activations give {again} when it is computed again."
        yield Broken("statistics", path, problem, cell.name, count(receipt.metrics))


def _grams(folder: Path, cell: Cell) -> Grams | None:
    """The Gram matrices that the numbers were made of; None where the revision kept none."""
    path = folder / places.grams(cell.model, cell.probe)
    return read_grams(path) if path.exists() else None


def check_capture(cell: Cell, reader: Reader, passes: int, seed: int = 0) -> Iterator[Broken]:
    """Activations of some passes that the model does not give again.

    Args:
        cell: the cell to check.
        reader: where its files are.
        passes: how many (item, condition) records are run again.
        seed: chooses them.
    """
    path = places.activations(cell.model, cell.probe).as_posix()
    with _files(reader, _inputs(cell)) as folder:
        stored = read_activations(folder / path)
        again, exact = _captured(cell, folder, passes, seed)
    for item in again.items:
        for condition in again.conditions:
            old, new = _slice(stored, item, condition), _slice(again, item, condition)
            if not _agree(old, new, exact):
                problem = (
                    f"the pass of item '{item}' in condition '{condition}' gives other activations when run again."
                )
                yield Broken("activations", path, problem, cell.name, count(cell.held["analyze"].receipt.metrics))


def _captured(cell: Cell, folder: Path, passes: int, seed: int) -> tuple[Activations, bool]:
    from plantain.capture.cell import capture_cell
    from plantain.capture.progress import Silent
    from plantain.probe.store import read_records
    from plantain.records.lock import read_lock

    held = cell.held["capture"]
    receipt = held.receipt
    records = read_records(folder / places.records(cell.probe))
    chosen = _chosen(len(records), passes, seed)
    # Of some passes there are no Gram matrices to compare.
    params = typed_settings(held, CaptureParams, receipt.params["capture"]).model_copy(update={"grams": False})
    with _empty_store():
        result = capture_cell(
            tuple(records[index] for index in chosen),
            folder / places.images(cell.model, cell.probe),
            read_lock(folder / places.model_lock(cell.model)),
            params,
            Silent(),
        )
    exact = result.device == receipt.device and params.batch_size == 1
    return result.activations, exact


def _chosen(available: int, passes: int, seed: int) -> list[int]:
    generator = np.random.Generator(np.random.Philox(seed))
    return sorted(int(index) for index in generator.choice(available, min(passes, available), replace=False))


def _slice(activations: Activations, item: str, condition: str) -> Any:
    where = activations.items.index(item), activations.conditions.index(condition)
    return activations.mean_square[:, where[0], where[1]]


def _agree(old: Any, new: Any, exact: bool) -> bool:
    old = old[:, : new.shape[1]]
    ran = ~np.isnan(new)
    if exact:
        return bool(np.array_equal(old[ran], new[ran]))
    return bool(np.allclose(old[ran], new[ran], rtol=_TOLERANCE))


def typed_settings(held: Held, kind: type[Declared], values: dict[str, Any]) -> Declared:
    """Settings that a receipt holds, as the code of this checkout takes them."""
    fix = "audit it with the version of plantain that made it, or make it anew with `dvc repro`."
    with reading(Path(held.path), "settings of this version", fix):
        return kind.model_validate(values)


def _inputs(cell: Cell) -> list[str]:
    stages = [cell.held[stage].receipt for stage in ("capture", "analyze") if stage in cell.held]
    return sorted({record.path for receipt in stages for record in receipt.reads})


@contextmanager
def _files(reader: Reader, paths: list[str]) -> Iterator[Path]:
    """A folder that holds ``paths``: the workspace itself, or a temporary one filled from a revision."""
    if reader.folder is not None:
        yield reader.folder
        return
    with tempfile.TemporaryDirectory() as name:
        for path in paths:
            content = reader.read(path)
            if content is None:
                fix = "run `dvc fetch --all-commits` where a remote holds it."
                raise InputError("neither the cache nor a remote holds it.", file=path, fix=fix)
            target = Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield Path(name)


@contextmanager
def _empty_store() -> Iterator[None]:
    """Nothing to resume from: the passes really run."""
    before = os.environ.get("PLANTAIN_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PLANTAIN_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["PLANTAIN_CACHE"]
            else:
                os.environ["PLANTAIN_CACHE"] = before
