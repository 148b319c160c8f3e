"""What the tracker should hold, worked out from receipts alone: plain data, no MLflow."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.files import canonical_json, digest
from plantain.base.git import remote_url
from plantain.probe.speaking import repeating, speaking
from plantain.records.journal import Execution
from plantain.track.asked import Asked
from plantain.track.history import Revision, Times
from plantain.track.mlflow.card import run_description
from plantain.track.mlflow.headline import chosen, figures_of_row, profiles_of_row, run_color
from plantain.track.mlflow.profiles import Series, profiles, summary_of
from plantain.track.mlflow.swapped import SWAPS, SwappedRun, swapped_of
from plantain.track.mlflow.sweeps import ABOUT, Swept, sweep_of
from plantain.track.results import CELL_STAGES, MODEL_STAGES, PROBE_STAGES, Cell, Held, Reader, Results, written

_FOREIGN: Final = re.compile(r"[^\w\-. /]")
_LONGEST: Final = 6000
"""MLflow's limit on the length of a parameter."""


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as dotted keys that MLflow accepts, values as text."""
    found: dict[str, str] = {}
    for key, value in params.items():
        name = prefix + _accepted(str(key))
        if isinstance(value, dict) and value:
            found |= flat(value, f"{name}.")
        else:
            text = value if isinstance(value, str) else canonical_json(value).decode()
            found[name] = text if len(text) <= _LONGEST else f"sha256 {digest(value)}"
    return found


def _accepted(name: str) -> str:
    """``name`` with each character that MLflow refuses in names as ``:<hex>:``, so that no two names collide."""
    return _FOREIGN.sub(lambda match: f":{ord(match.group()):x}:", name)


COLOR: Final = "mlflow.runColor"
"""The tag by which MLflow's pages colour a run; they write it themselves when somebody picks another colour."""
VERSION: Final = "4"
"""Raise it when runs change shape, so that ``sync`` makes them anew."""


@dataclass(frozen=True)
class DatasetSpec:
    """A prompt set as an input of a run."""

    name: str
    sha256: str
    source: str
    rows: int


@dataclass(frozen=True)
class RunSpec:
    """One run as it should be."""

    kind: str
    """``cell`` (the parent), ``stage``, ``analysis`` or ``all`` (stages that see every cell)."""
    name: str
    key: dict[str, str]
    """What identifies the run; equal keys are the same run."""
    slot: dict[str, str]
    """The place that only one run holds at a time; others there are superseded."""
    tags: dict[str, str]
    started: float
    ended: float
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    series: Series = field(default_factory=dict)
    """Profiles over blocks, and curves over noise levels, by metric name."""
    datasets: tuple[DatasetSpec, ...] = ()
    images: tuple[str, ...] = ()
    """Figures, by path."""
    grid: dict[str, str] = field(default_factory=dict)
    """Those of them that charts lay side by side across runs: name there to path."""
    files: dict[str, str] = field(default_factory=dict)
    """Other artifacts: path to artifact folder."""
    table: str | None = None
    """Path of the prompt table."""
    parent: str | None = None
    """Identity of the parent."""
    reader: Reader | None = field(default=None, compare=False)
    """Where the artifacts are read from."""

    @property
    def identity(self) -> str:
        """Digest of what identifies the run, the shape of runs included."""
        return digest({"version": VERSION, "kind": self.kind, **self.key})

    @property
    def place(self) -> str:
        """Digest of the place that the run holds."""
        return digest({"kind": self.kind, **self.slot})


