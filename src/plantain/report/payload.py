"""What the page's script needs: unit columns as base64 float32, pair differences, prompts. Plain JSON."""

import base64
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from plantain.report import words as wording
from plantain.report.figures.grid import MEASURES, limit
from plantain.report.result import Analysis, Result

COLUMNS = {
    "t": "t", "effect": "mean_difference", "d_z": "d_z", "p": "p", "p_fwer": "p_fwer", "q": "q_bh",
    "template_t": "template_t", "template_delta": "template_delta", "template_p": "template_p",
}  # fmt: skip
"""Names that the script uses, to columns of the unit table."""

FAINT = 5.0
"""The scale of t over wordings ends no lower, so that noise looks like noise."""

GROUP_COLUMNS = ("t", "effect", "d_z", "p", "q")


def payload(result: Result) -> dict[str, Any]:
    """Every analysis of true heads, and the card's groups."""
    shown = [analysis for analysis in result.analyses() if analysis.summary.unit == "head"]
    if result.card and result.card.summary.unit != "head":
        shown.append(result.card)
    ranks = item_ranks(result)
    return {
        "address": result.address,
        "analyses": [_entry(analysis, ranks) for analysis in shown],
        "main": result.main.label,
        "items": _items(result),
        "prompts": prompts(result),
    }


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


def _entry(analysis: Analysis, ranks: dict[str, float]) -> dict[str, Any]:
    table, summary = analysis.table, analysis.summary
    head = summary.unit == "head"
    data = {name: encode(table[COLUMNS[name]]) for name in (COLUMNS if head else GROUP_COLUMNS) if _any(table, name)}
    entry: dict[str, Any] = {
        "label": analysis.label, "contrast": analysis.contrast, "role": summary.role, "unit": summary.unit,
        "noun": wording.units_noun(analysis), "phrase": wording.contrast_phrase(analysis),
        "measure": wording.measure_phrase(analysis), "a": summary.a, "b": summary.b, "rows": rows(table),
        "over": int((table["t"].abs() > 3).sum()), "alive": analysis.metrics.get("alive_units"), "data": data,
        "limits": {name: limit([table[column]]) for name, column in MEASURES.items()},
    }  # fmt: skip
    if "template_t" in data:
        entry["limits"]["template_t"] = max(FAINT, limit([table["template_t"]], share=0.75))
    if analysis.differences is not None:
        entry |= _differences(analysis, ranks)
    return entry


def rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The blocks in unit order: kind, number, number of units, where the MLP part begins (or None), group width."""
    found = []
    for (kind, block), part in table.group_by("block_kind", "block", maintain_order=True):
        mlp = part.filter(part="mlp")["column"]
        heads = part["head"].drop_nulls()
        found.append({
            "kind": kind, "block": block, "units": len(part), "mlp": mlp.min() if len(mlp) else None,
            "stream": part["stream"][0], "width": int(part["width"][0]),
            "perHead": max(1, (len(part) - len(mlp)) // max(1, heads.n_unique())),
        })  # fmt: skip
    return found


def _any(table: pl.DataFrame, name: str) -> bool:
    column = COLUMNS[name]
    return column in table.columns and table[column].null_count() < len(table)


def _differences(analysis: Analysis, ranks: dict[str, float]) -> dict[str, Any]:
    frame = analysis.differences
    assert frame is not None
    units = analysis.table["unit"].cast(pl.String).to_list()
    values = frame.select(units).to_numpy()
    items = frame["item"].to_list()
    found: dict[str, Any] = {"items": items, "differences": _base64(values)}
    if items and all(item in ranks for item in items):
        found["trend"] = _base64(trend(values, np.array([ranks[item] for item in items])))
        found["ranks"] = [ranks[item] for item in items]
    return found


def trend(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Spearman correlation of every unit's differences (items, units) with the rank (items,); NaN where constant."""
    a, b = stats.rankdata(values, axis=0), stats.rankdata(ranks)
    a, b = a - a.mean(0), b - b.mean()
    size = np.sqrt((a**2).sum(0) * (b**2).sum())
    out: np.ndarray = np.full(values.shape[1], np.nan)
    np.divide(b @ a, size, out=out, where=size > 0)
    return out


def encode(column: pl.Series) -> str:
    """A column as base64 of little-endian float32, NaN where there is no value."""
    return _base64(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
