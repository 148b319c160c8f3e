"""Units as views on groups: which groups make a unit, and sets of units reported together.

A head is as many adjacent input channels of an attention output projection as it is wide; the published cards call
16-channel groups heads, the MLP part of the single blocks included. Both, and the text stream and MLP slices besides,
are sums of the same stored groups. What no text can reach is no unit of any test: it would dilute every fraction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.params import UnitKind

_CARD_WIDTH = 16
_GEOMETRY = ("block_kind", "block", "stream", "part", "head")


@dataclass(frozen=True)
class UnitView:
    """A set of units over the group axis."""

    table: pl.DataFrame
    """One row a unit: unit, block_kind, block, stream, part, head, index_in_block, first_channel, width."""
    groups: NDArray[np.int64]
    """Positions on the group axis that belong to a unit, units in order, (members,)."""
    starts: NDArray[np.int64]
    """Where each unit begins in ``groups``, (units,)."""


def heads(groups: pl.DataFrame) -> UnitView:
    """True attention heads that see image tokens: those of image streams and single blocks (600 in Klein 4B)."""
    return _view(groups, (pl.col("part") == "attention") & _tested(groups), pl.col("head"))


def head_streams(groups: pl.DataFrame) -> UnitView:
    """Attention heads, those of the joint blocks once for each stream (720 in Klein 4B)."""
    return _view(groups, pl.col("part") == "attention", pl.col("head"))


def group16(groups: pl.DataFrame) -> UnitView:
    """The 16-channel groups that the published cards call heads (16,320 in Klein 4B)."""
    slices = pl.col("first_channel") // _CARD_WIDTH
    view = _view(groups, _tested(groups), slices)
    _refuse_uneven(view, _CARD_WIDTH, groups)
    return view


def mlp_slices(groups: pl.DataFrame, width: int = 128) -> UnitView:
    """Slices of ``width`` channels of the single blocks' MLP part (1,440 of 128 in Klein 4B)."""
    offset = pl.col("first_channel") - pl.col("first_channel").min().over("block_kind", "block")
    view = _view(groups.filter(pl.col("part") == "mlp"), pl.lit(True), offset // width, position=_positions(groups))
    _refuse_uneven(view, width, groups)
    return view


def unit_view(groups: pl.DataFrame, kind: UnitKind) -> UnitView:
    """The units of ``kind``."""
    return _VIEWS[kind](groups)


def unit_table(groups: pl.DataFrame, kind: UnitKind) -> pl.DataFrame:
    """One row a unit of ``kind``, in the order of the last axis of :func:`plantain.measure.magnitude.measure`.

    Args:
        groups: a row a group, in the order of the group axis (``units.parquet``).
        kind: what is tested.
    """
    return unit_view(groups, kind).table


def _positions(groups: pl.DataFrame) -> NDArray[np.int64]:
    return np.flatnonzero((groups["part"] == "mlp").to_numpy()).astype(np.int64)


def _tested(groups: pl.DataFrame) -> pl.Expr:
    seen = pl.col("stream") != "text"
    return seen & ~pl.col("dead") if "dead" in groups.columns else seen


def makes_units(groups: pl.DataFrame, kind: UnitKind) -> bool:
    """Whether a model has units of ``kind``: 16-channel groups need heads and MLPs whose widths 16 divides."""
    part = ["block_kind", "block", "stream", "part", "head"]
    widths = groups.group_by(part).agg(pl.col("width").sum())["width"]
    return kind is UnitKind.head or not (widths % _CARD_WIDTH != 0).any()


def _view(
    groups: pl.DataFrame, include: pl.Expr, index: pl.Expr, position: NDArray[np.int64] | None = None
) -> UnitView:
    at = np.arange(groups.height) if position is None else position
    chosen = groups.with_columns(pl.Series("position", at)).filter(include).with_columns(index.alias("slice"))
    keys = ["block_kind", "block", "stream", "part", "slice"]
    table = chosen.group_by(keys, maintain_order=True).agg(
        pl.col("head").first() if chosen["head"].null_count() == 0 else _only_head(),
        pl.col("first_channel").min(),
        pl.col("width").sum(),
        pl.col("position"),
    )
    table = table.with_columns(pl.int_range(pl.len()).over("block_kind", "block").alias("index_in_block"))
    sizes = table["position"].list.len().to_numpy()
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    columns = ["unit", *_GEOMETRY, "index_in_block", "first_channel", "width"]
    members = table["position"].explode().to_numpy().astype(np.int64)
    return UnitView(table.with_row_index("unit").select(columns), members, starts)


def _only_head() -> pl.Expr:
    return pl.when(pl.col("head").n_unique() == 1).then(pl.col("head").first()).otherwise(None).alias("head")


def _refuse_uneven(view: UnitView, width: int, groups: pl.DataFrame) -> None:
    if view.table["width"].n_unique() != 1 or view.table["width"][0] != width:
        stored = groups["width"].unique().sort().to_list()
        fix = f"set capture.group_width to a divisor of {width}; {width} must divide the width of the part."
        raise InputError(f"groups of {stored} channels do not make units of {width}.", fix=fix)


_VIEWS: dict[UnitKind, Callable[[pl.DataFrame], UnitView]] = {UnitKind.head: heads, UnitKind.group16: group16}


def block_sets(units: pl.DataFrame) -> list[tuple[dict[str, Any], NDArray[np.bool_]]]:
    """The blocks of a unit table, and the parts of those that have two: ``(labels, (units,) mask)``."""
    kinds, blocks, parts = (units[name].to_numpy() for name in ("block_kind", "block", "part"))
    kinds, parts = kinds.astype(np.str_), parts.astype(np.str_)
    sets = []
    for kind, block in dict.fromkeys(zip(kinds.tolist(), blocks.tolist(), strict=True)):
        here = (kinds == kind) & (blocks == block)
        own = list(dict.fromkeys(parts[here].tolist()))
        sets.append(({"block_kind": kind, "block": block, "part": "all" if len(own) > 1 else own[0]}, here))
        if len(own) > 1:
            sets += [({"block_kind": kind, "block": block, "part": part}, here & (parts == part)) for part in own]
    return sets