def project(
    results: Results,
    reader: Reader,
    journal: list[Execution],
    root: Path,
    revision: Revision | None = None,
    *,
    analyses: Mapping[str, Any] | None = None,
    counts: Mapping[str, Asked] | None = None,
) -> list[RunSpec]:
    """Every run that ``results`` call for, parents before their children.

    Args:
        results: what stands.
        reader: where it stands.
        journal: when it was made.
        root: the repository.
        revision: the commit that `results` were found at; None for a workspace.
        analyses: the declared analyses, for cells that have not been analysed yet.
        counts: by model how often it was asked, for the parents; without it runs keep what they say of that.
    """
    experiment = revision.experiment if revision else places.experiment()
    times = Times.of(journal, revision, experiment)
    runs = [
        run
        for cell in results.cells
        if cell.capture_key
        for run in _cell_runs(cell, verdict_numbers(cell, results), reader, times, analyses or {}, results)
    ]
    runs += [_of(experiment, _single(stage, held, results, times)) for stage, held in results.singles.items()]
    url = remote_url(root)
    common = {"mlflow.source.type": "LOCAL", "host": socket.gethostname(), "pid": str(os.getpid())}
    common |= {"mlflow.source.git.repoURL": url} if url else {}
    return [replace(run, tags={**run.tags, **_asked(run, counts or {}), **common}, reader=reader) for run in runs]


def _asked(run: RunSpec, counts: Mapping[str, Asked]) -> dict[str, str]:
    found = counts.get(run.tags["model"]) if run.kind == "cell" else None
    return found.tags if found else {}


def _of(experiment: str | None, run: RunSpec) -> RunSpec:
    """``run`` as one of an experiment's, which never takes the place of the workspace's."""
    own = {"experiment": experiment} if experiment else {}
    return replace(run, key=run.key | own, slot=run.slot | own, tags=run.tags | own)


def headline(cell: Cell, verdict: Mapping[str, float]) -> dict[str, float]:
    """A cell's numbers: the confirmatory and the verdict's under plain names, the card's as ``card.<metric>``."""
    if "analyze" not in cell.held:
        return {}
    metrics = cell.held["analyze"].receipt.metrics
    main, repeated = speaking(metrics), repeating(metrics)
    confirmatory = metrics[main].get(VERDICT_ANALYSIS, {}) if main else {}
    plain = {**confirmatory, **verdict} if confirmatory else {}
    card = metrics[repeated].get("card", {}) if repeated else {}
    return {**plain, **{f"card.{name}": value for name, value in card.items()}}


def verdict_numbers(cell: Cell, results: Results) -> dict[str, float]:
    """The numbers of a cell's verdict; none where it was given on another analysis than the one that stands."""
    held, analyze = results.singles.get("verdict"), cell.held.get("analyze")
    if held is None or analyze is None:
        return {}
    path = summary_of(cell)
    seen = next((record.sha256 for record in held.receipt.reads if record.path == path), None)
    same = seen == written(analyze, path)
    return held.receipt.metrics.get(cell.probe, {}).get(cell.model, {}) if same else {}


def _cell_runs(
    cell: Cell,
    verdict: Mapping[str, float],
    reader: Reader,
    times: Times,
    analyses: Mapping[str, Any],
    results: Results,
) -> list[RunSpec]:
    blocks = profiles(cell, reader)
    swaps = swapped_of(cell, results, reader)
    parent = _of(times.experiment, _parent(cell, verdict, blocks, reader, times, analyses))
    if swaps is not None and swaps.pictures is not None:
        # What makes the sink lay files out anew: other pictures under the same receipts of the cell's own stages.
        changed = {"receipts_sha256": digest([parent.tags["receipts_sha256"], swaps.held.sha256])}
        parent = _with_pictures(replace(parent, tags=parent.tags | changed), swaps)
    stages = [stage for stage in (*MODEL_STAGES, *PROBE_STAGES, *CELL_STAGES) if stage in cell.held]
    children = [
        replace(run, series=blocks.get((run.tags.get("contrast", ""), run.tags.get("analysis", "")), {}))
        for stage in stages
        for run in _children(cell, stage, reader, times)
    ]
    levels = sweep_of(cell, results, reader)
    children += [_sweep(cell, levels, times)] if levels else []
    children += [_swaps(cell, swaps, times)] if swaps else []
    own = {"parent": parent.identity}
    return [
        parent,
        *(_of(times.experiment, replace(run, parent=parent.identity, key=run.key | own)) for run in children),
    ]


