"""The wording-level test: does a concept differ more than its wordings do?"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.bounds import Calibration, Curves, UnitSet, calibrate
from plantain.stats.exchange import Exchange, Exchanged, plan_exchange
from plantain.stats.flips.labels import Labellings, relabel
from plantain.stats.multiplicity import spread
from plantain.stats.pivot import largest_pivot
from plantain.stats.scored import Scored, score_frames, score_pooled, score_welch
from plantain.stats.signflip import Labels
from plantain.stats.validate import Bools, Floats, Ints, as_rows, as_thresholds
from plantain.stats.vectors import score_vectors

CHUNK_BYTES = 8 * 1024 * 1024
KEPT_BYTES = 32 * 1024 * 1024
"""What the scores of all relabellings may take to be kept between their uses."""


@dataclass(frozen=True)
class TemplateTest:
    """Result of `template_test`; per-unit arrays are ``(units,)`` and nan for dead units."""

    t: Floats
    """t over rows at `df`; infinite where nothing but the concept differs. Under frames, the paired t over components;
    under free exchange the pooled two-sample t, or Welch's brought to `df`, see `studentised`."""
    delta: Floats
    """Concept shift over the pooled standard deviation between rows of one side, with Hedges' factor at rows - 2. The
    same under either scheme, so that it can be compared between them: frames are not taken out of the deviation."""
    p: Floats
    """Share of relabellings, the observed one counted, whose |t| reaches the observed one."""
    alive: Bools
    """The wordings do not all hold one value."""
    df: int
    """Rows minus 2; under frames, components minus 1."""
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
    """The smallest p-value that these wordings can give; 1/128 for 8 frames, 1/462 for 6 + 6 rows."""
    permutations: int
    """Relabellings counted, the observed one among them."""
    exact: bool
    """Every relabelling was counted."""
    confidence: float
    concept_information: float
    """Mean over units of -ln(1 - R^2), R^2 = t^2 / (t^2 + df): nats a unit. See `null_concept_information`."""
    largest: float
    """What a network is ranked by among untrained draws, see `plantain.stats.pivot.largest_pivot`."""
    calibration: Calibration
    exchange: Exchanged
    """``frames``: labels were exchanged within frames. ``clusters``: freely among rows."""
    rows: tuple[int, int]
    """Rows of side a and of side b: clusters, or under frames components."""
    studentised: bool
    """Whether t is Welch's: not pooled, so that unequal spread of sides of unequal size does not pass for a shift."""


