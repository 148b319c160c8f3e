"""At least how many units of a set are true discoveries: permutation-calibrated, simultaneous over all sets.

Blanchard, Neuvial and Roquain 2020 (joint error rate control). Each of B flips or permutations, the identity among
them, gives the sorted p-values of its units; how far a row would stretch a family of curves is its pivot psi; lambda is
the (floor(alpha B) + 1)-th smallest psi. With confidence 1 - alpha no curve of level lambda has, for any k, k or more
p-values of true nulls below its k-th point, which bounds the false discoveries of every set, chosen before or after.
The p-values of Student's t serve as the scale on which units are compared; the guarantee comes from the flips.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantain.base.errors import InputError
from plantain.stats.flips.draw import STORED_FLIPS, FlipSet, draw_flips, spelled
from plantain.stats.flips.engine import repays_kernel
from plantain.stats.flips.quantise import p_between, quantise, t_p_values
from plantain.stats.sifted import bound_pivots
from plantain.stats.signflip import Labels
from plantain.stats.validate import Bools, Floats, Ints, as_differences, as_groups, check_fraction

UnitSet = NDArray[np.integer] | NDArray[np.bool_] | Sequence[int]

TIE = 1e-9
"""Relative tolerance under which a p-value counts as not below a curve: lambda itself is one of the pivots."""
RATIO = 1.25
"""First to last rank of the runs that are looked at first."""
CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Curves:
    """Curves of thresholds on sorted p-values, fixed before looking.

    linear: lambda (k - shift) / (units - shift); Simes' curve where shift is 0.
    beta: the lambda-quantile of Beta(k, units + 1 - k), the k-th smallest of `units` independent uniform numbers.
    A shift ignores the first k, so that sets of few units get no bound and larger ones a better one (pARI's delta).
    """

    name: str
    shift: int
    units: int

    def __post_init__(self) -> None:
        if self.name not in ("linear", "beta"):
            raise InputError(f"There is no family {self.name!r}.", fix="Use linear or beta.", field="family")
        if not self.shift >= 0 or (self.units and self.shift >= self.units):
            raise InputError(f"Shift {self.shift} does not fit {self.units} alive units.", field="shift")

    def level(self, p: Floats, k: Ints) -> Floats:
        """The level of the curve that passes through p at rank k; grows with p, falls with k."""
        if self.name == "linear":
            return p * ((self.units - self.shift) / (k - self.shift))
        from scipy.special import betainc

        return np.asarray(betainc(k, self.units + 1 - k, p), dtype=np.float64)

    def curve(self, level: float, k: Ints) -> Floats:
        """The curve of a level at ranks k."""
        if self.name == "linear":
            return np.asarray(level * (k - self.shift) / (self.units - self.shift), dtype=np.float64)
        from scipy.special import betaincinv

        return np.asarray(betaincinv(k, self.units + 1 - k, min(level, 1.0)), dtype=np.float64)


@dataclass(frozen=True)
class Calibration:
    """Curves calibrated by flips or permutations; bounds any set of units."""

    p: Floats
    """``(units,)`` p-values of Student's t, 1 for dead units."""
    alive: Bools
    """``(units,)``."""
    pivots: Floats
    """``(flips,)`` psi of every row, the identity first; beyond both lambda and the identity's, a lower bound of it may
    stand in its place."""
    level: float
    """lambda."""
    family: Curves
    confidence: float

    @property
    def simes_p(self) -> float:
        """P of the identity's pivot: is there any effect at all?"""
        return float(np.count_nonzero(self.pivots <= self.pivots[0] * (1 + TIE)) / len(self.pivots))

    def lower_bound(self, units: UnitSet | None = None) -> int:
        """At least so many of these units are true discoveries; all units by default.

        V(S) = min over k of #{i in S: p_i >= curve(k)} + k - 1; the bound is |S| - V(S). Dead units count for nothing.
        """
        chosen = self.alive if units is None else self.alive & unit_mask(units, len(self.alive))
        p = np.sort(self.p[chosen])
        k = np.arange(self.family.shift + 1, len(p) + 1)
        if k.size == 0:
            return 0
        below = np.searchsorted(p, self.family.curve(self.level, k) * (1 - TIE), side="left")
        return int(max(0, (below - (k - 1)).max()))


def unit_mask(units: UnitSet, count: int) -> Bools:
    """A set of units, given as indices or as a mask, as a mask ``(count,)``.

    Raises:
        InputError: A mask of another length, or an index that is no unit.
    """
    chosen = np.asarray(units)
    if chosen.dtype == np.bool_:
        if chosen.shape != (count,):
            raise InputError(f"A unit mask has shape {chosen.shape} for {count} units.", field="unit_sets")
        return chosen
    mask = np.zeros(count, np.bool_)
    if chosen.size and not (np.issubdtype(chosen.dtype, np.integer) and chosen.min() >= 0 and chosen.max() < count):
        raise InputError(f"A unit set holds something that is no unit number below {count}.", field="unit_sets")
    mask[chosen.astype(np.int64)] = True
    return mask


def calibrate(
    rows: Callable[[int], Iterator[Floats]], alive: Bools, freedom: int, family: Curves, confidence: float
) -> Calibration:
    """Calibrate a family of curves.

    Args:
        rows: Called with a row count, yields tables ``(rows, alive units)`` of scores in quanta, the identity first.
        alive: ``(units,)``.
        freedom: Degrees of freedom of t.
        family: The curves.
        confidence: Probability that all bounds hold.
    """
    check_fraction(confidence, "confidence")
    p = np.ones(alive.shape)
    if not alive.any():
        return Calibration(p, alive, np.ones(1), 0.0, family, confidence)
    first = next(iter(rows(1)))[0]
    p[alive] = t_p_values(np.abs(first).astype(np.int32), freedom)
    return _calibrated(p, alive, _sorted_pivots(rows, freedom, family), family, confidence)


def _sorted_pivots(rows: Callable[[int], Iterator[Floats]], freedom: int, family: Curves) -> Floats:
    """The pivot of every row, each row sorted."""
    collected: list[Floats] = []
    for scores in rows(max(1, CHUNK_BYTES // (8 * family.units))):
        magnitudes = np.abs(scores).astype(np.int32)  # whole numbers below 2^31; half the bytes sort twice as fast
        magnitudes.sort(axis=1)
        collected.append(pivots(magnitudes[:, ::-1], family, freedom))
    return np.concatenate(collected)


def _calibrated(p: Floats, alive: Bools, psi: Floats, family: Curves, confidence: float) -> Calibration:
    level = float(np.partition(psi, _allowed(len(psi), confidence))[_allowed(len(psi), confidence)])
    return Calibration(p, alive, psi, level, family, confidence)


def _allowed(rows: int, confidence: float) -> int:
    """Rows whose pivot may be below the level."""
    return int(np.floor(round((1 - confidence) * rows, 9)))


def pivots(magnitudes: NDArray[np.int32], family: Curves, freedom: int) -> Floats:
    """The smallest level of any curve through a sorted p-value, per row.

    p-values grow with k and levels fall with k at a fixed p, so a run of ranks cannot beat level(p of its first, its
    last rank). That settles most runs; of the others linear curves, whose levels cost next to nothing, are asked rank
    by rank, and others in halves.

    Args:
        magnitudes: ``(rows, units)`` absolute scores in quanta, largest first.
        family: The curves.
        freedom: Degrees of freedom of t.
    """
    return (_sifted if family.name == "linear" else _halved)(magnitudes, family, freedom)


def _sifted(magnitudes: NDArray[np.int32], family: Curves, freedom: int) -> Floats:
    """Scores are looked up between two edges, whose p-values stand on either side of theirs.

    The beta function is asked of those few ranks alone that may hold the smallest level.
    """
    starts, ends = rank_runs(family.shift, family.units)
    low, high = p_between(magnitudes[:, starts - 1], freedom)
    most = family.level(high, starts).min(axis=1)
    row, run = np.nonzero(family.level(low, ends) <= most[:, None])
    row, rank = _spelled_out(row, starts[run], ends[run])
    low, high = p_between(magnitudes[row, rank - 1], freedom)
    most = np.minimum.reduceat(family.level(high, rank), _firsts(row))
    chosen = family.level(low, rank) <= most[row]
    row, rank = row[chosen], rank[chosen]
    exact = family.level(t_p_values(magnitudes[row, rank - 1], freedom), rank)
    return np.asarray(np.minimum.reduceat(exact, _firsts(row)), dtype=np.float64)


def _halved(magnitudes: NDArray[np.int32], family: Curves, freedom: int) -> Floats:
    """Runs that their first rank does not settle are halved until they are."""
    starts, ends = rank_runs(family.shift, family.units)
    p = t_p_values(magnitudes[:, starts - 1], freedom)
    best: Floats = family.level(p, starts).min(axis=1)
    row, run = np.nonzero((family.level(p, ends) < best[:, None]) & (ends > starts))
    first, last, p = starts[run], ends[run], p[row, run]
    while len(row):
        middle = (first + last + 1) // 2
        p_middle = t_p_values(magnitudes[row, middle - 1], freedom)
        np.minimum.at(best, row, family.level(p_middle, middle))
        row, p = np.tile(row, 2), np.concatenate([p, p_middle])
        first, last = np.concatenate([first, middle]), np.concatenate([middle - 1, last])
        open_runs = np.flatnonzero(first < last)
        open_runs = open_runs[family.level(p[open_runs], last[open_runs]) < best[row[open_runs]]]
        row, p, first, last = row[open_runs], p[open_runs], first[open_runs], last[open_runs]
    return best


def _spelled_out(row: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Row and rank of every rank of runs."""
    lengths = last - first + 1
    behind = np.cumsum(lengths) - lengths
    return np.repeat(row, lengths), np.arange(lengths.sum()) + np.repeat(first - behind, lengths)


def _firsts(row: Ints) -> Ints:
    """Where each row begins among row numbers in order; every row is there."""
    return np.flatnonzero(np.diff(row, prepend=-1)).astype(np.int64)


def rank_runs(shift: int, last: int) -> tuple[Ints, Ints]:
    """Ranks after the shift cut into runs that grow with the rank: first and last rank of each run."""
    edges = [1]
    while edges[-1] <= last - shift:
        edges.append(max(edges[-1] + 1, int(edges[-1] * RATIO)))
    starts = np.array(edges[:-1], dtype=np.int64) + shift
    return starts, np.append(starts[1:] - 1, last)


def true_discoveries(
    differences: ArrayLike,
    *,
    unit_sets: Sequence[UnitSet],
    confidence: float = 0.95,
    family: str = "linear",
    shift: int = 0,
    flips: int | Literal["exact"] = 10_000,
    blocks: Labels | None = None,
    seed: int = 0,
) -> Ints:
    """Lower bounds on the units of each set that truly differ, all at once with one confidence.

    Valid for any sets, also for sets chosen after looking, at a family and shift chosen before.

    Args:
        differences: ``(items, units)`` paired differences.
        unit_sets: Sets of units, as indices or masks.
        confidence: Probability that every bound holds.
        family: ``linear`` (default) or ``beta``, see `plantain.stats.bounds.Curves`.
        shift: Ignore the first so many ranks.
        flips: Flips, the identity among them, or ``"exact"``; those of `sign_flip_test` at the same seed.
        blocks: ``(items,)`` labels; items of one label share one sign.
        seed: Seed of the drawn flips.

    Returns:
        ``(sets,)`` integers. "With 95% confidence at least 143 of these 600 heads differ."

    Raises:
        InputError: See `sign_flip_test`; also an unknown family, a shift or set that does not fit.
    """
    calibration = item_calibration(
        differences, confidence=confidence, family=family, shift=shift, flips=flips, blocks=blocks, seed=seed
    )
    return np.array([calibration.lower_bound(units) for units in unit_sets], dtype=np.int64)


def item_calibration(
    differences: ArrayLike,
    *,
    confidence: float = 0.95,
    family: str = "linear",
    shift: int = 0,
    flips: int | Literal["exact"] = 10_000,
    blocks: Labels | None = None,
    seed: int = 0,
) -> Calibration:
    """The calibration behind `true_discoveries`, to ask for further sets later; same arguments."""
    check_fraction(confidence, "confidence")
    table = as_differences(differences)
    scores = quantise(table, as_groups(blocks, len(table), "block"))
    alive = np.asarray((table != 0).any(axis=0))
    parts = np.ascontiguousarray(scores.parts[:, alive])
    wanted = 1 << (len(parts) - 1) if flips == "exact" else flips
    if wanted > STORED_FLIPS:
        raise InputError(
            f"{spelled(wanted)} flips are too many to calibrate.", fix="Ask for at most 1000000.", field="flips"
        )
    drawn = draw_flips(len(parts), wanted, seed=seed)
    curves = Curves(family, shift, int(alive.sum()))
    if curves.name != "linear" or shift or not repays_kernel(len(drawn), curves.units):
        return calibrate(_rows_of(parts, drawn), alive, scores.freedom, curves, confidence)
    p = np.ones(alive.shape)
    p[alive] = t_p_values(np.abs(parts.sum(axis=0, dtype=np.int64)).astype(np.int32), scores.freedom)
    found = bound_pivots(parts, drawn, scores.freedom, curves.level)
    deciding = found.deciding(_allowed(len(drawn), confidence), TIE)
    psi = found.low
    psi[deciding] = _sorted_pivots(_rows_of(parts, drawn.chosen(deciding)), scores.freedom, curves)
    return _calibrated(p, alive, psi, curves, confidence)


def _rows_of(parts: NDArray[np.int32], flips: FlipSet) -> Callable[[int], Iterator[Floats]]:
    addends = parts.astype(np.float64)

    def rows(size: int) -> Iterator[Floats]:
        for start in range(0, len(flips), size):
            yield flips.sums(addends, start, start + size)

    return rows