def _parent(
    cell: Cell,
    verdict: Mapping[str, float],
    blocks: Mapping[tuple[str, str], Series],
    reader: Reader,
    times: Times,
    analyses: Mapping[str, Any],
) -> RunSpec:
    asked = _analyses(cell) or analyses
    started, ended = times.span(cell.held["capture"])
    own = {"probe": cell.probe, "model": cell.model}
    receipts = digest({stage: held.sha256 for stage, held in cell.held.items()})
    numbers = headline(cell, verdict)
    main = speaking(cell.held["analyze"].receipt.metrics) if "analyze" in cell.held else None
    card = run_description(cell, numbers, reader)
    tags = {"receipts_sha256": receipts, "mlflow.note.content": card, **times.tags(cell.held["capture"])}
    tags[COLOR] = run_color(cell.probe, cell.model, untrained=_is_untrained(cell))
    page = places.page(cell.model, cell.probe).as_posix()
    figures = figures_of_row(_figures(cell, reader), main)
    return RunSpec(
        kind="cell",
        name=cell.name,
        key={**own, "capture_key": str(cell.capture_key), "analyses": digest(asked)},
        slot=own,
        tags={**_tags(cell), **tags, "mlflow.source.name": f"dvc repro ({cell.name})"},
        started=started,
        ended=ended,
        params=_parent_params(cell, asked),
        metrics=chosen(numbers),
        series=profiles_of_row(blocks.get((main or "", VERDICT_ANALYSIS), {})),
        datasets=_datasets(cell),
        images=tuple(figures.values()),
        grid=figures,
        files={page: "report", **{held.path: "receipts" for held in cell.held.values()}},
        table=places.records(cell.probe).as_posix(),
    )


def _is_untrained(cell: Cell) -> bool:
    """Whether the model was declared untrained when its lock was made."""
    declared = cell.held["model"].receipt.params.get("models", {}) if "model" in cell.held else {}
    return bool(declared.get(cell.model, {}).get("source") == "untrained")


def _analyses(cell: Cell) -> dict[str, Any]:
    """The parameters that the cell was analysed with; none where it was not."""
    return cell.held["analyze"].receipt.params.get("analyses", {}) if "analyze" in cell.held else {}


def _parent_params(cell: Cell, analyses: Mapping[str, Any]) -> dict[str, str]:
    declared = flat({**cell.held["capture"].receipt.params, "analyses": dict(analyses)})
    return {key: value for key, value in declared.items() if not key.startswith("environment")}


def _children(cell: Cell, stage: str, reader: Reader, times: Times) -> list[RunSpec]:
    held = cell.held[stage]
    if stage == "analyze" and held.receipt.metrics:
        pairs = [(contrast, analysis) for contrast, found in held.receipt.metrics.items() for analysis in found]
        return [_analysis(cell, held, contrast, analysis, times) for contrast, analysis in pairs]
    run = _stage(cell, held, times)
    extra: dict[str, dict[str, Any]] = {
        "prompts": {"table": places.records(cell.probe).as_posix()},
        "report": {"images": _figures(cell, reader)},
        "reference": {"images": tuple(record.path for record in held.receipt.writes if record.path.endswith(".png"))},
    }
    return [replace(run, **extra.get(stage, {}))]


def _stage(cell: Cell, held: Held, times: Times) -> RunSpec:
    stage = held.receipt.stage
    slot = {"capture_key": str(cell.capture_key), "stage": stage, "contrast": "", "analysis": ""}
    started, ended = times.span(held)
    return RunSpec(
        kind="stage",
        name=stage,
        key={**slot, "receipt": held.sha256},
        slot=slot,
        tags={**_tags(cell), **_receipt_tags(held), **times.tags(held)},
        started=started,
        ended=ended,
        params={**flat(held.receipt.params), **flat({"seeds": held.receipt.seeds} if held.receipt.seeds else {})},
        metrics=_sizes(held),
        datasets=_datasets(cell) if stage != "model" else (),
    )


def _sweep(cell: Cell, levels: Swept, times: Times) -> RunSpec:
    """Other noise levels, from the study: curves, and why some are missing."""
    run = _stage(cell, levels.held, times)
    remark = {"mlflow.note.content": levels.remark or ABOUT}
    files = {levels.table: "study", levels.held.path: "receipts"}
    return replace(run, series=levels.series, tags=run.tags | remark, files=files)


