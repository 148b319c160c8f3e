"""A result as its files tell it: one probe on one model. Tables are read when they are first asked for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from pydantic import ValidationError

from plantain.base.errors import InputError, reading, restored
from plantain.base.files import digest, sha256_file
from plantain.base.yaml import read_yaml
from plantain.report.records import AnalysisSummary, Climb, Lock, ReferenceView, Summary, Verdict, View, references

Record = TypeVar("Record", bound=View)


@dataclass(frozen=True)
class Analysis:
    """One named analysis of one contrast."""

    contrast: str
    name: str
    summary: AnalysisSummary
    folder: Path

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that exist; a metric without a value is absent."""
        return {name: value for name, value in self.summary.metrics.items() if value is not None}

    @property
    def label(self) -> str:
        """``contrast.analysis``, as in metrics.json."""
        return f"{self.contrast}.{self.name}"

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row a unit, in unit order, with ``column``: the place of the unit in its block."""
        frame = pl.read_parquet(self.folder / f"{self.label}.parquet").sort("unit")
        place = pl.int_range(pl.len()).over("block_kind", "block").alias("column")
        return frame.with_columns(place, pl.col("t", "mean_difference", "d_z").fill_nan(None))

    @cached_property
    def differences(self) -> pl.DataFrame | None:
        """``item`` and one column per unit: side a minus side b. None where they are not stored."""
        return _parquet(self.folder / f"{self.label}.differences.parquet")

    @cached_property
    def null(self) -> pl.DataFrame | None:
        """``flip``, ``t3``, ``t5``: units over each threshold per flip; row 0 is the observed sign pattern."""
        return _parquet(self.folder / f"{self.label}.null.parquet")


@dataclass(frozen=True)
class Result:
    """One probe on one model."""

    root: Path
    probe: str
    model: str
    summary: Summary
    rev: str | None = None
    """The git revision it was read from; None for the workspace."""
    chosen: str | None = None
    """The contrast that a reader asked for; None leaves the choice to ``main``."""

    @property
    def address(self) -> str:
        """``PROBE@MODEL[@REV][:CONTRAST]``, the way a result is called on the command line."""
        rev = f"@{self.rev}" if self.rev else ""
        return f"{self.probe}@{self.model}{rev}" + (f":{self.chosen}" if self.chosen else "")

    @property
    def stats_folder(self) -> Path:
        """Where the analyze stage wrote."""
        return stats_folder(self.root, self.probe, self.model)

    def analysis(self, contrast: str, name: str) -> Analysis | None:
        """The analysis of that name, or None."""
        found = self.summary.contrasts.get(contrast, {}).get(name)
        return Analysis(contrast, name, found, self.stats_folder) if found else None

    def analyses(self, name: str | None = None, role: str | None = None) -> Iterator[Analysis]:
        """Every analysis, target first, then published, then controls in order of name."""
        order = {"target": 0, "published": 1}
        pairs = [(c, a, s) for c, by_name in self.summary.contrasts.items() for a, s in by_name.items()]
        for contrast, analysis, summary in sorted(pairs, key=lambda row: (order.get(row[2].role, 2), row[0], row[1])):
            if name in (None, analysis) and role in (None, summary.role):
                yield Analysis(contrast, analysis, summary, self.stats_folder)

    def contrast(self, name: str) -> Analysis:
        """``heads`` of the contrast of that name, else its first analysis."""
        found = self.summary.contrasts.get(name)
        if not found:
            fix = f"use one of: {', '.join(self.summary.contrasts)}."
            raise InputError(f"{self.address} has no contrast '{name}'.", fix=fix)
        chosen = "heads" if "heads" in found else next(iter(found))
        return Analysis(name, chosen, found[chosen], self.stats_folder)

    @cached_property
    def main(self) -> Analysis:
        """What stands first: the chosen contrast, else ``target.heads``, ``published.heads``, or the first there is."""
        if self.chosen:
            return self.contrast(self.chosen)
        return next(self.analyses("heads"), None) or next(self.analyses())

    @cached_property
    def card(self) -> Analysis | None:
        """The published protocol: ``published.card``, else ``target.card``, else None."""
        found = {analysis.summary.role: analysis for analysis in self.analyses("card")}
        return found.get("published") or found.get("target")

    @cached_property
    def lock(self) -> Lock:
        """The model as it was resolved."""
        return _record(self.lock_path, Lock)

    @property
    def lock_path(self) -> Path:
        """The model's lock file."""
        return self.root / "models" / self.model / "model.lock.json"

    @cached_property
    def declared(self) -> dict[str, Any]:
        """The probe file as plain data; empty where the file is gone."""
        path = self.root / "prompts" / f"{self.probe}.yaml"
        data = read_yaml(path).data if path.exists() else {}
        return data if isinstance(data, dict) else {}

    @property
    def title(self) -> str:
        """The probe's title, or its name."""
        return str(self.declared.get("title") or self.probe)

    @cached_property
    def records(self) -> pl.DataFrame:
        """A row a (item, condition): the prompt, its reference, its digest, the item's fields."""
        path = self.root / "data" / "prompts" / f"{self.probe}.parquet"
        if not path.exists():
            raise InputError("no such prompt set.", file=path, fix=f"run `plantain run {self.probe}`.")
        with reading(path, "prompt records", restored(path)):
            return pl.read_parquet(path)

    @property
    def has_ranks(self) -> bool:
        """Whether items have a numeric field ``rank``, which orders them."""
        return "rank" in self.records.columns and self.records.schema["rank"].is_numeric()

    @cached_property
    def token_counts(self) -> pl.DataFrame | None:
        """``item``, ``condition``, ``tokens``: text tokens by the model's own tokenizer. None where not stored."""
        return _parquet(self.stats_folder / "tokens.parquet")

    @cached_property
    def prompts_sha256(self) -> str:
        """Digest of the prompt set: of its record digests, sorted."""
        return digest(sorted(self.records["sha256"].to_list()))

    @cached_property
    def references(self) -> tuple[ReferenceView, ...]:
        """The conditioning images of the probe."""
        path = self.root / "data" / "prompts" / f"{self.probe}.references.json"
        if not path.exists():
            return ()
        with reading(path, "the list of reference images", restored(path)):
            return references(json.loads(path.read_bytes()))

    def reference_image(self, name: str) -> Path:
        """Where the image is; an untrained model is conditioned on those of its ``of`` model."""
        folder = self.root / "data" / "references"
        own = folder / self.model / self.probe / f"{name}.png"
        return own if own.exists() or not self.lock.of else folder / self.lock.of / self.probe / f"{name}.png"

    @cached_property
    def verdict(self) -> Verdict | None:
        """The ladder of claims for this cell, or None where it was not climbed."""
        path = self.root / "data" / "verdicts" / self.model / f"{self.probe}.json"
        return _record(path, Verdict) if path.exists() else None

    def climb(self, contrast: str) -> Climb | None:
        """How far ``contrast`` got up the ladder; None where it was not climbed."""
        if self.verdict is None or self.verdict.contrast == contrast:
            return self.verdict
        return self.verdict.exploratory.get(contrast)

    @property
    def standing(self) -> Climb | None:
        """How far the contrast that stands first got."""
        return self.climb(self.main.contrast)

    @property
    def exploratory(self) -> bool:
        """Whether the verdict rests on another contrast than the one that stands first."""
        return self.verdict is not None and self.verdict.contrast != self.main.contrast

    @cached_property
    def receipt(self) -> dict[str, Any]:
        """The receipt of the analyze stage: what it read and with which params. Empty where there is none."""
        path = self.root / "receipts" / "analyze" / self.model / f"{self.probe}.json"
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of what this result rests on, by name."""
        found = {"prompts": self.prompts_sha256, "model lock": sha256_file(self.lock_path)}
        if self.receipt.get("capture_key"):
            found["capture"] = self.receipt["capture_key"]
        return found | {"summary": sha256_file(self.stats_folder / "summary.json")}


def stats_folder(root: Path, probe: str, model: str) -> Path:
    """Where the analyze stage of a cell writes."""
    return root / "data" / "stats" / model / probe


def load_result(root: Path, probe: str, model: str, rev: str | None = None) -> Result:
    """Open the result of ``probe`` on ``model`` under the repository at ``root``, which holds revision ``rev``.

    Raises:
        InputError: there is none, or its summary cannot be read.
    """
    path = stats_folder(root, probe, model) / "summary.json"
    if not path.exists():
        known = sorted(f"{p.parent.name}@{p.parent.parent.name}" for p in root.glob("data/stats/*/*/summary.json"))
        have = f"; there is {', '.join(known)}" if known else ""
        fix = f"run `plantain run {probe}`, or `dvc pull` where a remote holds it{have}."
        raise InputError(f"no result of probe '{probe}' on model '{model}'.", file=path, fix=fix)
    return Result(root, probe, model, _record(path, Summary), rev)


def load_cells(root: Path) -> list[Result]:
    """Every result of the last run, in the order of ``reports/cells.json``."""
    path = root / "reports" / "cells.json"
    if not path.exists():
        raise InputError("no list of cells.", file=path, fix="run `dvc repro cells`.")
    with reading(path, "the cells of the run", "run `dvc repro cells`, which writes it anew."):
        named = [(str(cell["probe"]), str(cell["model"])) for cell in json.loads(path.read_bytes())["cells"]]
    return [load_result(root, probe, model) for probe, model in named]


def _record(path: Path, kind: type[Record]) -> Record:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        fix = "run `dvc repro`, or `dvc pull` where a remote holds it."
        raise InputError("no such file.", file=path, fix=fix) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        fix = "run `dvc repro` to write it anew."
        raise InputError(f"{first['msg']}.", file=path, field=field, fix=fix) from None


def _parquet(path: Path) -> pl.DataFrame | None:
    return pl.read_parquet(path) if path.exists() else None
