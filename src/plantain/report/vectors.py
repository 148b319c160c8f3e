"""What vector measures say of a result: tables of heads, joined to those of magnitude head by head."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError, restored
from plantain.base.params import WordingMeasure
from plantain.records.summary import VectorSummary
from plantain.report.figures.grid import placed
from plantain.report.result import Analysis, Result

PLACE: Final = ["block_kind", "block", "stream", "part", "head"]
"""What a head is known by, in tables of whatever measure."""
NUMBERS: Final = ("t", "delta", "p")
"""What a vector measure says of a head: ``template_t`` in its own table, ``direction_t`` beside other measures."""


@dataclass(frozen=True)
class VectorAnalysis:
    """One contrast by one vector measure."""

    contrast: str
    measure: WordingMeasure
    summary: VectorSummary
    folder: Path

    @property
    def label(self) -> str:
        """``contrast.measure``, as in metrics.json."""
        return f"{self.contrast}.{self.measure}"

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that exist; a metric without a value is absent."""
        return {name: float(value) for name, value in self.summary.metrics.items()}

    @property
    def path(self) -> Path:
        """Where its table is."""
        return self.folder / f"{self.label}.parquet"

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row a head, in unit order, with ``column``: its place in its stream of its block."""
        return placed(pl.read_parquet(self.path))

    @property
    def named(self) -> pl.DataFrame:
        """The same, its numbers named after the measure: ``direction_t``, ``direction_delta``, ``direction_p``."""
        return self.table.rename({f"template_{name}": f"{self.measure}_{name}" for name in NUMBERS})

    @property
    def of_text(self) -> bool:
        """Whether it looks at text tokens, where the joint blocks' text stream has heads of its own."""
        return self.measure is WordingMeasure.text_direction


def vector_analyses(result: Result, contrast: str) -> Iterator[VectorAnalysis]:
    """Every vector measure that ``contrast`` was compared by, those over image tokens first."""
    found = result.summary.vectors.get(contrast, {})
    for measure in WordingMeasure:
        if measure in found:
            yield VectorAnalysis(contrast, measure, found[measure], result.stats_folder)


def vector_analysis(result: Result, contrast: str, measure: str) -> VectorAnalysis | None:
    """``contrast`` by the vector measure of that name; None where it was not compared by it."""
    return next((one for one in vector_analyses(result, contrast) if one.measure == measure), None)


def with_vectors(result: Result, analysis: Analysis) -> pl.DataFrame:
    """The unit table of an analysis, and beside it what its heads show by direction and by profile.

    Only ``heads`` of a contrast whose vectors were compared gets more columns: vectors are compared by its settings.

    Raises:
        InputError: the heads of the two tables are not the same.
    """
    table = analysis.table
    if analysis.name != VERDICT_ANALYSIS:
        return table
    for one in vector_analyses(result, analysis.contrast):
        if not one.of_text:
            table = _joined(table, one)
    return table


def _joined(table: pl.DataFrame, one: VectorAnalysis) -> pl.DataFrame:
    columns = [f"{one.measure}_{name}" for name in NUMBERS]
    added = one.named.select(*PLACE, *columns)
    if len(added.join(table, on=PLACE, how="anti")) or added.select(PLACE).is_duplicated().any():
        raise InputError("its heads are not those of the analysis.", file=one.path, fix=restored(one.path))
    return table.join(added, on=PLACE, how="left", maintain_order="left")