def _swaps(cell: Cell, swaps: SwappedRun, times: Times) -> RunSpec:
    """Swapped heads, from the study: the numbers of the table and its pictures, or why they are not shown."""
    run = _stage(cell, swaps.held, times)
    files = {swaps.table: "study", swaps.held.path: "receipts"}
    tags = run.tags | {"mlflow.note.content": swaps.remark}
    return _with_pictures(replace(run, metrics=run.metrics | swaps.numbers, tags=tags, files=files), swaps)


def _with_pictures(run: RunSpec, swaps: SwappedRun | None) -> RunSpec:
    """``run`` with the pictures of swapped heads, where there are any."""
    if swaps is None or swaps.pictures is None:
        return run
    return replace(run, grid=run.grid | {SWAPS: swaps.pictures}, files=run.files | {swaps.pictures: "swaps"})


def _sizes(held: Held) -> dict[str, float]:
    """What a stage without findings measured about itself: bytes written, and numbers among its notes."""
    notes = {name: value for name, value in held.receipt.notes.items() if type(value) in (int, float)}
    return {"bytes_written": float(sum(record.size for record in held.receipt.writes)), **notes}


def _analysis(cell: Cell, held: Held, contrast: str, analysis: str, times: Times) -> RunSpec:
    run = _stage(cell, held, times)
    slot = {**run.slot, "contrast": contrast, "analysis": analysis}
    prefix = f"analyses.{analysis}."
    own = {key.removeprefix(prefix): value for key, value in run.params.items() if key.startswith(prefix)}
    return replace(
        run,
        kind="analysis",
        name=f"{contrast}.{analysis}",
        key={**slot, "receipt": held.sha256},
        slot=slot,
        tags={**run.tags, "contrast": contrast, "analysis": analysis},
        params=own,
        metrics=dict(held.receipt.metrics[contrast][analysis]),
    )


def _single(stage: str, held: Held, results: Results, times: Times) -> RunSpec:
    started, ended = times.span(held)
    datasets = {spec.sha256: spec for cell in results.cells for spec in _datasets(cell)}
    metrics = {
        f"{contrast}/{analysis}/{name}": value
        for contrast, analyses in held.receipt.metrics.items()
        for analysis, found in analyses.items()
        for name, value in found.items()
    }
    page = {record.path: "report" for record in held.receipt.writes if record.path.endswith(".html")}
    return RunSpec(
        kind="all",
        name=stage,
        key={"stage": stage, "receipt": held.sha256},
        slot={"stage": stage},
        tags={**_receipt_tags(held), **times.tags(held)},
        started=started,
        ended=ended,
        params=flat(held.receipt.params),
        metrics=metrics or _sizes(held),
        datasets=tuple(datasets.values()),
        files={held.path: "receipts", **page},
    )


def _tags(cell: Cell) -> dict[str, str]:
    tags = {"probe": cell.probe, "model": cell.model, "capture_key": str(cell.capture_key)}
    return tags | ({"prompts_sha256": cell.prompts.set_sha256} if cell.prompts else {})


def _receipt_tags(held: Held) -> dict[str, str]:
    receipt = held.receipt
    address = "-".join(part for part in (receipt.probe, receipt.model) if part)
    tags = {"stage": receipt.stage, "receipt_sha256": held.sha256, "receipt_path": held.path}
    tags["mlflow.source.name"] = f"{receipt.stage}@{address}" if address else receipt.stage
    observed = {"device": receipt.device, "dtype": receipt.dtype, "model_lock_sha256": receipt.model_lock_sha256}
    return tags | {name: value for name, value in observed.items() if value}


def _datasets(cell: Cell) -> tuple[DatasetSpec, ...]:
    found = cell.prompts
    if found is None:
        return ()
    return (DatasetSpec(found.probe, found.set_sha256, places.records(found.probe).as_posix(), len(found.records)),)


def _figures(cell: Cell, reader: Reader) -> tuple[str, ...]:
    folder = places.figures(cell.model, cell.probe).as_posix()
    return tuple(path for path in reader.names(folder) if path.endswith(".png"))
