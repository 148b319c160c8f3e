"""Tables over all cells for ``dvc plots``: block profile, null distribution and heatmap of the main analysis."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from plantain.base.files import write_atomic
from plantain.report.figures.grid import block_label, in_depth
from plantain.report.result import Analysis, Result

BINS = 60


def write_plots(results: Sequence[Result], folder: Path) -> None:
    """Write ``block_profile.csv``, ``sign_flips.csv`` and ``heatmap.csv``: main analyses, by cell."""
    folder.mkdir(parents=True, exist_ok=True)
    main = {f"{result.probe}@{result.model}": result.main for result in results}
    nulls = {cell: analysis.null for cell, analysis in main.items() if analysis.null is not None}
    tables = {
        "block_profile": [_of(cell, block_profile(analysis)) for cell, analysis in main.items()],
        "sign_flips": [_of(cell, null_histogram(null)) for cell, null in nulls.items()],
        "heatmap": [_of(cell, heatmap(analysis)) for cell, analysis in main.items()],
    }
    for name, parts in tables.items():
        frame = pl.concat(parts) if parts else pl.DataFrame({"cell": []})
        write_atomic(folder / f"{name}.csv", frame.write_csv(float_precision=6).encode())


def _of(cell: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The table with the name of its cell in front."""
    return frame.select(pl.lit(cell).alias("cell"), pl.all())


def block_profile(analysis: Analysis) -> pl.DataFrame:
    """A row a block and part, in order of depth."""
    rows = sorted(analysis.summary.blocks, key=lambda row: (*in_depth(row.block_kind, row.block), row.part))
    return pl.DataFrame(
        {
            "depth": list(range(len(rows))),
            "label": [block_label(row.block_kind, row.block) for row in rows],
            "part": [row.part for row in rows],
            "share_over_t3": [row.over_t3 / row.units if row.units else None for row in rows],
            "lower_bound": [row.lower_bound for row in rows],
            "median_abs_d": [row.median_abs_d for row in rows],
            "max_abs_t": [row.max_abs_t for row in rows],
        },
        schema_overrides={"lower_bound": pl.Int64, "median_abs_d": pl.Float64, "max_abs_t": pl.Float64},
    )


def heatmap(analysis: Analysis) -> pl.DataFrame:
    """A row a unit: its block, its place in the block and its t."""
    label = pl.col("block_kind").str.slice(0, 1) + pl.col("block").cast(pl.String).str.zfill(2)
    return analysis.table.select(label.alias("block"), "column", "part", "t")


def null_histogram(null: pl.DataFrame) -> pl.DataFrame:
    """How many flips reach each count over |t| 3, in at most ``BINS`` bins; the observed pattern is left out."""
    counts = null["t3"][1:]
    width = max(1, -(-(int(counts.max() or 0) + 1) // BINS))  # type: ignore[arg-type]
    low = (pl.col("t3") // width * width).alias("heads_over_t3")
    return null[1:].group_by(low).agg(pl.len().alias("flips")).sort("heads_over_t3")
