"""Split-half reliability: does the map of effects repeat over items?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plantain.stats.halves import half_null, half_ts, jackknife, map_correlation
from plantain.stats.signflip import Labels
from plantain.stats.splits import draw_halves
from plantain.stats.validate import Bools, Floats, Ints, as_differences, as_groups


@dataclass(frozen=True)
class SplitHalf:
    """Result of `split_half`."""

    r: Floats
    """``(splits,)`` correlation over units of the two halves' t maps."""
    median: float
    q25: float
    q75: float
    """Quartiles over splits: how much the choice of split matters. Not an interval for the reliability."""
    spearman_brown: float
    """2 r / (1 + r) of the median: the map of all items; nan where the median is not positive."""
    jackknife_interval: tuple[float, float]
    """95% interval of the median over items (or blocks), left out in turn; nan where it cannot be computed."""
    null_p: float
    """Share of flips, the identity counted, whose median r reaches the observed one; nan without flips or without r."""
    null_medians: Floats
    """``(flips,)`` median r of each flip, the identity first."""
    left_out: Ints
    """``(splits,)`` alive units without variance in a half, left out of that split."""
    half_a_t: Floats
    """``(units,)`` t map of the first half of the split whose r is the median; nan where left out."""
    half_b_t: Floats
    """``(units,)`` t map of its second half."""


def split_half(
    differences: ArrayLike,
    *,
    splits: int = 100,
    strata: Labels | None = None,
    blocks: Labels | None = None,
    flips: int = 1_000,
    seed: int = 0,
    items: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
) -> SplitHalf:
    """Correlate the t maps of two halves of the items, over many random splits.

    Under noise that units share, a median r of 0.2 can be nothing: the flip null says so.

    Args:
        differences: ``(items, units)`` paired differences.
        splits: Random splits into floor(n / 2) and ceil(n / 2) items (or blocks).
        strata: ``(items,)`` labels; each stratum is split evenly.
        blocks: ``(items,)`` labels; blocks stay whole in splits and flips.
        flips: Flips of the null, the identity among them, all where there are few enough; 0 for no null.
        seed: Seed of splits and flips.
        items: Names of the items, for messages.
        units: Names of the units, for messages.

    Raises:
        InputError: See `sign_flip_test`; also halves of fewer than 2 items, or a block in two strata.
    """
    table = as_differences(differences, items, units)
    groups = as_groups(blocks, len(table), "block")
    layers = np.zeros(len(table), np.int64) if strata is None else as_groups(strata, len(table), "stratum")
    halves = draw_halves(groups, layers, splits, seed)
    alive = np.flatnonzero((table != 0).any(axis=0))
    living = np.ascontiguousarray(table[:, alive])
    r, left_out = _observed(living, halves)
    low, median, high = (float(q) for q in np.quantile(r, (0.25, 0.5, 0.75)))
    tested = flips > 0 and math.isfinite(median)
    null = half_null(living, groups, halves, flips, seed) if tested else np.zeros(0)
    half_a, half_b = np.full((2, table.shape[1]), np.nan)
    half_a[alive], half_b[alive] = half_ts(living, halves[int(np.argsort(r, kind="stable")[(splits - 1) // 2])])
    return SplitHalf(
        r=r,
        median=median,
        q25=low,
        q75=high,
        spearman_brown=2 * median / (1 + median) if median > 0 else math.nan,
        jackknife_interval=jackknife(living, groups, halves, median),
        null_p=float(np.count_nonzero(null >= null[0]) / len(null)) if tested else math.nan,
        null_medians=null,
        left_out=left_out,
        half_a_t=half_a,
        half_b_t=half_b,
    )


def _observed(table: Floats, halves: Bools) -> tuple[Floats, Ints]:
    """R of every split, and the units left out of it."""
    r, left_out = np.empty(len(halves)), np.empty(len(halves), np.int64)
    for index, half in enumerate(halves):
        first, second = half_ts(table, half)
        r[index] = map_correlation(first, second)
        left_out[index] = np.count_nonzero(np.isnan(first))
    return r, left_out
