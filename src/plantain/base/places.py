"""Where things are: every path of a workspace, once, and the home of what neither git nor DVC sees.

A process works in the root of its workspace: DVC starts stages there, and ``plantain`` goes there before it does
anything. So the paths here are relative, and whoever looks elsewhere (a clone, a revision) puts that place in front.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from plantain.base.errors import InputError

PARAMS: Final = Path("params.yaml")
ENVIRONMENT: Final = Path("environment.yaml")
PIPELINE: Final = Path("dvc.yaml")
LOCK: Final = Path("dvc.lock")
CONSTRAINTS: Final = Path("constraints.txt")
"""The versions that a checkout of plantain is made with."""
PROMPTS: Final = Path("prompts")
"""Probe files."""
PIPELINES: Final = Path("pipelines")
"""A folder a probe, with the stages of that probe and their lock."""
RECEIPTS: Final = Path("receipts")
REPORTS: Final = Path("reports")
CELLS: Final = REPORTS / "cells.json"
BASIS: Final = Path("data", "basis")
MANIFESTS: Final = Path("data", "manifests")
LEDGER: Final = REPORTS / "ledger.json"
VERDICTS: Final = REPORTS / "verdicts.json"
INDEX: Final = REPORTS / "index.html"
TABLE_CSV: Final = INDEX.with_suffix(".csv")
TABLE_JSON: Final = INDEX.with_suffix(".json")
"""The table of the index page, for programs."""
HOLM_SCRIPT: Final = REPORTS / "holm.js"
"""The same as the pages of the cells show it."""
ASKED: Final = REPORTS / "asked.js"
"""How often each model was asked, for the index page. It follows from history: neither git nor DVC holds it."""
PLOTS: Final = REPORTS / "plots"
"""Tables over all cells that ``dvc plots`` draws."""
PUBLISHED: Final = REPORTS / "published"
"""What the public cards say."""
STUDY: Final = REPORTS / "study"
MARKER: Final = Path("mlflow", "published.json")
VERDICT_FOLDER: Final = Path("data", "verdicts")
HOLM: Final = VERDICT_FOLDER / "holm.json"
"""What becomes of the claim of each cell among those of all probes."""

RESERVED: Final = frozenset(
    path.name
    for path in (CELLS, LEDGER, VERDICTS, INDEX, TABLE_CSV, TABLE_JSON, HOLM_SCRIPT, ASKED, PLOTS, PUBLISHED, STUDY)
)
"""Names under ``reports/`` that no model may have."""


_MARKS: Final = (PIPELINE, PARAMS, ENVIRONMENT)
"""What makes a folder a workspace."""


def workspace_of(folder: Path) -> Path | None:
    """The workspace that ``folder`` is in: the nearest folder, from there upwards, with all marks of one."""
    return next((each for each in (folder, *folder.parents) if all((each / mark).is_file() for mark in _MARKS)), None)


def is_part_of_workspace(folder: Path) -> bool:
    """Whether ``folder`` has some mark of a workspace, as a damaged one has."""
    return any((folder / mark).is_file() for mark in _MARKS)


def expect_workspace(folder: Path) -> Path:
    """The workspace that ``folder`` is in, or ``folder`` where it is a damaged one.

    Raises:
        InputError: it is in none.
    """
    found = workspace_of(folder) or (folder if is_part_of_workspace(folder) else None)
    if found is None:
        marks = ", ".join(map(str, _MARKS))
        fix = "go to one, or make one with `plantain init DIR`."
        raise InputError(f"{folder} is in no workspace: no folder from there upwards holds {marks}.", fix=fix)
    return found


_TYPED_IN: ContextVar[Path | None] = ContextVar("the folder that a command was typed in", default=None)


@contextlib.contextmanager
def working_in(workspace: Path) -> Iterator[None]:
    """Work in ``workspace`` inside this context, where :func:`typed` still knows the folder of before."""
    token = _TYPED_IN.set(Path.cwd())
    try:
        with contextlib.chdir(workspace):
            yield
    finally:
        _TYPED_IN.reset(token)


def typed(path: Path) -> Path:
    """A path that a person typed, seen from the workspace: it is relative to the folder that it was typed in."""
    folder = _TYPED_IN.get()
    return path if folder is None or path.is_absolute() else Path(os.path.relpath(folder / path))


def typed_probe(address: str) -> str:
    """A probe by name, or its file as it was typed; either may end in ``@REVISION``."""
    path, at, revision = address.partition("@")
    return f"{typed(Path(path)).as_posix()}{at}{revision}" if path.endswith((".yaml", ".yml")) else address


def probe_file(probe: str) -> Path:
    """The probe as people write it."""
    return PROMPTS / f"{probe}.yaml"


def pipeline(probe: str) -> Path:
    """The stages of one probe."""
    return PIPELINES / probe / PIPELINE


def pipeline_lock(probe: str) -> Path:
    """What DVC credits those stages with."""
    return PIPELINES / probe / LOCK


def basis(stage: str) -> Path:
    """What a stage stands on: settings, declared versions and, in a checkout, digests of its code."""
    return BASIS / f"{stage}.json"


def records(probe: str) -> Path:
    """A row a (item, condition)."""
    return Path("data", "prompts", f"{probe}.parquet")


def references(probe: str) -> Path:
    """The reference images that a probe declares."""
    return Path("data", "prompts", f"{probe}.references.json")


def contrasts(probe: str) -> Path:
    """The contrasts of a probe, expanded."""
    return Path("data", "prompts", f"{probe}.contrasts.json")


def model_lock(model: str) -> Path:
    """What a model is."""
    return Path("models", model, "model.lock.json")


def units(model: str) -> Path:
    """A row a group of a model."""
    return Path("models", model, "units.parquet")


def images(model: str, probe: str) -> Path:
    """The folder of reference images."""
    return Path("data", "references", model, probe)


def manifest(folder: Path) -> Path:
    """What a stage put into ``folder``, a folder below ``data/`` that several stages read."""
    return MANIFESTS.joinpath(*folder.parts[1:-1], f"{folder.name}.json")


def activations(model: str, probe: str) -> Path:
    """Group mean squares of every pass."""
    return Path("data", "activations", model, f"{probe}.safetensors")


def grams(model: str, probe: str) -> Path:
    """Gram matrices of the heads' mean vectors."""
    return Path("data", "grams", model, f"{probe}.safetensors")


