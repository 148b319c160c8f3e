"""What the page's script needs, as plain JSON: measures of units as base64 float32, pair differences, prompts."""

import base64
from typing import Any, Final

import numpy as np
import polars as pl

from plantain.probe.speaking import in_order
from plantain.report import words as wording
from plantain.report.figures.grid import block_label
from plantain.report.ranks import average_ranks
from plantain.report.result import Analysis, Result
from plantain.report.unit_measures import (
    FAINT,
    SIZES,
    TREND,
    UnitMeasure,
    measure_of,
    measures_of,
    scale,
    unit_of,
)
from plantain.report.vectors import VectorAnalysis, vector_analyses, with_vectors


def payload(result: Result) -> dict[str, Any]:
    """Every analysis of true heads, those over text tokens, and the card's groups."""
    shown = [analysis for analysis in result.analyses() if analysis.summary.unit == "head"]
    if result.card and result.card.summary.unit != "head":
        shown.append(result.card)
    ranks = item_ranks(result)
    return {
        "address": result.address,
        "verdict": result.verdict_sha256,
        "analyses": [*(_entry(result, analysis, ranks) for analysis in shown), *_text_entries(result)],
        "main": result.main.label,
        "small": _small([one for one in shown if one.summary.unit == "head"], result.main),
        "items": _items(result),
        "prompts": prompts(result),
    }


def _text_entries(result: Result) -> list[dict[str, Any]]:
    """Contrasts over text tokens, where the heads are not those over image tokens."""
    vectors = [one for contrast in in_order(result.summary.contrasts) for one in vector_analyses(result, contrast)]
    return [_text_entry(one) for one in vectors if one.of_text]


def _text_entry(one: VectorAnalysis) -> dict[str, Any]:
    summary, table = one.summary, one.named
    return {
        "label": one.label, "contrast": one.contrast, "analysis": one.measure, "role": summary.role, "unit": "head",
        "kind": "direction over text tokens", "noun": "heads", "phrase": wording.sides_phrase(summary.a, summary.b),
        "measure": f"direction of output over {wording.TOKENS['text']}", "a": summary.a, "b": summary.b,
        "rows": rows(table), "across": "head", "alive": one.metrics.get("alive_units"), "small": False,
        "unpaired": "Vectors are compared wording by wording; no differences of single pairs are kept.",
        "measures": [_measure(each, table[each.column]) for each in measures_of(table, heads=True)],
    }  # fmt: skip


_OVERLAID: Final = {"template_t": "magnitude", "direction_t": "direction", "profile_t": "profile"}
"""Measures that stand side by side, and what people call them."""


def overlay(result: Result) -> dict[str, Any] | None:
    """The maps of what stands first by every measure, on one scale from 0; None where there is one measure alone."""
    table = with_vectors(result, result.main)
    shown = [one for one in measures_of(table, heads=True) if one.key in _OVERLAID]
    if len(shown) < 2:
        return None
    said = {"name": "|t| over wordings", "unit": "without the sign that magnitude has"}
    return said | {
        "maps": {one.key: _OVERLAID[one.key] for one in shown},
        "scale": scale(SIZES, [table[one.column] for one in shown]),
    }


def _small(shown: list[Analysis], main: Analysis) -> dict[str, Any]:
    """The measure of the maps of all contrasts side by side, over wordings where those were compared, on one scale."""
    one = next(measures_of(main.table, heads=True), measure_of("t"))
    assert one.rule is not None
    columns = [analysis.table[one.column] for analysis in shown if one.column in analysis.table.columns]
    return named(one, main) | {"scale": scale(one.rule, columns)}


def item_ranks(result: Result) -> dict[str, float]:
    """The rank of every item that has one."""
    if not result.has_ranks:
        return {}
    frame = result.records.select("item", pl.col("rank").cast(pl.Float64)).drop_nulls().unique("item")
    return dict(frame.iter_rows())


def prompts(result: Result) -> dict[str, dict[str, str]]:
    """``{condition: {item: prompt}}``."""
    found: dict[str, dict[str, str]] = {}
    for item, condition, prompt in result.records.select("item", "condition", "prompt").iter_rows():
        found.setdefault(condition, {})[item] = prompt
    return found


def _items(result: Result) -> list[str]:
    return list(result.records["item"].unique(maintain_order=True))


