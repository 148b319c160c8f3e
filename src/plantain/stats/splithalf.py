"""Split-half reliability: t maps of two halves of the items, how they correlate, and what they would do by chance."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.base.threads import threads_available
from plantain.stats.flips.draw import SIGNS, draw_flips, random_stream
from plantain.stats.flips.quantise import QUANTA, group_sums
from plantain.stats.signflip import Labels
from plantain.stats.validate import Bools, Floats, Ints, as_differences, as_groups

SMALLEST_HALF = 2


def draw_halves(groups: Ints, strata: Ints, splits: int, seed: int) -> Bools:
    """Random halves that keep groups whole and strata even.

    Groups are shuffled within strata and dealt to the halves in turn, the second half getting the odd one out: 12 and
    13 of 25 items.

    Args:
        groups: ``(items,)`` numbers of the groups that stay together.
        strata: ``(items,)`` numbers of the strata, one a group.
        splits: How many splits.
        seed: Seed of the shuffles.

    Returns:
        ``(splits, items)``, true for the first half.

    Raises:
        InputError: A group in two strata.
        TooFewItems: A half of fewer than 2 items: fewer than 4 items, or blocks that leave a half no more.
    """
    count = int(groups.max()) + 1
    stratum = np.zeros(count, np.int64)
    stratum[groups] = strata
    if (stratum[groups] != strata).any():
        raise InputError("A block has items in two strata.", fix="Give all items of a block one stratum.")
    if splits < 1:
        raise InputError(f"{splits} splits are none.", field="splits")
    keys = random_stream(seed, 3).random_raw(splits * count).reshape(splits, count)
    order = np.argsort(keys, axis=1, kind="stable")
    order = np.take_along_axis(order, np.argsort(stratum[order], axis=1, kind="stable"), axis=1)
    first = np.zeros((splits, count), np.bool_)
    np.put_along_axis(first, order, np.arange(count) % 2 == 1, axis=1)
    halves = np.ascontiguousarray(first[:, groups])
    if smallest_half(halves) < SMALLEST_HALF:
        raise TooFewItems("A half has fewer than 2 items.", fix="Add items, or use smaller blocks.")
    return halves


class TooFewItems(InputError):
    """The items cannot be halved; whoever analyses can leave the split halves out."""


def smallest_half(halves: Bools) -> int:
    """Items of the smallest half of splits ``(splits, items)``."""
    sizes = halves.sum(axis=1)
    return min(int(sizes.min()), int(halves.shape[1]) - int(sizes.max()))


BLOCK_VALUES = 32_768
"""Values of one temporary: a quarter of a second-level cache, and memory that is used again rather than asked for."""


def half_ts(table: Floats, halves: Bools) -> tuple[Floats, Floats]:
    """Maps of t of the items in each half and of the others; nan in both where either has no variance.

    Args:
        table: ``(items, units)``.
        halves: ``(splits, items)``, with equally many items in each.

    Returns:
        ``(splits, units)`` each.
    """
    first, second = (_t_map(table[_members(side)]) for side in (halves, ~halves))
    missing = np.isnan(first) | np.isnan(second)
    return np.where(missing, np.nan, first), np.where(missing, np.nan, second)


def _members(halves: Bools) -> Ints:
    """The items of halves that hold equally many, ``(splits, members)``."""
    return np.nonzero(halves)[1].reshape(len(halves), -1)


def _alike(halves: Bools, units: int) -> Iterator[Ints]:
    """The splits, taken together where their halves hold equally many items, as many as one temporary has room for."""
    sizes = halves.sum(axis=1)
    step = max(1, BLOCK_VALUES // max(halves.shape[1] * units, 1))
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        yield from (same[start : start + step] for start in range(0, len(same), step))


def _t_map(rows: Floats) -> Floats:
    """Maps of t, ``(splits, units)``, of rows ``(splits, items, units)``."""
    constant = (rows == rows[:, :1]).all(axis=1)
    number, mean = rows.shape[1], rows.mean(axis=1)
    variance = np.square(rows - mean[:, None]).sum(axis=1) / (number - 1)
    return np.where(constant, np.nan, mean / np.sqrt(np.where(constant, 1.0, variance) / number))


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
    rows = max(1, min(BLOCK_VALUES // max(table.shape[1], 1), SIGNS // len(table)))

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
    r = np.empty((len(halves), count))
    for chosen in _alike(halves, table.shape[1]):
        r[chosen] = _left_out_r(table, groups, halves[chosen])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.arctanh(np.median(r, axis=0))
    if not np.isfinite(z).all():
        return math.nan, math.nan
    from scipy.special import stdtrit

    error = math.sqrt((count - 1) / count * float(np.square(z - z.mean()).sum()))
    centre, reach = math.atanh(median), float(stdtrit(count - 1, 0.975)) * error
    return math.tanh(centre - reach), math.tanh(centre + reach)


def _left_out_r(table: Floats, groups: Ints, halves: Bools) -> Floats:
    """R of splits that are alike with each group left out in turn, ``(splits, groups)``."""
    maps = half_ts(table, halves)
    r = np.empty((len(halves), int(groups.max()) + 1))
    centre = table.mean(axis=0)
    size = max(1, BLOCK_VALUES // max(len(halves) * table.shape[1], 1))
    for side, other in ((halves, maps[1]), (~halves, maps[0])):
        members = _members(side)
        inside, labels = _numbered(groups[members])
        left = _LeftOut(table[members] - centre, labels, centre)
        for start in range(0, inside.shape[1], size):
            chosen = slice(start, start + size)
            found = map_correlation(left.ts(chosen), other[:, None])
            np.put_along_axis(r, inside[:, chosen], found, axis=1)
    return r


def _numbered(groups: Ints) -> tuple[Ints, Ints]:
    """The groups of each split, and the place of every item's among them; each split has equally many groups."""
    found = [np.unique(row, return_inverse=True) for row in groups]
    return np.stack([inside for inside, _ in found]), np.stack([labels for _, labels in found])


