"""Synthetic results: a repository as the stages would leave it, without running them."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from helpers.verdict_cells import analysed
from plantain.base import places
from plantain.base.files import digest, sha256_file
from plantain.base.params import TrackingParams
from plantain.records.journal import Execution, append
from plantain.records.ledger import LEDGER, Ledger, LedgerEntry
from plantain.records.receipt import FileRecord, PromptSet, Receipt, write_receipt
from plantain.records.summary import BlockRow, Summary

ITEMS = ("adult", "b@t", "x=1")
CONDITIONS = ("viewpoint", "mention")


def record(root: Path, path: str) -> FileRecord:
    target = root / path
    return FileRecord(path=path, sha256=sha256_file(target), size=target.stat().st_size)


def prompt_set(root: Path, probe: str, texts: dict[str, str] | None = None) -> PromptSet:
    rows = [
        {"item": item, "condition": condition, "prompt": (texts or {}).get(item, f"{probe} {condition} of {item}")}
        for item in ITEMS
        for condition in CONDITIONS
    ]
    rows = [{**row, "reference": [], "sha256": digest(row)} for row in rows]
    path = root / f"data/prompts/{probe}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema_overrides={"reference": pl.List(pl.String)}).write_parquet(path)
    records = {f"{row['item']}/{row['condition']}": row["sha256"] for row in rows}
    return PromptSet(probe=probe, set_sha256=digest(sorted(records.values())), records=records)


def metrics(seed: float, names: tuple[str, ...] = ("published", "target")) -> dict:
    values = {"heads_over_t3": 10.0 + seed, "pairs": 3.0, "max_abs_t": 4.5 + seed}
    return {name: {"heads": values, "card": {**values, "heads_over_t3": 99.0 + seed}} for name in names}


def blocks(seed: float) -> list[dict]:
    """Rows a block as the analysis keeps them: two joint blocks, one single block in two parts, out of order."""
    places = (("single", 0, "mlp"), ("single", 0, "attention"), ("joint", 1, "attention"), ("joint", 0, "attention"))
    numbers = {"median_abs_d": 0.5, "max_abs_t": 4.0, "lower_bound": None, "units": 4}
    return [
        {"block_kind": kind, "block": block, "part": part, "stream": "all", "over_t3": at, **numbers}
        | {"median_abs_effect": seed + at}
        for at, (kind, block, part) in enumerate(places)
    ]


def role_of(contrast: str) -> str:
    return contrast if contrast in ("target", "published") else "control"


def summary(root: Path, probe: str, model: str, seed: float, found: dict) -> FileRecord:
    path = root / f"data/stats/{model}/{probe}/summary.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [BlockRow(**row) for row in blocks(seed)]
    contrasts = {
        name: {
            analysis: analysed(role_of(name), metrics=numbers, blocks=rows) for analysis, numbers in analyses.items()
        }
        for name, analyses in found.items()
    }
    path.write_bytes(Summary(probe=probe, model=model, contrasts=contrasts).to_bytes())
    return record(root, path.relative_to(root).as_posix())


def write(root: Path, receipt: Receipt, *, executed: bool = True, at: float = 1_700_000_000.0) -> Receipt:
    path = places.receipt(receipt.stage, model=receipt.model, probe=receipt.probe)
    write_receipt(root / path, receipt)
    if executed:
        line = Execution(
            receipt_sha256=receipt.sha256, receipt_path=path.as_posix(), stage=receipt.stage, started=at,
            ended=at + 2.5, host="host", pid=7, commit="c" * 40, dirty=False, diff_sha256=None, dvc_stage=None,
            experiment=None,
        )  # fmt: skip
        append(line, root / ".plantain" / "executions.jsonl")
    return receipt


def empty(stage: str, **more: object) -> Receipt:
    base = {"schema": "plantain.receipt/1", "stage": stage, "reads": [], "writes": [], "params": {}}
    return Receipt.model_validate(
        {**base, "code": {"plantain.base.files": "0" * 64}, "packages": {"numpy": "2.4.6"}, **more}
    )


def make_cell(
    root: Path,
    probe: str,
    model: str,
    *,
    seed: float = 0.0,
    threshold: float = 3.0,
    texts: dict[str, str] | None = None,
    executed: bool = True,
    at: float = 1_700_000_000.0,
    contrasts: tuple[str, ...] = ("published", "target"),
) -> None:
    prompts = prompt_set(root, probe, texts)
    key = digest([prompts.set_sha256, model])
    put = {"executed": executed, "at": at}
    write(root, empty("model", model=model, device="cpu"), **put)
    write(root, empty("prompts", probe=probe, prompts=prompts), **put)
    own = {"probe": probe, "model": model, "capture_key": key}
    write(root, empty("reference", **own), **put)
    capture = {"prompts": prompts, "params": {"capture": {"sigma": 1.0, "seeds": [0]}}, "model_lock_sha256": "1" * 64}
    write(root, empty("capture", **own, **capture), **put)
    analyses = {name: {"unit": "head", "thresholds": [threshold]} for name in ("heads", "card")}
    found = metrics(seed, contrasts)
    done = {"params": {"analyses": analyses}, "metrics": found, "writes": [summary(root, probe, model, seed, found)]}
    write(root, empty("analyze", **own, **done), **put)
    folder = root / f"reports/{model}/{probe}"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20), (int(seed) % 255, 10, 10)).save(folder / "figures/heatmap.png")
    (folder / "index.html").write_text(f"<p>{probe}</p>")
    (folder / "metrics.json").write_text(json.dumps(found))
    write(root, empty("report", **own, writes=[record(root, f"reports/{model}/{probe}/index.html")]), **put)


def make_results(
    root: Path, probes: tuple[str, ...] = ("otherview", "dense"), models: tuple[str, ...] = ("tiny",), **more: object
) -> None:
    for probe in probes:
        for model in models:
            make_cell(root, probe, model, **more)
    cells = [{"probe": probe, "model": model} for probe in probes for model in models]
    path = root / "reports/cells.json"
    path.write_text(json.dumps({"cells": cells}))
    write(root, empty("compare", notes={"cells": len(cells)}), executed=bool(more.get("executed", True)))


def judge(root: Path, rung: float = 3.0) -> None:
    """A verdict on the analyses that stand."""
    numbers = {"verdict_rung": rung, "concept_information": 0.25}
    reads = [record(root, f"data/stats/tiny/{probe}/summary.json") for probe in ("otherview", "dense")]
    found = {probe: {"tiny": numbers} for probe in ("otherview", "dense")}
    write(root, empty("verdict", reads=reads, metrics=found))


def write_ledger(root: Path, *asked: tuple[str, str, str]) -> None:
    """A ledger with a number for each (probe, model, digest of the prompt set)."""
    rows = [
        LedgerEntry(
            probe=probe, model=model, contrast="target", analysis="heads", prompts_sha256=sha256, capture_key=None,
            receipt_sha256="0" * 64, metrics={"pairs": 3.0},
        )
        for probe, model, sha256 in asked
    ]  # fmt: skip
    path = root / LEDGER
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Ledger(prompt_sets={}, numbers=rows).to_bytes())


@dataclass
class Tracked:
    """What `publish` needs of the parameters."""

    tracking: TrackingParams


def parameters(**tracking: object) -> Tracked:
    return Tracked(TrackingParams(**{"timeout": 3.0, **tracking}))


def runs(root: Path, query: str = "", uri: str | None = None) -> list:
    """Runs of the store that plantain holds on to, superseded ones included, as a plain client sees them."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(uri or f"sqlite:///{root}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("plantain")
    found = client.search_runs([experiment.experiment_id], query, ViewType.ALL, max_results=1000)
    return [run for run in found if _is_kept(run)]


def shown(root: Path, query: str = "") -> list:
    """Runs that MLflow's pages show."""
    return [run for run in runs(root, query) if run.info.lifecycle_stage == "active"]


def _is_kept(run: object) -> bool:
    tags = run.data.tags
    hidden = tags.get("superseded") == "true" and "plantain.discarded" not in tags
    return run.info.lifecycle_stage == "active" or hidden
