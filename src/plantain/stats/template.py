"""The wording-level test: does a concept differ more than its wordings do?"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.bounds import Calibration, Curves, UnitSet, calibrate
from plantain.stats.effects import hedges_factor
from plantain.stats.flips.labels import Labellings, relabel
from plantain.stats.flips.quantise import QUANTA, Scores
from plantain.stats.multiplicity import spread
from plantain.stats.signflip import Labels
from plantain.stats.validate import Bools, Floats, Ints, as_groups, as_rows, as_thresholds

CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class TemplateTest:
    """Result of `template_test`; per-unit arrays are ``(units,)`` and nan for dead units."""

    t: Floats
    """Pooled two-sample t over wordings; infinite where the wordings of each side do not differ at all."""
    delta: Floats
    """Concept shift over pooled between-wording standard deviation, with Hedges' factor at `df`."""
    p: Floats
    """Share of relabellings, the observed one counted, whose |t| reaches the observed one."""
    alive: Bools
    """The wordings do not all hold one value."""
    df: int
    """Wordings minus 2."""
    threshold: float
    count: int
    """Units with |t| over the threshold."""
    count_p: float
    """Share of relabellings, the observed one counted, with at least as many."""
    simes_p: float
    """p of the calibrated curves: is any unit selective?"""
    lower_bound: int
    """With the confidence asked for, at least so many units are selective."""
    set_lower_bounds: Ints
    """``(sets,)``: the same for each unit set asked for, all at once."""
    floor_p: float
    """The smallest p-value that these wordings can give."""
    permutations: int
    """Relabellings counted, the observed one among them."""
    exact: bool
    """Every relabelling was counted."""
    confidence: float
    concept_information: float
    """Mean over units of -ln(1 - R^2), R^2 = t^2 / (t^2 + df): nats a unit. See `null_concept_information`."""
    calibration: Calibration


def template_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Labels | None = None,
    permutations: int = 10_000,
    threshold: float = 3.0,
    confidence: float = 0.95,
    seed: int = 0,
    family: str = "linear",
    shift: int = 0,
    unit_sets: Sequence[UnitSet] = (),
    units: Sequence[str] | None = None,
) -> TemplateTest:
    """Compare two sets of wordings, with their labels permuted for a null.

    Null hypothesis: the concept labels are exchangeable among wordings, a change of concept being one more rewording.
    Exact whenever the relabellings are no more than `permutations`: 462 for 6 + 6 wordings, 108 in 3 strata of 2 + 2.

    Args:
        a: ``(wordings a, units)``, a row the mean of one wording over items, references and seeds.
        b: ``(wordings b, units)``.
        strata: Labels of the rows of a, then b; labels are permuted within strata only. None is a stratum too.
        permutations: Relabellings wanted, the observed one counted.
        threshold: Preset threshold on |t| for the count.
        confidence: Confidence of the lower bounds.
        seed: Seed of drawn relabellings.
        family: Curves of the bound, see `plantain.stats.bounds.Curves`.
        shift: Ranks that the curves ignore.
        unit_sets: Sets of units to bound as well.
        units: Names of the units, for messages.

    Raises:
        InputError: Values that are not finite, sides of different units, fewer than 3 wordings or none on a side.
    """
    table, observed = _stacked(a, b, units)
    groups = np.zeros(len(table), np.int64) if strata is None else as_groups(strata, len(table), "stratum")
    labellings = relabel(observed, groups, permutations, seed)
    scored = _scored(table, observed)
    scores, alive = scored.scores, scored.alive
    curves = Curves(family, shift, int(alive.sum()))
    calibration = calibrate(_rows(scores, labellings, alive), alive, scores.freedom, curves, confidence)
    bounds = np.array([calibration.lower_bound(chosen) for chosen in unit_sets], dtype=np.int64)
    return _result(scored, labellings, as_thresholds([threshold]), calibration, bounds)


@dataclass(frozen=True)
class Scored:
    """Wordings as addends: their sum over side a is the correlation u of values and labels."""

    scores: Scores
    alive: Bools
    t: Floats
    root: float
    """sqrt(1 / wordings a + 1 / wordings b): t times this is the shift over the pooled deviation."""


