"""What summary.json holds beside the metrics: blocks, the null and the split halves of one analysis."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.files import six_digits
from plantain.stats.findings import Findings
from plantain.stats.units import block_sets


def blocks_of(found: Findings) -> list[dict[str, Any]]:
    """A row a block, as in the cards' table of top blocks, with the lower bound of truly differing units."""
    rows = []
    for index, (labels, members) in enumerate(block_sets(found.units)):
        chosen = members[found.included] & found.flips.alive
        bound = None if found.bounds is None else found.bounds.blocks[index]
        streams = found.units["stream"].filter(pl.Series(members)).unique().sort().to_list()
        rows.append(labels | {"stream": "+".join(streams), "lower_bound": bound} | _block_numbers(found, chosen))
    return rows


def _block_numbers(found: Findings, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    size = np.abs(found.flips.t[chosen])
    finite = size[np.isfinite(size)]
    effect = np.abs(found.differences[:, found.included].mean(axis=0)[chosen])
    effects = np.abs(found.flips.d_z[chosen])
    return {
        "units": int(chosen.sum()),
        "max_abs_t": six_digits(float(finite.max())) if finite.size else None,
        "over_t3": int((size > found.params.thresholds[0]).sum()),
        "median_abs_d": _median(effects),
        "median_abs_effect": _median(effect),
    }


def _median(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return six_digits(float(np.median(finite))) if finite.size else None


def null_of(found: Findings) -> dict[str, Any]:
    """The sign-flip null: how many flips of how many there are, and its mean and p99 with the Monte Carlo interval."""
    test = found.flips
    names = [f"t{threshold:g}" for threshold in found.params.thresholds]
    intervals = [[_known(end) for end in interval] for interval in test.null_p99_interval]
    return {
        "flips": test.flips,
        "exact": test.exact,
        "flip_space": float(test.flip_space),
        "smallest_p": test.smallest_p,
        "mean": dict(zip(names, map(float, test.null_mean), strict=True)),
        "p99": dict(zip(names, map(float, test.null_p99), strict=True)),
        "p99_interval": dict(zip(names, intervals, strict=True)),
    }


def split_of(found: Findings) -> dict[str, Any]:
    """Split-half reliability, its r per split included."""
    split = found.splits
    interval = split.jackknife_interval
    return {
        "r": [six_digits(float(value)) for value in split.r],
        "median": _known(split.median),
        "q25": _known(split.q25),
        "q75": _known(split.q75),
        "spearman_brown": _known(split.spearman_brown),
        "jackknife_interval": None if interval is None else [_known(end) for end in interval],
        "null_p": None if split.null_p is None else _known(split.null_p),
    }


def _known(value: float) -> float | None:
    """None for what the sample does not bound or define."""
    return six_digits(float(value)) if np.isfinite(value) else None
