"""A cell analysed: every contrast by every named analysis, from activations to tables, metrics and sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.capture.activations import Activations
from plantain.capture.views import item_level, measure, template_level, unit_table
from plantain.config import AnalysisParams, UnitKind
from plantain.errors import InputError
from plantain.probe.expand import Contrasts, ExpandedContrast
from plantain.stats import (
    SignFlipTest,
    SplitHalf,
    TemplateTest,
    sign_flip_test,
    split_half,
    template_test,
    true_discoveries,
)
from plantain.stats.numbers import metrics_of
from plantain.stats.sentences import sentences_of, warnings_of
from plantain.stats.summary import block_sets, blocks_of, null_of, split_of

Metrics = dict[str, dict[str, dict[str, float]]]
MIN_TEMPLATES = 4
"""Templates a side below which no label permutation can reach 5%."""


@dataclass(frozen=True)
class Bounds:
    """Lower bounds on the number of units that truly differ, all valid at once."""

    everywhere: int
    blocks: list[int]
    """One a row of :func:`plantain.stats.summary.block_sets`."""


@dataclass(frozen=True)
class Findings:
    """One contrast by one analysis. Arrays over ``units`` cover every unit; excluded ones are NaN."""

    contrast: ExpandedContrast
    params: AnalysisParams
    units: pl.DataFrame
    differences: NDArray[np.float64]
    """(items, units)"""
    included: NDArray[np.bool_]
    """(units,): units whose measure exists for every item; the tests see these alone."""
    flips: SignFlipTest
    splits: SplitHalf
    bounds: Bounds | None
    """None for the published protocol, which makes no such claim."""
    templates: TemplateTest | None
    """None where a side has too few templates, or the analysis is the published protocol."""


@dataclass(frozen=True)
class CellResult:
    """What the analyze stage writes."""

    metrics: Metrics
    summary: dict[str, Any]
    tables: dict[str, pl.DataFrame]
    """File stem to table."""


def analyse_cell(
    activations: Activations, groups: pl.DataFrame, contrasts: Contrasts, analyses: Mapping[str, AnalysisParams]
) -> CellResult:
    """Every contrast by every analysis.

    Args:
        activations: Group mean squares of one probe on one model.
        groups: The model's groups, in the order of the group axis.
        contrasts: The probe's contrasts, with strata and flip blocks.
        analyses: The named analyses of params.yaml.
    """
    metrics: Metrics = {}
    summary: dict[str, Any] = {}
    tables: dict[str, pl.DataFrame] = {}
    for name, params in analyses.items():
        units = unit_table(groups, params.unit)
        values = measure(activations, groups, params.unit, params.tokens, params.measure)
        for contrast in contrasts.contrasts:
            found = analyse(values, activations, units, contrast, params)
            metrics.setdefault(contrast.name, {})[name] = metrics_of(found)
            summary.setdefault(contrast.name, {})[name] = _summary(found, metrics[contrast.name][name], name)
            tables |= _tables(found, f"{contrast.name}.{name}", activations.items)
    return CellResult(metrics, {"schema": "plantain.summary/1", "contrasts": summary}, tables)


def analyse(
    values: NDArray[np.float64],
    activations: Activations,
    units: pl.DataFrame,
    contrast: ExpandedContrast,
    params: AnalysisParams,
) -> Findings:
    """One contrast by one analysis.

    Args:
        values: The measure, (item, condition, reference, seed, unit).
        activations: Where ``values`` came from, for its labels.
        units: A row a unit.
        contrast: The two sides.
        params: The analysis.
    """
    conditions = activations.conditions
    differences = item_level(values, conditions, contrast.a, contrast.b)
    included = np.asarray(np.isfinite(differences).all(axis=0))
    if not included.any():
        fix = f"choose other tokens than '{params.tokens}' for this probe."
        raise InputError(f"contrast {contrast.name}: no unit has a finite {params.measure} for every item.", fix=fix)
    usable = differences[:, included]
    names = [str(unit) for unit in units["unit"].to_numpy()[included]]
    flips = sign_flip_test(
        usable,
        flips=params.flips,
        unique=params.unique,
        blocks=contrast.flip_blocks,
        thresholds=tuple(params.thresholds),
        seed=params.seed,
        items=list(activations.items),
        units=names,
    )
    splits = split_half(
        usable, splits=params.splits, blocks=contrast.flip_blocks, flips=params.split_flips, seed=params.seed
    )
    bounds = _bounds(usable, units, included, contrast, params)
    templates = _templates(values, conditions, contrast, params, included)
    return Findings(contrast, params, units, differences, included, flips, splits, bounds, templates)


def _bounds(
    usable: NDArray[np.float64],
    units: pl.DataFrame,
    included: NDArray[np.bool_],
    contrast: ExpandedContrast,
    params: AnalysisParams,
) -> Bounds | None:
    if not params.unique:
        return None
    members = [np.flatnonzero(mask[included]) for _, mask in block_sets(units)]
    everywhere, *blocks = true_discoveries(
        usable,
        unit_sets=[np.arange(usable.shape[1]), *members],
        confidence=params.confidence,
        family=str(params.family),
        shift=params.shift,
        flips=params.flips,
        blocks=contrast.flip_blocks,
        seed=params.seed,
    )
    return Bounds(int(everywhere), [int(bound) for bound in blocks])


def _templates(
    values: NDArray[np.float64],
    conditions: tuple[str, ...],
    contrast: ExpandedContrast,
    params: AnalysisParams,
    included: NDArray[np.bool_],
) -> TemplateTest | None:
    if params.permutations < 1 or min(len(contrast.a), len(contrast.b)) < MIN_TEMPLATES:
        return None
    a = template_level(values, conditions, contrast.a)[:, included]
    b = template_level(values, conditions, contrast.b)[:, included]
    return template_test(
        a,
        b,
        permutations=params.permutations,
        threshold=params.thresholds[0],
        confidence=params.confidence,
        seed=params.seed,
    )


def _summary(found: Findings, numbers: dict[str, float], name: str) -> dict[str, Any]:
    role = str(found.contrast.role)
    return {
        "role": role,
        "unit": str(found.params.unit),
        "tokens": str(found.params.tokens),
        "measure": str(found.params.measure),
        "a": list(found.contrast.a),
        "b": list(found.contrast.b),
        "exploratory": not (role == "target" and name == "heads"),
        "metrics": numbers,
        "blocks": blocks_of(found),
        "null": null_of(found),
        "split_half": split_of(found),
        "sentences": sentences_of(found),
        "warnings": warnings_of(found),
    }


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
        "half_a_t": split.half_a_t, "half_b_t": split.half_b_t,
        "template_t": None if templates is None else templates.t,
        "template_delta": None if templates is None else templates.delta,
        "template_p": None if templates is None else templates.p,
    }  # fmt: skip
    spread = {name: _spread(column, found.included) for name, column in columns.items()}
    flags = {"alive": _flags(test.alive, found.included), "degenerate": _flags(test.degenerate, found.included)}
    return found.units.with_columns(**flags).with_columns(**spread)


def _spread(column: NDArray[Any] | None, included: NDArray[np.bool_]) -> pl.Series:
    full = np.full(included.size, np.nan)
    if column is not None:
        full[included] = column
    return pl.Series(full).fill_nan(None)


def _flags(column: NDArray[np.bool_], included: NDArray[np.bool_]) -> pl.Series:
    full = np.zeros(included.size, bool)
    full[included] = column
    return pl.Series(full)