def _result(
    scored: Scored, labellings: Labellings, threshold: Floats, calibration: Calibration, bounds: Ints
) -> TemplateTest:
    freedom, number = scored.scores.freedom, len(labellings.side_a)
    limit = int(scored.scores.limits(threshold)[0])
    hits, counts = _tally(scored.scores, labellings, scored.alive, limit)
    return TemplateTest(
        t=scored.t,
        delta=scored.t * scored.root * hedges_factor(freedom),
        p=spread(hits / number, scored.alive),
        alive=scored.alive,
        df=freedom,
        threshold=float(threshold[0]),
        count=int(counts[0]),
        count_p=float(np.count_nonzero(counts >= counts[0]) / number),
        simes_p=calibration.simes_p,
        lower_bound=calibration.lower_bound(),
        set_lower_bounds=bounds,
        floor_p=max(1 / number, 1 / labellings.space),
        permutations=number,
        exact=labellings.exact,
        confidence=calibration.confidence,
        concept_information=concept_information(scored.t, freedom),
        calibration=calibration,
    )


def concept_information(t: Floats, df: int) -> float:
    """Mean over units of -ln(1 - R^2) with R^2 = t^2 / (t^2 + df), in nats a unit.

    Invariant to the order and scale of units, so that models can be compared by it. Units with nan or infinite t are
    left out; nan where none remains.
    """
    known = t[np.isfinite(t)]
    return float(np.mean(np.log1p(known**2 / df))) if known.size else math.nan


def null_concept_information(df: int) -> float:
    """What `concept_information` is on average for normal wordings without a concept; 0.1050 at df = 10."""
    from scipy.special import digamma

    return float(digamma((df + 1) / 2) - digamma(df / 2))


def _stacked(a: ArrayLike, b: ArrayLike, units: Sequence[str] | None) -> tuple[Floats, Bools]:
    side_a, side_b = as_rows(a, "wording", units=units), as_rows(b, "wording", units=units)
    if side_a.shape[1] != side_b.shape[1]:
        raise InputError(f"Side a has {side_a.shape[1]} units, side b {side_b.shape[1]}.")
    if min(len(side_a), len(side_b)) < 1 or len(side_a) + len(side_b) < 3:
        raise InputError(
            f"{len(side_a)} and {len(side_b)} templates leave no degree of freedom.",
            fix="Give each side a template and one of them a second.",
        )
    return np.concatenate([side_a, side_b]), np.arange(len(side_a) + len(side_b)) < len(side_a)


def _scored(table: Floats, observed: Bools) -> Scored:
    """Addends of u, which grows with t: t = u sqrt(df / (1 - u^2))."""
    sizes = int(observed.sum()), int((~observed).sum())
    freedom = len(table) - 2
    alive = np.asarray((table != table[0]).any(axis=0))
    centred = table - table.mean(axis=0)
    largest = np.abs(centred).max(axis=0)
    scaled = np.where(alive, centred / np.where(alive, largest, 1.0), 0.0)
    norm = np.sqrt(np.square(scaled).sum(axis=0) * sizes[0] * sizes[1] / len(table))
    parts = np.rint(scaled / np.where(norm > 0, norm, 1.0) * QUANTA).astype(np.int32)
    t = np.where(alive, _pooled_t(table, observed), np.nan)
    return Scored(Scores(parts, freedom), alive, t, math.sqrt(1 / sizes[0] + 1 / sizes[1]))


def _pooled_t(table: Floats, observed: Bools) -> Floats:
    a, b = table[observed], table[~observed]
    inside = sum(
        np.square(side - np.where((side == side[0]).all(axis=0), side[0], side.mean(axis=0))).sum(axis=0)
        for side in (a, b)
    )
    error = np.sqrt(inside / (len(table) - 2) * (1 / len(a) + 1 / len(b)))
    with np.errstate(divide="ignore", invalid="ignore"):
        t: Floats = (a.mean(axis=0) - b.mean(axis=0)) / error
    return t


def _rows(scores: Scores, labellings: Labellings, alive: Bools) -> Callable[[int], Iterator[Floats]]:
    parts = scores.parts[:, alive].astype(np.float64)

    def rows(size: int) -> Iterator[Floats]:
        for start in range(0, len(labellings.side_a), size):
            yield labellings.side_a[start : start + size] @ parts

    return rows


def _tally(scores: Scores, labellings: Labellings, alive: Bools, limit: int) -> tuple[Ints, Ints]:
    """Relabellings that reach each alive unit's score, and units over the limit in each relabelling."""
    units = int(alive.sum())
    hits, counts = np.zeros(units, np.int64), []
    goal: Floats | None = None
    for table in _rows(scores, labellings, alive)(max(1, CHUNK_BYTES // (8 * max(units, 1)))):
        magnitudes = np.abs(table)
        goal = magnitudes[0] - scores.tolerance if goal is None else goal
        hits += np.count_nonzero(magnitudes >= goal, axis=0)
        counts.append(np.count_nonzero(magnitudes > limit, axis=1))
    return hits, np.concatenate(counts).astype(np.int64)