def _entry(result: Result, analysis: Analysis, ranks: dict[str, float]) -> dict[str, Any]:
    table, summary = with_vectors(result, analysis), analysis.summary
    head = summary.unit == "head"
    entry: dict[str, Any] = {
        "label": analysis.label, "contrast": analysis.contrast, "analysis": analysis.name, "role": summary.role,
        "unit": summary.unit, "kind": "" if head else "16-channel groups", "small": head,
        "unpaired": "The differences of single pairs are kept for true heads only.",
        "noun": wording.units_noun(analysis), "phrase": wording.contrast_phrase(analysis),
        "measure": wording.measure_phrase(analysis), "a": summary.a, "b": summary.b, "rows": rows(table),
        "across": "head" if head else "16-channel group", "over": int((table["t"].abs() > 3).sum()),
        "alive": analysis.metrics.get("alive_units"),
        "measures": [_measure(one, table[one.column], analysis) for one in measures_of(table, heads=head)],
    }  # fmt: skip
    if analysis.differences is not None:
        entry |= _differences(analysis)
        entry["measures"] += _trend(analysis, entry["items"], ranks)
        if entry["items"] and all(item in ranks for item in entry["items"]):
            entry["ranks"] = [ranks[item] for item in entry["items"]]
    return entry


def _measure(one: UnitMeasure, values: pl.Series, analysis: Analysis | None = None) -> dict[str, Any]:
    """A measure as the script reads it: all that there is to say of it, its scale, and a value a unit."""
    return {
        **named(one, analysis),
        "scale": scale(one.rule, [values]) if one.rule else None,
        "fade": {"by": one.fade, "over": FAINT, "said": measure_of(one.fade).name} if one.fade else None,
        "values": encode(values),
    }


def named(one: UnitMeasure, analysis: Analysis | None = None) -> dict[str, Any]:
    """Key, name, unit, level and meaning of a measure, in an analysis; vector measures need none."""
    measure = wording.MEASURES.get(analysis.summary.measure, analysis.summary.measure) if analysis else ""
    return {"key": one.key, "name": one.name, "unit": unit_of(one, measure), "level": one.level, "said": one.said,
            "looks": one.looks}  # fmt: skip


def rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows of the map in unit order, a block or one stream of it each.

    Label, kind, number, stream, number of units, where the MLP part begins (or None), group width, units a head.
    """
    names = ("block_kind", "block", "stream", "part", "head", "column", "width")
    blocks: dict[tuple[str, int, str], list[tuple[str, int | None, int, int]]] = {}
    for *place, part, head, column, width in table.select(names).iter_rows():
        blocks.setdefault(tuple(place), []).append((part, head, column, width))
    found = []
    for (kind, block, stream), units in blocks.items():
        mlp = [column for part, _, column, _ in units if part == "mlp"]
        heads = {head for _, head, *_ in units if head is not None}
        found.append({
            "label": block_label(kind, block, stream), "kind": kind, "block": block,
            "units": len(units), "mlp": min(mlp, default=None), "stream": stream,
            "width": units[0][3], "perHead": max(1, (len(units) - len(mlp)) // max(1, len(heads))),
        })  # fmt: skip
    return found


def _differences(analysis: Analysis) -> dict[str, Any]:
    frame = analysis.differences
    assert frame is not None
    return {"items": frame["item"].to_list(), "differences": _base64(_by_unit(analysis))}


def _by_unit(analysis: Analysis) -> np.ndarray:
    """Differences (items, units)."""
    frame = analysis.differences
    assert frame is not None
    values: np.ndarray = frame.select(analysis.table["unit"].cast(pl.String).to_list()).to_numpy()
    return values


def _trend(analysis: Analysis, items: list[str], ranks: dict[str, float]) -> list[dict[str, Any]]:
    """The trend with rank as a measure, where every item has one."""
    if not items or not all(item in ranks for item in items):
        return []
    values = trend(_by_unit(analysis), np.array([ranks[item] for item in items]))
    return [_measure(TREND, pl.Series(values), analysis)]


def trend(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Spearman correlation of every unit's differences (items, units) with the rank (items,); NaN where constant."""
    a, b = average_ranks(values), average_ranks(ranks)
    a, b = a - a.mean(0), b - b.mean()
    size = np.sqrt((a**2).sum(0) * (b**2).sum())
    out: np.ndarray = np.full(values.shape[1], np.nan)
    np.divide(b @ a, size, out=out, where=size > 0)
    return out


def encode(column: pl.Series) -> str:
    """A column as base64 of little-endian float32, NaN where there is no value."""
    return _base64(column.cast(pl.Float64).to_numpy())


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