class _LeftOut:
    """One half of each split without the items of each of its groups."""

    def __init__(self, rows: Floats, labels: Ints, centre: Floats) -> None:
        """Sum within groups.

        Args:
            rows: ``(splits, items, units)`` of the halves, about `centre`.
            labels: ``(splits, items)`` numbers of the groups of each half, from 0.
            centre: ``(units,)`` means of all items: sums of squares about them lose no digits.
        """
        squares = np.square(rows)
        self._centre = centre
        self._number = rows.shape[1] - np.stack([np.bincount(row) for row in labels])[..., None]
        self._sums, self._total = _sums_within(rows, labels), rows.sum(axis=1)[:, None]
        self._squares, self._spread = _sums_within(squares, labels), squares.sum(axis=1)[:, None]

    def ts(self, groups: slice) -> Floats:
        """Maps of t, ``(splits, groups, units)``, each without one group."""
        number, floor = self._number[:, groups], 1e-12 * self._spread
        sums, spread = self._total - self._sums[:, groups], self._spread - self._squares[:, groups]
        with np.errstate(divide="ignore", invalid="ignore"):
            sums /= number
            spread -= number * np.square(sums)
            flat = ~(spread > floor)
            sums += self._centre
            spread /= number * (number - 1)
            sums /= np.sqrt(spread, out=spread)
        return np.where(flat, np.nan, sums)


def _sums_within(rows: Floats, labels: Ints) -> Floats:
    """Sums of the rows of each group, ``(splits, groups, units)``."""
    if int(labels.max()) + 1 == rows.shape[1]:
        return rows
    return np.stack([group_sums(own, numbers) for own, numbers in zip(rows, labels, strict=True)])


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
        InputError: See `sign_flip_test`; also a block in two strata.
        TooFewItems: Halves of fewer than 2 items.
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
    middle = int(np.argsort(r, kind="stable")[(splits - 1) // 2])
    half_a[alive], half_b[alive] = (maps[0] for maps in half_ts(living, halves[middle : middle + 1]))
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
    for chosen in _alike(halves, table.shape[1]):
        first, second = half_ts(table, halves[chosen])
        r[chosen] = map_correlation(first, second)
        left_out[chosen] = np.count_nonzero(np.isnan(first), axis=1)
    return r, left_out
