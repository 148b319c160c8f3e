"""A result as its files tell it: one probe on one model. Tables are read when they are first asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError, reading, restored
from plantain.base.files import digest, sha256_file
from plantain.base.yaml import read_yaml
from plantain.probe.records import ReferenceRecord
from plantain.probe.speaking import in_order, repeating, speaking
from plantain.probe.store import read_references
from plantain.records.cells import read_cells
from plantain.records.holm import HolmRecord, read_holm
from plantain.records.lock import ModelLock, read_lock
from plantain.records.receipt import Receipt, read_receipt
from plantain.records.summary import AnalysisSummary, Summary, read_summary
from plantain.records.verdict import SCHEMA, Climb, Verdict, read_verdict
from plantain.report.figures.grid import placed


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
        return {name: float(value) for name, value in self.summary.metrics.items()}

    @property
    def label(self) -> str:
        """``contrast.analysis``, as in metrics.json."""
        return f"{self.contrast}.{self.name}"

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row a unit, in unit order, with ``column``: the place of the unit in its stream of its block."""
        frame = placed(pl.read_parquet(self.folder / f"{self.label}.parquet"))
        return frame.with_columns(pl.col("t", "mean_difference", "d_z").fill_nan(None))

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
        for contrast in in_order(self.summary.contrasts):
            for analysis, summary in sorted(self.summary.contrasts[contrast].items()):
                if name in (None, analysis) and role in (None, summary.role):
                    yield Analysis(contrast, analysis, summary, self.stats_folder)

    @property
    def controls(self) -> list[Analysis]:
        """The control contrasts by the analysis that stands first, without the one that itself stands first."""
        main = self.main
        return [one for one in self.analyses(main.name, role="control") if one.contrast != main.contrast]

    def contrast(self, name: str) -> Analysis:
        """``heads`` of the contrast of that name, else its first analysis."""
        found = self.summary.contrasts.get(name)
        if not found:
            fix = f"use one of: {', '.join(self.summary.contrasts)}."
            raise InputError(f"{self.address} has no contrast '{name}'.", fix=fix)
        chosen = VERDICT_ANALYSIS if VERDICT_ANALYSIS in found else next(iter(found))
        return Analysis(name, chosen, found[chosen], self.stats_folder)

    @cached_property
    def main(self) -> Analysis:
        """What stands first: ``heads`` of the chosen contrast, else of the one that speaks for the cell."""
        return self.contrast(self.chosen or str(speaking(self.summary.contrasts)))

    @cached_property
    def card(self) -> Analysis | None:
        """The published protocol: ``published.card``, else ``target.card``, else None.

        It is one about undistilled FLUX.2 Klein: none of another model.
        """
        repeated = repeating(self.summary.contrasts)
        other = self.lock_path.exists() and not self.lock.klein
        return self.analysis(repeated, "card") if repeated and not other else None

    @cached_property
    def lock(self) -> ModelLock:
        """The model as it was resolved."""
        return read_lock(self.lock_path)

    @property
    def lock_path(self) -> Path:
        """The model's lock file."""
        return self.root / places.model_lock(self.model)

    @cached_property
    def declared(self) -> dict[str, Any]:
        """The probe file as plain data; empty where the file is gone."""
        path = self.root / places.probe_file(self.probe)
        if not path.exists():
            return {}
        seen = path.stat()
        return _probe_data(path, (seen.st_ino, seen.st_mtime_ns, seen.st_size))

    @property
    def title(self) -> str:
        """The probe's title, or its name."""
        return str(self.declared.get("title") or self.probe)

    @cached_property
    def records(self) -> pl.DataFrame:
        """A row a (item, condition): the prompt, its reference, its digest, the item's fields."""
        path = self.root / places.records(self.probe)
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
    def references(self) -> tuple[ReferenceRecord, ...]:
        """The conditioning images of the probe."""
        path = self.root / places.references(self.probe)
        return read_references(path) if path.exists() else ()

    def reference_image(self, name: str) -> Path:
        """Where the image is; an untrained model is conditioned on those of its ``of`` model."""
        folder = self.root / "data" / "references"
        own = folder / self.model / self.probe / f"{name}.png"
        return own if own.exists() or not self.lock.of else folder / self.lock.of / self.probe / f"{name}.png"

    @cached_property
    def verdict(self) -> Verdict | None:
        """The ladder of claims for this cell, or None where it was not climbed."""
        path = self.root / places.verdict(self.model, self.probe)
        return read_verdict(path) if path.exists() else None

    @property
    def verdict_sha256(self) -> str:
        """Digest of the verdict's file; empty where there is none."""
        path = self.root / places.verdict(self.model, self.probe)
        return sha256_file(path) if path.exists() else ""

    def climb(self, contrast: str) -> Climb | None:
        """How far ``contrast`` got up the ladder; None where it was not climbed."""
        if self.verdict is None or self.verdict.contrast == contrast:
            return self.verdict
        return self.verdict.exploratory.get(contrast)

    @property
    def standing(self) -> Climb | None:
        """How far the contrast that stands first got."""
        return self.climb(self.main.contrast)

    @cached_property
    def holm(self) -> HolmRecord | None:
        """What stands first among the claims of all probes of the run; None where it is exploratory or not counted.

        None as well of a verdict of revision 1, whose own sentence and metrics say it. No page of a cell may show it:
        one probe more would change every page. What they take it from is `plantain.report.family`.
        """
        if self.verdict is None or self.exploratory or self.verdict.schema_ != SCHEMA:
            return None
        return read_holm(self.root / places.HOLM).of(self.probe, self.model)

    @property
    def numbers(self) -> dict[str, float]:
        """Those of the verdict of what stands first, with what becomes of it among all probes; none without one."""
        own = self.standing.metrics if self.standing else {}
        return own | (self.holm.metrics if self.holm else {})

    @property
    def exploratory(self) -> bool:
        """Whether the verdict rests on another contrast than the one that stands first."""
        return self.verdict is not None and self.verdict.contrast != self.main.contrast

    @cached_property
    def receipt(self) -> Receipt | None:
        """The receipt of the analyze stage: what it read and with which params. None where there is none."""
        path = self.root / places.receipt("analyze", model=self.model, probe=self.probe)
        return read_receipt(path) if path.exists() else None

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of what this result rests on, by name."""
        found = {"prompts": self.prompts_sha256, "model lock": sha256_file(self.lock_path)}
        if self.receipt and self.receipt.capture_key:
            found["capture"] = self.receipt.capture_key
        return found | {"summary": sha256_file(self.stats_folder / "summary.json")}


def stats_folder(root: Path, probe: str, model: str) -> Path:
    """Where the analyze stage of a cell writes."""
    return root / places.stats(model, probe)


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
    return Result(root, probe, model, _summary(path), rev)


def load_cells(root: Path) -> list[Result]:
    """Every result of the last run, in the order of ``reports/cells.json``."""
    return [load_result(root, probe, model) for probe, model in read_cells(root / places.CELLS).names]


def _summary(path: Path) -> Summary:
    found = read_summary(path)
    if not any(found.contrasts.values()):
        raise InputError("it holds no analysis of any contrast.", file=path, fix=restored(path))
    return found


@lru_cache(maxsize=256)
def _probe_data(path: Path, seen: tuple[int, int, int]) -> dict[str, Any]:
    """A probe file as plain data, parsed once for the cells of all models; ``seen`` tells its states apart."""
    data = read_yaml(path).data
    return data if isinstance(data, dict) else {}


def _parquet(path: Path) -> pl.DataFrame | None:
    return pl.read_parquet(path) if path.exists() else None
