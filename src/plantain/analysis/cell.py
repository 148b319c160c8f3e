"""A cell analysed: every contrast by every named analysis, from activations to tables, metrics and sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.analysis.findings import Findings, analyse
from plantain.analysis.summary import blocks_of, metrics_of, null_of, sentences_of, split_of, warnings_of
from plantain.analysis.vectors import vector_findings
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.params import AnalysisParams, UnitKind, WordingMeasure
from plantain.measure.magnitude import Magnitude
from plantain.measure.views import makes_units, unit_table
from plantain.probe.records import Contrasts
from plantain.records.activations import Activations
from plantain.records.grams import Grams
from plantain.records.receipt import Metrics
from plantain.records.summary import AnalysisSummary, VectorSummary


@dataclass(frozen=True)
class CellResult:
    """What the analyze stage writes."""

    metrics: Metrics
    summaries: dict[str, dict[str, AnalysisSummary]]
    """By contrast and analysis."""
    vectors: dict[str, dict[WordingMeasure, VectorSummary]]
    """By contrast and vector measure."""
    tables: dict[str, pl.DataFrame]
    """File stem to table."""


def analyse_cell(
    activations: Activations,
    groups: pl.DataFrame,
    contrasts: Contrasts,
    analyses: Mapping[str, AnalysisParams],
    grams: Grams | None = None,
) -> CellResult:
    """Every contrast by every analysis, and by the vector measures with the settings of the confirmatory one.

    An analysis of 16-channel groups is left out where 16 does not divide the widths of the model's heads.

    Args:
        activations: Group mean squares of one probe on one model.
        groups: The model's groups, in the order of the group axis.
        contrasts: The probe's contrasts, with strata and flip blocks.
        analyses: The named analyses of params.yaml.
        grams: Of the same cell; None where there are none.
    """
    metrics: Metrics = {}
    summaries: dict[str, dict[str, AnalysisSummary]] = {}
    tables = {"tokens": _token_counts(activations)}
    for name, params in analyses.items():
        if not makes_units(groups, params.unit):
            continue
        units = unit_table(groups, params.unit)
        magnitude = Magnitude.of(activations, groups, params.unit, params.tokens, params.measure)
        for contrast in contrasts.contrasts:
            found = analyse(magnitude, units, contrast, params)
            metrics.setdefault(contrast.name, {})[name] = metrics_of(found)
            summaries.setdefault(contrast.name, {})[name] = _summary(found, metrics[contrast.name][name], name)
            tables |= _tables(found, f"{contrast.name}.{name}", activations.items)
    vectors: dict[str, dict[WordingMeasure, VectorSummary]] = {}
    if grams is not None and VERDICT_ANALYSIS in analyses:
        rules = analyses[VERDICT_ANALYSIS]
        for contrast, seen in vector_findings(activations, grams, groups, contrasts.contrasts, rules):
            metrics[contrast.name][seen.measure] = dict(seen.summary.metrics)
            vectors.setdefault(contrast.name, {})[seen.measure] = seen.summary
            tables[f"{contrast.name}.{seen.measure}"] = seen.table
    return CellResult(metrics, summaries, vectors, tables)


def _token_counts(activations: Activations) -> pl.DataFrame:
    """Text tokens of every prompt, padding left out."""
    text = activations.token_count[:, :, 0, activations.tokens.index("text")]
    pairs = [(item, condition) for item in activations.items for condition in activations.conditions]
    return pl.DataFrame(pairs, schema=["item", "condition"], orient="row").with_columns(tokens=pl.Series(text.ravel()))


def _summary(found: Findings, numbers: dict[str, float], name: str) -> AnalysisSummary:
    role = str(found.contrast.role)
    return AnalysisSummary(
        role=role,
        unit=str(found.params.unit),
        tokens=str(found.params.tokens),
        measure=str(found.params.measure),
        a=list(found.contrast.a),
        b=list(found.contrast.b),
        exploratory=not (role == "target" and name == "heads"),
        metrics=numbers,
        blocks=blocks_of(found),
        null=null_of(found),
        split_half=split_of(found),
        sentences=sentences_of(found),
        warnings=warnings_of(found),
    )


def _tables(found: Findings, stem: str, items: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    tables = {stem: _unit_rows(found)}
    if found.params.unit is UnitKind.head:
        columns = {str(unit): found.differences[:, index] for index, unit in enumerate(found.units["unit"])}
        tables[f"{stem}.differences"] = pl.DataFrame({"item": list(items)} | columns)
    if found.flips.null_counts is not None:
        counts = {
            f"t{threshold:g}": found.flips.null_counts[:, k] for k, threshold in enumerate(found.params.thresholds)
        }
        tables[f"{stem}.null"] = pl.DataFrame({"flip": np.arange(len(found.flips.null_counts))} | counts)
    return tables


def _unit_rows(found: Findings) -> pl.DataFrame:
    test, split, templates = found.flips, found.splits, found.templates
    columns: dict[str, NDArray[Any] | None] = {
        "mean_difference": found.differences[:, found.included].mean(axis=0),
        "t": test.t, "d_z": test.d_z, "g_z": test.g_z, "g_low": test.g_low, "g_high": test.g_high,
        "p": test.p, "p_fwer": test.p_fwer, "q_bh": test.q_bh, "q_by": test.q_by,
        "half_a_t": None if split is None else split.half_a_t, "half_b_t": None if split is None else split.half_b_t,
        "template_t": None if templates is None else templates.t,
        "template_delta": None if templates is None else templates.delta,
        "template_p": None if templates is None else templates.p,
    }  # fmt: skip
    spread = {name: _spread(column, found.included) for name, column in columns.items()}
    flags = {"alive": _flags(test.alive, found.included), "degenerate": _flags(test.degenerate, found.included)}
    return found.units.with_columns(**flags, **spread).with_columns(pl.col(*spread).fill_nan(None))


def _spread(column: NDArray[Any] | None, included: NDArray[np.bool_]) -> pl.Series:
    full = np.full(included.size, np.nan)
    if column is not None:
        full[included] = column
    return pl.Series(full)


def _flags(column: NDArray[np.bool_], included: NDArray[np.bool_]) -> pl.Series:
    full = np.zeros(included.size, bool)
    full[included] = column
    return pl.Series(full)