def embeddings(model: str, probe: str) -> Path:
    """Mean squares of the prompt embeddings."""
    return Path("data", "embeddings", model, f"{probe}.safetensors")


def stats(model: str, probe: str) -> Path:
    """The folder of tables and ``summary.json``."""
    return Path("data", "stats", model, probe)


def summary(model: str, probe: str) -> Path:
    """What every analysis of every contrast found."""
    return stats(model, probe) / "summary.json"


def verdict(model: str, probe: str) -> Path:
    """How far a cell climbs."""
    return VERDICT_FOLDER / model / f"{probe}.json"


def report(model: str, probe: str) -> Path:
    """The folder of a cell's metrics, figures and page."""
    return REPORTS / model / probe


def metrics(model: str, probe: str) -> Path:
    """The numbers of a cell, in git."""
    return report(model, probe) / "metrics.json"


def figures(model: str, probe: str) -> Path:
    """The folder of a cell's pictures."""
    return report(model, probe) / "figures"


def page(model: str, probe: str) -> Path:
    """The page of a cell."""
    return report(model, probe) / "index.html"


def nulls(family: str, probe: str) -> Path:
    """What the untrained draws of a family score, in git."""
    return STUDY / "nulls" / family / f"{probe}.json"


def replications(model: str, probe: str) -> Path:
    """What further noise seeds and reference images give, in git."""
    return STUDY / "replications" / model / f"{probe}.json"


def causal(model: str, probe: str) -> Path:
    """What swapped heads of a model, or of an untrained family, did; in git."""
    return STUDY / "causal" / model / f"{probe}.json"


def causal_pictures(model: str, probe: str) -> Path:
    """What swapped heads make of the picture; in git."""
    return causal(model, probe).with_suffix(".png")


def sweep(model: str, probe: str) -> Path:
    """What other noise levels give, in git."""
    return STUDY / "sweeps" / model / f"{probe}.json"


def receipt(stage: str, *, model: str | None = None, probe: str | None = None) -> Path:
    """``receipts/<stage>/<model>/<probe>.json`` with the parts that apply; ``all.json`` where none does."""
    parts = [part for part in (model, probe) if part]
    return Path(RECEIPTS, stage, *parts[:-1], f"{parts[-1] if parts else 'all'}.json")


def home() -> Path:
    """Where ``.plantain/`` and ``mlflow/`` are: the workspace; the real one where DVC runs an experiment in a copy."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def experiment() -> str | None:
    """The experiment that this process is part of, where DVC runs it in a copy of the workspace; None elsewhere.

    One that runs in the workspace itself changes the workspace's files, so its results are the workspace's.
    """
    return os.environ.get("DVC_EXP_NAME") if home() != Path.cwd() else None


def state_dir() -> Path:
    """``.plantain/`` at home, or where ``PLANTAIN_CACHE`` points.

    Raises:
        InputError: ``PLANTAIN_CACHE`` points at a file, or below one.
    """
    moved = os.environ.get("PLANTAIN_CACHE")
    if not moved:
        return home() / ".plantain"
    folder = Path(moved).resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        fix = "point it at a folder, which need not exist yet, or unset it."
        raise InputError(f"{there} is a file, not a folder.", field="PLANTAIN_CACHE", fix=fix)
    return folder


def mlflow_dir() -> Path:
    """``mlflow/`` at home: the store and its artifacts."""
    return home() / "mlflow"
