"""Sets of units that are reported together."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def block_sets(units: pl.DataFrame) -> list[tuple[dict[str, Any], NDArray[np.bool_]]]:
    """The blocks of a unit table, and the parts of those that have two: ``(labels, (units,) mask)``."""
    sets = []
    for kind, block in units.select("block_kind", "block").unique(maintain_order=True).iter_rows():
        here = ((units["block_kind"] == kind) & (units["block"] == block)).to_numpy()
        parts = units["part"].filter(pl.Series(here)).unique(maintain_order=True).to_list()
        sets.append(({"block_kind": kind, "block": block, "part": "all" if len(parts) > 1 else parts[0]}, here))
        if len(parts) > 1:
            for part in parts:
                labels = {"block_kind": kind, "block": block, "part": part}
                sets.append((labels, here & (units["part"] == part).to_numpy()))
    return sets
