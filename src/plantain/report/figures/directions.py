"""What stands first by every measure side by side: magnitude, direction, profile, and over text tokens."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from plantain.base.params import WordingMeasure
from plantain.report import words as wording
from plantain.report.by_measure import MeasureShown, by_measure
from plantain.report.figures.heatmaps import LEFT, Panel, draw_map, draw_scale
from plantain.report.figures.style import headline, new_figure
from plantain.report.result import Result
from plantain.report.unit_measures import FAINT, SIZES, scale
from plantain.report.vectors import vector_analysis

_APART = 0.36
"""The room before the map over text tokens, whose blocks have other names, as a share of a map."""


def directions(result: Result) -> Figure | None:
    """The size of t over wordings by every measure, on one scale from 0; None where there is magnitude alone."""
    shown = by_measure(result)
    if len(shown) < 2:
        return None
    figure = new_figure(3.2)
    height = float(figure.get_size_inches()[1])
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: {_listed(shown)}",
        f"{wording.contrast_phrase(result.main)}: size of t over wordings of every head, all on one scale. "
        "Over text tokens any two texts differ.",
    )
    tables = [_sizes(result, one) for one in shown]
    ends = scale(SIZES, [table["size"] for table in tables])
    widths = [width for one in shown for width in ((_APART, 1.0) if _of_text(one) else (1.0,))]
    grid = figure.add_gridspec(
        1, len(widths), left=LEFT, right=0.985, top=upper - 0.2 / height, bottom=0.4 / height, wspace=0.12,
        width_ratios=widths,
    )  # fmt: skip
    for place, (one, table) in enumerate(zip(shown, tables, strict=True)):
        column = place + _of_text(one)
        image = draw_map(figure, grid[column], Panel(
            result.main, "size", ends["end"], title=one.name, note=_note(one),
            labels=place == 0 or _of_text(one), sparse=True, bend=FAINT, rising=True, units=table,
        ))  # fmt: skip
    bar = figure.add_axes((LEFT, 0.22 / height, 0.3, 0.06 / height))
    draw_scale(figure, bar, image, "horizontal", ends["ticks"])
    return figure


def _of_text(one: MeasureShown) -> bool:
    return one.measure is WordingMeasure.text_direction


def _sizes(result: Result, one: MeasureShown) -> pl.DataFrame:
    """The heads of a measure with the ``size`` of their t over wordings."""
    vectors = vector_analysis(result, result.main.contrast, one.measure)
    table = result.main.table if vectors is None else vectors.table
    return table.with_columns(pl.col("template_t").abs().alias("size"))


def _note(one: MeasureShown) -> str:
    heads = one.heads if one.metrics["selective_heads_lower_bound"] else "none shown"
    return f"{heads}, {wording.rung_phrase(one.climb)}" if one.climb else heads


def _listed(shown: Sequence[MeasureShown]) -> str:
    return ", ".join(one.name for one in shown)