def template_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: Labels | None = None,
    frames: Labels | None = None,
    strata: Labels | None = None,
    studentised: bool | None = None,
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
    Exact whenever the relabellings are no more than `permutations`: 462 for 6 + 6 wordings, 108 in 3 strata of 2 + 2,
    128 in 8 frames. How clusters and frames become rows stands in `plantain.stats.exchange.plan_exchange`.

    Args:
        a: ``(wordings a, units)``, a row the mean of one wording over items, references and seeds. Or
            ``(wordings a, units, dimensions)``: a vector a unit, whose direction counts as well, see
            `plantain.stats.vectors`; t is then without a sign.
        b: ``(wordings b, units)``, or of vectors.
        clusters: Labels of the rows of a, then b; rows of one label are averaged to one, since they are no more than
            one piece of evidence: copies, or wordings that share a word which the other side never uses.
        frames: Labels of the rows of a, then b, which share a frame where the labels are equal; None is no frame.
            Six frames or more of both sides, each row in one: labels are exchanged within frames.
        strata: Labels of the rows of a, then b; labels are permuted within strata only. None is a stratum too.
        studentised: Welch's t under free exchange. None: where clusters or frames are given, and the sides differ in
            their number of rows. (Of equal sides both are the same number; frames are always paired.)
        permutations: Relabellings wanted, the observed one counted.
        threshold: Preset threshold on |t| for the count.
        confidence: Confidence of the lower bounds.
        seed: Seed of drawn relabellings.
        family: Curves of the bound, see `plantain.stats.bounds.Curves`.
        shift: Ranks that the curves ignore.
        unit_sets: Sets of units to bound as well.
        units: Names of the units, for messages.

    Raises:
        InputError: Values that are not finite, sides of different units, fewer than 3 rows or none on a side, a cluster
            on both sides or in several strata, a side of one row whose t should be studentised.
    """
    table, sides = as_sides(a, b, units)
    exchange = plan_exchange(sides, clusters=clusters, frames=frames, strata=strata)
    check_rows(exchange.sides, "rows" if clusters is not None else "templates")
    labellings = relabel(exchange.observed, exchange.strata, permutations, seed)
    declared = clusters is not None or frames is not None
    scored = scored_rows(exchange, table, welch=_welch(studentised, exchange.sides, declared))
    curves = Curves(family, shift, int(scored.alive.sum()))
    rows = _rows(scored, labellings)
    calibration = calibrate(rows, scored.alive, scored.freedom, curves, confidence)
    bounds = np.array([calibration.lower_bound(chosen) for chosen in unit_sets], dtype=np.int64)
    tallied = _tally(scored, rows, scored.limit(as_thresholds([threshold])))
    return _result(scored, exchange, labellings, threshold, tallied, calibration, bounds)


def _welch(asked: bool | None, sides: tuple[int, int], declared: bool) -> bool:
    return (declared and sides[0] != sides[1] and min(sides) > 1) if asked is None else asked


def scored_rows(exchange: Exchange, table: Floats, *, welch: bool = False) -> Scored:
    """Scores of wordings under an exchange: numbers or vectors, paired within frames, pooled or Welch's.

    Args:
        exchange: How wordings become rows.
        table: ``(wordings, units)`` or ``(wordings, units, dimensions)``.
        welch: Whether each side has a spread of its own, under free exchange.
    """
    rows = exchange.average(table)
    if rows.ndim == 3:
        framed = exchange.scheme == "frames"
        return score_vectors(rows, exchange.observed, frames=framed, welch=welch and not framed)
    if exchange.scheme == "frames":
        return score_frames(rows, exchange.observed)
    return score_welch(rows, exchange.observed) if welch else score_pooled(rows, exchange.observed)


def _result(
    scored: Scored,
    exchange: Exchange,
    labellings: Labellings,
    threshold: float,
    tallied: tuple[Ints, Ints],
    calibration: Calibration,
    bounds: Ints,
) -> TemplateTest:
    freedom, number = scored.freedom, len(labellings.side_a)
    hits, counts = tallied
    return TemplateTest(
        t=scored.t,
        delta=scored.delta,
        p=spread(hits / number, scored.alive),
        alive=scored.alive,
        df=freedom,
        threshold=float(threshold),
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
        largest=largest_pivot(scored.t, freedom),
        calibration=calibration,
        exchange=exchange.scheme,
        rows=exchange.sides,
        studentised=scored.studentised,
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


def as_sides(a: ArrayLike, b: ArrayLike, units: Sequence[str] | None = None) -> tuple[Floats, tuple[int, int]]:
    """Wordings of a, then b, ``(wordings, units)`` or ``(wordings, units, dimensions)``, and how many each side has.

    Raises:
        InputError: See `template_test`.
    """
    side_a, side_b = (as_rows(side, "wording", units=units, vectors=True) for side in (a, b))
    if side_a.shape[1:] != side_b.shape[1:]:
        first, second = (" x ".join(map(str, side.shape[1:])) for side in (side_a, side_b))
        raise InputError(f"Side a has {first} units, side b {second}.")
    check_rows((len(side_a), len(side_b)), "templates")
    return np.concatenate([side_a, side_b]), (len(side_a), len(side_b))


def check_rows(sides: tuple[int, int], what: str) -> None:
    """Refuse sides whose rows leave no degree of freedom.

    Raises:
        InputError: No row on a side, or fewer than 3 in all.
    """
    if min(sides) < 1 or sum(sides) < 3:
        raise InputError(
            f"{sides[0]} and {sides[1]} {what} leave no degree of freedom.",
            fix="Give each side a template and one of them a second.",
        )


def _rows(scored: Scored, labellings: Labellings) -> Callable[[int], Iterator[Floats]]:
    """Scores of all relabellings, so many at a time; all are asked for twice, and made once where they may be kept."""
    score, labels = scored.scores(), labellings.side_a
    units = int(scored.alive.sum())
    if 8 * len(labels) * units <= KEPT_BYTES:
        size, kept = max(1, CHUNK_BYTES // (8 * max(units, 1))), np.empty((len(labels), units))
        for start in range(0, len(labels), size):
            kept[start : start + size] = score(labels[start : start + size])
        return lambda size: (kept[start : start + size] for start in range(0, len(kept), size))
    return lambda size: (score(labels[start : start + size]) for start in range(0, len(labels), size))


def _tally(scored: Scored, rows: Callable[[int], Iterator[Floats]], limit: int) -> tuple[Ints, Ints]:
    """Relabellings that reach each alive unit's score, and units over the limit in each relabelling."""
    units = int(scored.alive.sum())
    hits, counts = np.zeros(units, np.int64), []
    goal: Floats | None = None
    for table in rows(max(1, CHUNK_BYTES // (8 * max(units, 1)))):
        magnitudes = np.abs(table)
        goal = magnitudes[0] - scored.tolerance if goal is None else goal
        hits += np.count_nonzero(magnitudes >= goal, axis=0)
        counts.append(np.count_nonzero(magnitudes > limit, axis=1))
    return hits, np.concatenate(counts).astype(np.int64)
