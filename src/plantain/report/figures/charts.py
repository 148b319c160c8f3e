"""Charts: the null distribution, blocks with bounds, split halves, the trend over ranked items, the top heads."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from plantain.report import words as wording
from plantain.report.figures.grid import KINDS, block_label, in_depth
from plantain.report.figures.style import (
    CONTROL,
    INK,
    LINE,
    MUTED,
    SINGLE,
    STRONG,
    colour_of,
    headline,
    new_figure,
    quiet,
)
from plantain.report.ranks import spearman
from plantain.report.result import Analysis, Result

TOP_HEADS = 12
MANY = 2_000
FEWEST_RANKS = 4
"""Different ranks below which there is no trend to see, nor one in the verdict."""


def null_distribution(result: Result, analysis: Analysis) -> Figure | None:
    """Counts under sign flips, and below them the observed counts of this contrast and of every control."""
    null = analysis.null
    if null is None or not analysis.summary.null:
        return None
    others = [other for other in result.analyses(analysis.name) if other.contrast != analysis.contrast]
    rows = [analysis, *others]
    figure = new_figure(2.3 + 0.13 * len(rows))
    noun = wording.units_noun(analysis)
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: more than chance?",
        f"{noun.capitalize()} over the threshold, as observed and under {wording.null_flips(analysis)} sign flips of "
        "whole pairs.\nThe null: these sentences do not differ. Grey: controls.",
    )
    height = figure.get_size_inches()[1]
    thresholds = [column for column in null.columns if column != "flip"]
    grid = figure.add_gridspec(
        2, len(thresholds), left=0.225, right=0.975, top=upper - 0.14 / height, bottom=0.25 / height,
        height_ratios=[1.0, 0.13 * len(rows)], hspace=0.08, wspace=0.1,
    )  # fmt: skip
    for index, threshold in enumerate(thresholds):
        above = figure.add_subplot(grid[0, index])
        below = figure.add_subplot(grid[1, index], sharex=above)
        _histogram(above, analysis, null, threshold)
        _observed(below, rows, threshold, names=index == 0)
    return figure


def _histogram(axes: Axes, analysis: Analysis, null: pl.DataFrame, threshold: str) -> None:
    counts = null[threshold].to_numpy()[1:]
    axes.hist(counts, bins=40, color=CONTROL, log=True)
    quiet(axes, keep="lb")
    axes.set_title(f"|t| over {threshold[1:]}", pad=3, fontsize=7.5)
    axes.tick_params(labelbottom=False)
    axes.set_ylabel("flips" if threshold == "t3" else "")
    summary = analysis.summary.null
    interval = summary.p99_interval.get(threshold) if summary else None
    p99 = summary.p99.get(threshold) if summary else None
    if interval and interval[0] is not None:
        high = interval[1] if interval[1] is not None else float(counts.max())
        axes.axvspan(interval[0], high, color=STRONG, alpha=0.16, linewidth=0)
    if p99 is not None:
        axes.axvline(p99, color=STRONG, linewidth=1.0)
        axes.annotate(
            f"null p99 {wording.p99_phrase(analysis, threshold)}", (p99, 0.93), (5, 0),
            xycoords=("data", "axes fraction"), textcoords="offset points", color=STRONG, fontsize=6, va="top",
        )  # fmt: skip


def _observed(axes: Axes, rows: Sequence[Analysis], threshold: str, *, names: bool) -> None:
    for index, row in enumerate(rows):
        count = row.metrics.get(f"heads_over_{threshold}", 0)
        colour = INK if index == 0 else CONTROL if row.summary.role == "control" else SINGLE
        axes.plot([0, count], [index, index], color=colour, linewidth=0.8)
        axes.plot(count, index, "o", color=colour, markersize=3.6)
        axes.annotate(
            wording.number(count), (count, index), (5, 0), textcoords="offset points", va="center", fontsize=6
        )
    top = max(1.0, *(row.metrics.get(f"heads_over_{threshold}", 0) for row in rows))
    axes.set(xlim=(-0.02 * top, top * 1.18), ylim=(len(rows) - 0.4, -0.6))
    quiet(axes, keep="b")
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows] if names else [])
    axes.tick_params(axis="y", length=0)


def _name(analysis: Analysis) -> str:
    return analysis.contrast if len(analysis.contrast) <= 24 else f"{analysis.contrast[:23]}…"


def blocks(result: Result, analysis: Analysis) -> Figure:
    """Units over 3 in each block, with the simultaneous lower bound on those that truly differ."""
    noun = wording.units_noun(analysis)
    parts = list(dict.fromkeys(row.part for row in analysis.summary.blocks))
    figure = new_figure(1.05 + 1.25 * len(parts))
    bounded = any(row.lower_bound is not None for row in analysis.summary.blocks)
    said = " The line is a lower bound on how many truly differ, for all blocks at once (95%)." if bounded else ""
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: where in depth",
        f"{noun.capitalize()} with |t| over 3 in each block; pale: all that the block has.{said}",
    )
    height = figure.get_size_inches()[1]
    named = 0.16 / height if len(parts) > 1 else 0.0
    grid = figure.add_gridspec(
        len(parts), 1, left=0.085, right=0.985, top=upper - named, bottom=0.22 / height, hspace=0.42
    )
    for index, part in enumerate(parts):
        axes = figure.add_subplot(grid[index])
        _block_bars(axes, analysis, part)
        if len(parts) > 1:
            axes.set_title("MLP part" if part == "mlp" else "attention part", pad=3, fontsize=7.5)
    return figure


def _block_bars(axes: Axes, analysis: Analysis, part: str) -> None:
    rows = [row for row in analysis.summary.blocks if row.part == part]
    rows.sort(key=lambda row: in_depth(row.block_kind, row.block))
    starts = _starts(analysis)
    places = [row.block + starts[row.block_kind] for row in rows]
    labels = [block_label(row.block_kind, row.block) for row in rows]
    # Drawn at once, all that a block has before what is over 3: a call for every bar costs more than the bar.
    colours = [colour for row in rows for colour in (colour_of(row.block_kind),) * 2]
    bars = axes.bar(np.repeat(places, 2), [count for row in rows for count in (row.units, row.over_t3)],
                    color=colours, width=0.82)  # fmt: skip
    for pale in bars[::2]:
        pale.set_alpha(0.16)
    known = [(place, row.lower_bound) for place, row in zip(places, rows, strict=True) if row.lower_bound is not None]
    if known:
        at, bounds = np.array(known).T
        axes.plot([at - 0.41, at + 0.41], [bounds, bounds], color=INK, linewidth=1.4)
    axes.set_xticks(places, labels)
    axes.tick_params(axis="x", length=0, labelsize=5.8)
    axes.set_xlim(-0.6, max(places) + 0.6)
    quiet(axes, keep="l")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_ylabel(wording.units_noun(analysis))


def _starts(analysis: Analysis) -> dict[str, float]:
    """Where the blocks of each kind begin, with a gap between kinds."""
    blocks, starts, place = analysis.summary.blocks, {}, 0.0
    for kind in KINDS:
        starts[kind] = place
        count = max((row.block + 1 for row in blocks if row.block_kind == kind), default=0)
        place += count + 0.6 if count else 0.0
    return starts


def split_half_chart(result: Result, analysis: Analysis) -> Figure | None:
    """T of one half of the items against t of the other, a dot per unit; None where there are no halves."""
    if analysis.table["half_a_t"].null_count() == analysis.table.height:
        return None
    figure = new_figure(3.2, width=3.2)
    m = analysis.metrics
    r = f"r = {wording.fixed(m.get('split_half_r'))}"
    spread = f"[{wording.fixed(m.get('split_half_r_q25'))} to {wording.fixed(m.get('split_half_r_q75'))}]"
    upper = headline(
        figure,
        f"Does it repeat? {r}",
        f"{result.probe} on {result.model}, {_name(analysis)}: t in two halves of the items. "
        f"Over all splits the quartiles of r are {spread}.",
    )
    axes = figure.add_axes((0.15, 0.125, 0.81, upper - 0.135))
    table = analysis.table.filter("alive")
    a, b = (table[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("half_a_t", "half_b_t"))
    many = len(table) > MANY
    top = float(np.nanquantile(np.abs(np.concatenate([a, b])), 0.999)) * 1.08 if len(table) else 1.0
    axes.plot([-top, top], [-top, top], color=LINE, linewidth=0.8, zorder=0)
    axes.axhline(0, color=LINE, linewidth=0.5, zorder=0)
    axes.axvline(0, color=LINE, linewidth=0.5, zorder=0)
    for kind in reversed([kind for kind in KINDS if kind in table["block_kind"]]):
        mask = (table["block_kind"] == kind).to_numpy()
        axes.scatter(a[mask], b[mask], s=1.5 if many else 5, color=colour_of(kind), alpha=0.35 if many else 0.6,
                     linewidths=0, label=f"{kind} blocks", rasterized=many)  # fmt: skip
    axes.set(xlim=(-top, top), ylim=(-top, top), xlabel="t, first half of the items", ylabel="t, second half")
    axes.legend(loc="upper left", handletextpad=0.1, markerscale=2, borderpad=0)
    return figure


def rank_chart(result: Result, analysis: Analysis) -> Figure | None:
    """How strongly each ranked item shows the pattern of all the others."""
    scores = rank_scores(result, analysis)
    if scores is None or scores["rank"].n_unique() < FEWEST_RANKS:
        return None
    figure = new_figure(1.0 + 0.118 * len(scores))
    rho = spearman(scores["rank"].to_numpy(), scores["score"].to_numpy())
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: does it grade?",
        "How much of the other items' mean difference each item shows; 1 is as much as they do on average. "
        f"Items by rank; Spearman with rank {wording.fixed(rho)}. "
        "Rank may go with phrase length; the test stands with the ladder.",
    )  # fmt: skip
    height = figure.get_size_inches()[1]
    axes = figure.add_axes((0.33, 0.22 / height, 0.64, upper - 0.22 / height))
    places = range(len(scores))
    axes.hlines(places, 0, scores["score"], color=LINE, linewidth=0.8)
    axes.plot(scores["score"], places, "o", color=SINGLE, markersize=3.2)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    names = [name if len(name) <= 30 else f"{name[:29]}…" for name in scores["item"]]
    labels = [f"{name}  {rank:g}" for name, rank in zip(names, scores["rank"], strict=True)]
    axes.set_yticks(places, labels, fontsize=5.8)
    axes.set_ylim(len(scores) - 0.4, -0.6)
    quiet(axes, keep="b")
    axes.tick_params(axis="y", length=0)
    return figure


def rank_scores(result: Result, analysis: Analysis) -> pl.DataFrame | None:
    """``item``, ``rank``, ``score`` by rank: projection of an item on the mean of all others, in units of that mean.

    Leaving the item out of the mean keeps it from agreeing with itself.
    """
    differences = analysis.differences
    if differences is None or not result.has_ranks:
        return None
    ranks = result.records.select("item", "rank").unique("item", maintain_order=True)
    values = differences.drop("item").to_numpy()
    others = (values.sum(0) - values) / max(1, len(values) - 1)
    weight = (others**2).sum(1)
    score = np.divide((values * others).sum(1), weight, out=np.zeros(len(values)), where=weight > 0)
    frame = pl.DataFrame({"item": differences["item"], "score": score}).join(ranks, on="item", how="left")
    return frame.with_columns(pl.col("rank").cast(pl.Float64)).drop_nulls("rank").sort("rank", "item")


def top_heads(result: Result, analysis: Analysis) -> Figure | None:
    """The units of largest |t| with the difference of every pair. Chosen by rank, so no interval is drawn."""
    if analysis.differences is None:
        return None
    best = analysis.table.drop_nulls("t").sort(pl.col("t").abs(), "unit", descending=[True, False]).head(TOP_HEADS)
    if best.is_empty():
        return None
    figure = new_figure(0.95 + 0.19 * len(best))
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: the {len(best)} heads of largest |t|",
        f"Every dot is a pair, the bar its mean: {wording.contrast_phrase(analysis)}, "
        f"{wording.measure_phrase(analysis)}.\n"
        "Picked because they are largest, so their size is flattered.",
    )  # fmt: skip
    height = figure.get_size_inches()[1]
    axes = figure.add_axes((0.18, 0.22 / height, 0.65, upper - 0.22 / height))
    for place, row in enumerate(best.iter_rows(named=True)):
        values = analysis.differences[str(row["unit"])].to_numpy()
        colour = colour_of(row["block_kind"])
        axes.scatter(values, np.full(len(values), place), s=7, color=colour, alpha=0.35, linewidths=0)
        axes.plot([row["mean_difference"]] * 2, [place - 0.34, place + 0.34], color=INK, linewidth=1.4)
        said = f"t {wording.fixed(row['t'], 1)}, d {wording.fixed(row['d_z'], 1)}"
        axes.text(1.02, place, said, transform=axes.get_yaxis_transform(), va="center", fontsize=6, color=MUTED)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(best)), [wording.unit_name(row) for row in best.iter_rows(named=True)])
    axes.set_ylim(len(best) - 0.4, -0.6)
    quiet(axes, keep="b")
    axes.tick_params(axis="y", length=0)
    return figure
