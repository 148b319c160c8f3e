"""Profiles over blocks: what a run shows as lines in MLflow's own charts, one step a block."""

from collections.abc import Iterable
from typing import Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.records.summary import BlockRow, read_summary
from plantain.track.results import Cell, Reader, as_written

Series = dict[str, tuple[tuple[int, float], ...]]
"""Metric name to (step, value); the step is the depth of the block, joint blocks first."""

SECTION: Final = "blocks/"
"""What names of profiles begin with: MLflow's charts make a section of it."""


def profiles(cell: Cell, reader: Reader) -> dict[tuple[str, str], Series]:
    """The profiles of every (contrast, analysis) of a cell; none where the summary is not what the receipt says."""
    content = _summary(cell, reader)
    if content is None:
        return {}
    try:
        contrasts = read_summary(content, summary_of(cell)).contrasts
    except InputError:  # of another revision; its numbers are in the receipt all the same
        return {}
    return {
        (contrast, analysis): _series(found.blocks)
        for contrast, analyses in contrasts.items()
        for analysis, found in analyses.items()
    }


def series_sha256(series: Series) -> str:
    """What tells two sets of profiles apart."""
    return digest({name: [list(point) for point in points] for name, points in series.items()})


def summary_of(cell: Cell) -> str:
    """Where the ``analyze`` stage keeps its rows a block."""
    return places.summary(cell.model, cell.probe).as_posix()


def _summary(cell: Cell, reader: Reader) -> bytes | None:
    return as_written(cell.held["analyze"], summary_of(cell), reader) if "analyze" in cell.held else None


def _series(rows: Iterable[BlockRow]) -> Series:
    ordered = sorted(rows, key=lambda row: (row.block_kind, row.block))
    depth = {place: at for at, place in enumerate(dict.fromkeys((row.block_kind, row.block) for row in ordered))}
    found: dict[str, list[tuple[int, float]]] = {}
    for row in ordered:
        step = depth[row.block_kind, row.block]
        for name, value in _values(row).items():
            found.setdefault(f"{SECTION}{_part(row)}{name}", []).append((step, value))
    return {name: tuple(points) for name, points in found.items()}


def _part(row: BlockRow) -> str:
    return "" if row.part == "attention" else f"{row.part}."


def _values(row: BlockRow) -> dict[str, float]:
    """Under the names that metrics have."""
    known = {
        "max_abs_t": row.max_abs_t,
        "median_abs_d": row.median_abs_d,
        "effect": row.median_abs_effect,
        "heads_differ_lower_bound": row.lower_bound,
        "heads_over_t3_fraction": row.over_t3 / row.units if row.units else None,
    }
    return {name: float(value) for name, value in known.items() if value is not None}
