"""The table of groups: what each entry of the group axis of an activation file is (needs no torch)."""

from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from plantain.base.errors import InputError

SCHEMA = pl.Schema(
    {
        "block_kind": pl.String,
        "block": pl.Int32,
        "stream": pl.String,
        "part": pl.String,
        "head": pl.Int32,
        "first_channel": pl.Int32,
        "width": pl.Int32,
        "dead": pl.Boolean,
    }
)
"""``block_kind``: joint, single, cross, text or image; ``stream``: image, text or all (single blocks); ``part``:
attention or mlp; ``head``: the attention head within its block, null for mlp; ``first_channel`` and ``width``: input
channels of the projection; ``dead``: whether no text can reach it, so that it is no unit of any test. Rows stand in the
order of the group axis."""


def read_units(path: Path) -> pl.DataFrame:
    """Read the table of groups of a model.

    Raises:
        InputError: the file is missing or not such a table.
    """
    model = path.parent.name
    fix = f"run `dvc repro -f model@{model}`."
    if not path.exists():
        raise InputError("no such file.", file=path, fix=fix)
    try:
        units = pl.read_parquet(path)
    except PolarsError as error:
        raise InputError(f"not a parquet file ({error}).", file=path, fix=fix) from None
    if "dead" not in units.columns:  # written when FLUX.2 alone was measured, which has no such heads
        units = units.with_columns(pl.lit(False).alias("dead"))
    if units.schema != SCHEMA:
        raise InputError(f"columns are {units.columns}, not {SCHEMA.names()}.", file=path, fix=fix)
    return units
