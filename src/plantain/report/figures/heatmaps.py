"""Heatmaps: one analysis large with its block profile, three measures together, several contrasts on one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage

from plantain.report import words as wording
from plantain.report.figures.grid import MEASURES, STREAMS, Grid, block_label, grids, limit
from plantain.report.figures.style import (
    CONTROL,
    INK,
    MUTED,
    colormap,
    colour_of,
    headline,
    new_figure,
    quiet,
    rising_colormap,
)
from plantain.report.result import Analysis, Result
from plantain.report.unit_measures import ScaleKind, measure_of, measures_of, scale

MEASURE_LABELS = {"t": "t", "effect": "mean difference", "d_z": "$d_z$ = mean / SD"}
LEFT = 0.098
"""Left edge of every map, leaving room for block labels."""


@dataclass(frozen=True)
class Panel:
    """What one map shows and how it is labelled."""

    analysis: Analysis
    column: str
    top: float
    """End of the scale."""
    title: str = ""
    note: str = ""
    labels: bool = True
    sparse: bool = False
    """Label only the first and last joint block, for maps too small for more."""
    bend: float = 0.0
    """Up to where the scale is straight before it runs like a logarithm; 0 where it is straight throughout."""
    rising: bool = False
    """Whether the scale begins at 0, for values without a sign."""
    units: pl.DataFrame | None = None
    """Units to be shown in place of those of the analysis."""

    @property
    def norm(self) -> Normalize:
        """Values to places on the scale."""
        low = 0.0 if self.rising else -self.top
        return AsinhNorm(self.bend, vmin=low, vmax=self.top) if self.bend else Normalize(low, self.top)

    @property
    def colours(self) -> Colormap:
        """Places on the scale to colours."""
        return rising_colormap() if self.rising else colormap()

    @property
    def grids(self) -> list[Grid]:
        """The rectangles of the map."""
        return grids(self.analysis.table if self.units is None else self.units, self.column)

    @property
    def gap(self) -> float:
        """Space between joint and single blocks; wider where part names stand in it."""
        return 0.3 if self.analysis.summary.unit != "head" else 0.14


def hero(result: Result, analysis: Analysis) -> Figure:
    """The map of t with the share of units over 3 per block beside it; over wordings where those were compared."""
    figure = new_figure(3.8)
    noun = wording.units_noun(analysis)[:-1]
    one = next((one for one in measures_of(analysis.table, heads=noun == "head") if one.key == "template_t"), None)
    one = one or measure_of("t")
    said = f"{wording.contrast_phrase(analysis)}, {analysis.metrics['pairs']:.0f} pairs, "
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: {one.name} of every {noun}",
        f"{said}{wording.measure_phrase(analysis)}.\n{one.said}",
    )
    grid = figure.add_gridspec(
        1, 3, left=LEFT, right=0.935, top=upper - 0.05, bottom=0.095, width_ratios=[3.1, 1.0, 0.055], wspace=0.1
    )
    assert one.rule is not None
    ends = scale(one.rule, [analysis.table[one.column]])
    bend = one.rule.knee if one.rule.kind is ScaleKind.logarithmic else 0.0
    panel = Panel(analysis, one.column, ends["end"], title=f"blocks down, {noun}s across", bend=bend)
    image = draw_map(figure, grid[0], panel)
    _profile(figure, grid[1], panel)
    draw_scale(figure, figure.add_subplot(grid[2]), image, "vertical", ends["ticks"])
    return figure


def measures(result: Result, analysis: Analysis) -> Figure:
    """t, effect and d_z: side by side for heads, stacked for the many columns of groups."""
    wide = analysis.summary.unit != "head"
    figure = new_figure(6.4 if wide else 3.1)
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: three measures per {'head' if not wide else 'group'}",
        f"{wording.contrast_phrase(analysis)}, {wording.measure_phrase(analysis)}. {wording.ITEM_LEVEL}",
    )
    grid = figure.add_gridspec(
        3 if wide else 1, 1 if wide else 3, left=LEFT, right=0.985, top=upper - (0.02 if wide else 0.05),
        bottom=0.03 if wide else 0.06, hspace=0.3, wspace=0.13,
    )  # fmt: skip
    for index, (name, column) in enumerate(MEASURES.items()):
        inner = grid[index].subgridspec(2, 1, hspace=0.08, height_ratios=[1, 0.05 if wide else 0.03])
        panel = Panel(analysis, column, limit([analysis.table[column]]), title=MEASURE_LABELS[name],
                      labels=wide or not index, sparse=True)  # fmt: skip
        draw_scale(figure, figure.add_subplot(inner[1]), draw_map(figure, inner[0], panel), "horizontal")
    return figure


def side_by_side(result: Result, analyses: Sequence[Analysis]) -> Figure:
    """The t maps of several contrasts on one scale: what was asked, then the controls."""
    across = len(analyses) if len(analyses) <= 4 else 3
    rows = -(-len(analyses) // across)
    figure = new_figure(0.95 + 2.25 * rows)
    height = float(figure.get_size_inches()[1])
    noun = wording.units_noun(analyses[0])[:-1]
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: what was asked, beside the controls",
        f"t of every {noun} over items, all on one scale. Any two texts differ: what counts is the rung each reaches.",
    )
    top = limit([analysis.table["t"] for analysis in analyses])
    grid = figure.add_gridspec(
        rows, across, left=LEFT, right=0.985, top=upper - 0.2 / height, bottom=0.4 / height, wspace=0.1, hspace=0.28
    )
    for index, analysis in enumerate(analyses):
        share = f"{wording.percent(analysis.metrics.get('heads_over_t3_fraction'))} over 3"
        role = analysis.summary.role
        climb = result.climb(analysis.contrast)
        parts = ("" if role == analysis.contrast else role, share, wording.rung_phrase(climb) if climb else "")
        note = ", ".join(filter(None, parts))
        image = draw_map(figure, grid[divmod(index, across)], Panel(
            analysis, "t", top, title=analysis.contrast, note=note,
            labels=index % across == 0, sparse=True,
        ))  # fmt: skip
    draw_scale(figure, figure.add_axes((LEFT, 0.22 / height, 0.2, 0.06 / height)), image, "horizontal")
    return figure


def draw_map(figure: Figure, spec: SubplotSpec, panel: Panel) -> AxesImage:
    """A kind of block above the next, a gap between, MLP parts divided off."""
    parts = panel.grids
    fused = any(part.mlp_from is not None for part in parts)
    widest = max(part.values.shape[1] for part in parts)
    heights = [part.values.shape[0] for part in parts]
    inner = spec.subgridspec(len(parts), 1, height_ratios=heights, hspace=panel.gap)
    for index, part in enumerate(parts):
        axes = figure.add_subplot(inner[index])
        image = axes.imshow(part.values, cmap=panel.colours, norm=panel.norm, aspect="auto", interpolation="nearest")
        axes.set_xlim(-0.5, widest - 0.5)
        quiet(axes)
        axes.set_xticks([])
        _block_labels(axes, part, panel)
        _part_labels(axes, part, widest, fused)
        if index == 0:
            _titles(axes, panel)
    return image


def _titles(axes: Axes, panel: Panel) -> None:
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    if panel.title:
        axes.annotate(panel.title, (0, 1), (0, 12 if panel.note else 4), fontsize=7.5, fontweight="bold", **above)
    if panel.note:
        axes.annotate(panel.note, (0, 1), (0, 3), fontsize=6.2, color=MUTED, **above)


def _block_labels(axes: Axes, part: Grid, panel: Panel) -> None:
    axes.tick_params(length=0, pad=2)
    rows = len(part.values)
    if not panel.labels:
        axes.set_yticks([])
        return
    every = rows - 1 if panel.sparse and rows <= 6 else 1 if rows <= 6 else 5
    shown = sorted({*(row for row in range(0, rows, max(1, every)) if rows - 1 - row >= every / 2), rows - 1})
    axes.set_yticks(shown, [block_label(part.kind, row, part.stream) for row in shown])
    name = f"{part.kind} blocks\nsee {STREAMS[part.stream]}" if not (panel.sparse and rows <= 6) else _short(part)
    axes.annotate(
        name, (0, 0.5), (-20, 0), xycoords="axes fraction", textcoords="offset points", rotation=90, va="center",
        ha="right", fontsize=5.4, color=MUTED, linespacing=1.25, multialignment="center",
    )  # fmt: skip


def _short(part: Grid) -> str:
    return f"{part.kind}, text" if part.stream == "text" else part.kind


def _part_labels(axes: Axes, part: Grid, widest: int, fused: bool) -> None:
    rows, columns = part.values.shape
    if part.mlp_from is not None:
        axes.axvline(part.mlp_from - 0.5, color=INK, linewidth=0.9)
        for middle, name in ((part.mlp_from / 2, "attention"), ((part.mlp_from + columns) / 2, "MLP")):
            axes.annotate(name, (middle, -0.5), (0, 1.5), textcoords="offset points", ha="center", va="bottom",
                          fontsize=5.6, color=MUTED)  # fmt: skip
    elif columns < widest and fused:
        axes.text((columns + widest) / 2, (rows - 1) / 2, "this projection has no MLP part", ha="center", va="center",
                  fontsize=6, color=CONTROL)  # fmt: skip


def draw_scale(
    figure: Figure, axes: Axes, image: AxesImage, orientation: str, ticks: Sequence[float] | None = None
) -> None:
    """The colours of a map with their values; without ``ticks`` the ends and 0."""
    low, top = map(float, image.get_clim())
    extend = "both" if low < 0 else "max"
    bar = figure.colorbar(image, cax=axes, orientation=orientation, extend=extend, extendfrac=0.03)
    bar.outline.set_visible(False)
    shown = ticks or [-top, 0.0, top]
    bar.set_ticks(shown, labels=[wording.number(value, 2) for value in shown])
    bar.minorticks_off()
    axes.tick_params(length=0, pad=2)


def _profile(figure: Figure, spec: SubplotSpec, panel: Panel) -> None:
    over_items = panel.column == "t"
    parts = panel.grids
    inner = spec.subgridspec(len(parts), 1, height_ratios=[len(part.values) for part in parts], hspace=panel.gap)
    expected = panel.analysis.metrics.get("null_mean_t3", 0.0) / max(1.0, panel.analysis.metrics["alive_units"])
    for index, part in enumerate(parts):
        axes = figure.add_subplot(inner[index])
        last = index == len(parts) - 1
        there = np.isfinite(part.values).sum(1)
        share = (np.abs(np.nan_to_num(part.values)) > 3).sum(1) / np.maximum(there, 1)
        axes.barh(range(len(share)), share, height=0.78, color=colour_of(part.kind))
        if over_items:
            axes.axvline(expected, color=INK, linewidth=0.7, linestyle=(0, (2, 2)))
        axes.set(xlim=(0, 1), ylim=(len(share) - 0.5, -0.5), yticks=[])
        quiet(axes, keep="b" if last else "")
        axes.set_xticks([0, 0.5, 1] if last else [], ["0", "50%", "100%"] if last else [])
        if index == 0:
            _titles(axes, Panel(panel.analysis, panel.column, panel.top, note="share with |t| over 3"))
        if last and over_items:
            axes.annotate("dashed: mean of the null", (1, 0), (0, -17), xycoords="axes fraction",
                          textcoords="offset points", ha="right", va="top", fontsize=5.4, color=MUTED)  # fmt: skip
