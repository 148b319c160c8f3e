"""From a table of units to the rectangles of a heatmap: blocks down, units across."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

KINDS = ("joint", "single", "cross", "image", "text")
"""Kinds of blocks in the order in which they are shown."""
_LETTERS = {"text": "r"}
"""Kinds whose first letter stands for something else: blocks that refine text alone."""
STREAMS = {"image": "image", "text": "text", "all": "text and image"}
"""The tokens that the hooked projection of a stream sees."""
MEASURES = {"t": "t", "effect": "mean_difference", "d_z": "d_z"}
"""Names that people see, to columns of the unit table."""

_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True)
class Grid:
    """The units of one stream of one kind of block."""

    kind: str
    stream: str
    values: np.ndarray
    """(blocks, columns), NaN where there is no unit or no value."""
    mlp_from: int | None
    """First column of the MLP part, None where the projection has none."""


def grids(table: pl.DataFrame, column: str) -> list[Grid]:
    """One grid per stream of a kind of block, joint ones first; ``table`` is one of :func:`placed`."""
    kinds, streams, parts = (table[name].to_numpy().astype(np.str_) for name in ("block_kind", "stream", "part"))
    blocks, columns = table["block"].to_numpy(), table["column"].to_numpy()
    shown, found = table[column].cast(pl.Float64).to_numpy(), []
    for kind in KINDS:
        for stream in sorted(set(streams[kinds == kind].tolist())):
            here = (kinds == kind) & (streams == stream)
            values = np.full((int(blocks[here].max()) + 1, int(columns[here].max()) + 1), np.nan)
            values[blocks[here], columns[here]] = shown[here]
            mlp = columns[here & (parts == "mlp")]
            found.append(Grid(kind, stream, values, int(mlp.min()) if mlp.size else None))
    return found


def placed(table: pl.DataFrame) -> pl.DataFrame:
    """``table`` in unit order, with ``column``: the place of a unit in its stream of its block."""
    place = pl.int_range(pl.len()).over("block_kind", "block", "stream")
    return table.sort("unit").with_columns(place.alias("column"))


def limit(columns: Iterable[pl.Series], share: float = 0.995) -> float:
    """End of a symmetric scale: the quantile ``share`` of absolute values over all columns, rounded up."""
    finite = np.concatenate([np.abs(column.cast(pl.Float64).to_numpy()) for column in columns] or [np.zeros(1)])
    finite = finite[np.isfinite(finite)]
    top = float(np.quantile(finite, share)) if len(finite) else 0.0
    if top <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return power * next(step for step in _STEPS if step * power >= top * (1 - 1e-9))


def block_label(kind: str, block: int, stream: str = "") -> str:
    """``j3``, ``s12``, ``c0`` or ``i7``; ``j3t`` for the text stream of a joint block."""
    return f"{_LETTERS.get(kind, kind[0])}{block}{'t' if stream == 'text' and kind != 'text' else ''}"


def in_depth(kind: str, block: int) -> tuple[int, int]:
    """What blocks are sorted by: kinds in the order of :data:`KINDS`, then their numbers."""
    return KINDS.index(kind), block
