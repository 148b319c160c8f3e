"""t maps of two halves of the items, how they correlate, and what they would do by chance."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from plantain.stats.engine import threads_available
from plantain.stats.flips import draw_flips
from plantain.stats.quantise import QUANTA
from plantain.stats.validate import Bools, Floats, Ints

BLOCK_VALUES = 65_536
"""Values of one temporary: small enough for the second-level cache."""


def half_ts(table: Floats, half: Bools) -> tuple[Floats, Floats]:
    """Maps of t, ``(units,)``, of the items in a half and of the others; nan in both where either has no variance."""
    first, second = _t_map(table[half]), _t_map(table[~half])
    missing = np.isnan(first) | np.isnan(second)
    return np.where(missing, np.nan, first), np.where(missing, np.nan, second)


def _t_map(rows: Floats) -> Floats:
    constant = (rows == rows[0]).all(axis=0)
    mean = rows.mean(axis=0)
    variance = np.square(rows - mean).sum(axis=0) / (len(rows) - 1)
    return np.where(constant, np.nan, mean / np.sqrt(np.where(constant, 1.0, variance) / len(rows)))


def map_correlation(x: Floats, y: Floats) -> Floats:
    """Pearson's r of maps along their last axis, over the units known in both; nan where fewer than 2 vary."""
    known = np.isfinite(x) & np.isfinite(y)
    number = known.sum(axis=-1)
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x -= (x.sum(axis=-1) / number)[..., None]
        y -= (y.sum(axis=-1) / number)[..., None]
        x[~known] = y[~known] = 0.0
        r: Floats = _dot(x, y) / np.sqrt(_dot(x, x) * _dot(y, y))
    return r


def half_null(table: Floats, groups: Ints, halves: Bools, flips: int, seed: int) -> Floats:
    """Median r over the same splits under sign flips of the groups, ``(flips,)``, the identity first.

    Units whose differences are equal in size throughout a half are left out of that split: some flip takes their
    variance away.

    Args:
        table: ``(items, alive units)`` differences.
        groups: ``(items,)`` numbers of the groups that share a sign.
        halves: ``(splits, items)``.
        flips: Flips wanted, the identity counted.
        seed: Seed of drawn flips.
    """
    drawn = draw_flips(int(groups.max()) + 1, flips, seed=seed)
    size = np.abs(table)
    # Whole numbers in float64: half sums are exact in any order, so chunks and threads change nothing.
    whole = np.rint(table / size.max(axis=0, initial=0) * (QUANTA // len(table)))
    kept = [~_constant(size[half]) & ~_constant(size[~half]) for half in halves]
    rows = max(1, BLOCK_VALUES // max(table.shape[1], 1))

    def medians(start: int) -> Floats:
        signs = drawn.signs(start, start + rows)[:, groups]
        total = signs @ whole
        r = [_flipped_r(signs, whole, total, half, keep) for half, keep in zip(halves, kept, strict=True)]
        return np.asarray(np.median(np.stack(r), axis=0), dtype=np.float64)

    with ThreadPoolExecutor(max_workers=threads_available()) as pool:
        found = list(pool.map(medians, range(0, len(drawn), rows)))
    return np.asarray(np.concatenate(found), dtype=np.float64)


def _constant(sizes: Floats) -> Bools:
    return np.asarray((sizes == sizes[0]).all(axis=0))


def _flipped_r(signs: Floats, whole: Floats, total: Floats, half: Bools, keep: Bools) -> Floats:
    first = signs[:, half] @ whole[half]
    second = total - first
    if not keep.all():
        first, second, whole = first[:, keep], second[:, keep], whole[:, keep]
    return _plain_correlation(_shape(first, whole[half]), _shape(second, whole[~half]))


def _shape(sums: Floats, rows: Floats) -> Floats:
    """Sums of flipped rows as t / sqrt(n - 1): the factor does not change a correlation. Overwrites `sums`."""
    spread = len(rows) * np.square(rows).sum(axis=0) - np.square(sums)
    np.sqrt(spread, out=spread)
    sums /= spread
    return sums


def _plain_correlation(x: Floats, y: Floats) -> Floats:
    """Pearson's r along the rows of two tables without gaps. Overwrites both."""
    x -= x.mean(axis=1)[:, None]
    y -= y.mean(axis=1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        r: Floats = _dot(x, y) / np.sqrt(_dot(x, x) * _dot(y, y))
    return r


def _dot(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.einsum("...j,...j->...", x, y), dtype=np.float64)


def jackknife(table: Floats, groups: Ints, halves: Bools, median: float) -> tuple[float, float]:
    """95% interval of the median r over items: each group left out in turn, on Fisher's z scale.

    The standard error is Tukey's, sqrt((G - 1) / G * sum((z_g - mean)^2)), with G - 1 degrees of freedom. A bootstrap
    would put copies of one item into both halves and call them reliable.
    """
    if not abs(median) < 1:
        return math.nan, math.nan
    count = int(groups.max()) + 1
    r = np.stack([_left_out_r(table, groups, half) for half in halves])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.arctanh(np.median(r, axis=0))
    if not np.isfinite(z).all():
        return math.nan, math.nan
    from scipy.special import stdtrit

    error = math.sqrt((count - 1) / count * float(np.square(z - z.mean()).sum()))
    centre, reach = math.atanh(median), float(stdtrit(count - 1, 0.975)) * error
    return math.tanh(centre - reach), math.tanh(centre + reach)


def _left_out_r(table: Floats, groups: Ints, half: Bools) -> Floats:
    """R of one split with each group left out in turn, ``(groups,)``."""
    maps = half_ts(table, half)
    r = np.empty(int(groups.max()) + 1)
    centre = table.mean(axis=0)
    size = max(1, BLOCK_VALUES // max(table.shape[1], 1))
    for side, other in ((half, maps[1]), (~half, maps[0])):
        rows, labels = table[side] - centre, groups[side]
        inside = np.unique(labels)
        for start in range(0, len(inside), size):
            left = inside[start : start + size]
            r[left] = map_correlation(
                _left_out_ts(rows, centre, np.equal.outer(left, labels).astype(np.float64)), other
            )
    return r


def _left_out_ts(rows: Floats, centre: Floats, member: Floats) -> Floats:
    """Maps of t, ``(groups, units)`` of one half without the items of a group.

    Args:
        rows: ``(items, units)`` of the half, about `centre`.
        centre: ``(units,)`` means of all items: sums of squares about them lose no digits.
        member: ``(groups, items)``: 1 where an item is left out.
    """
    number = len(rows) - member.sum(axis=1)[:, None]
    squares = np.square(rows)
    sums, spread = rows.sum(axis=0) - member @ rows, squares.sum(axis=0) - member @ squares
    floor = 1e-12 * spread
    with np.errstate(divide="ignore", invalid="ignore"):
        sums /= number
        spread -= number * np.square(sums)
        flat = ~(spread > floor)
        sums += centre
        spread /= number * (number - 1)
        sums /= np.sqrt(spread, out=spread)
    return np.where(flat, np.nan, sums)
