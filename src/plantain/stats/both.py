"""New items and new wordings at once: a description, beside the tests that hold one of the two fixed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.bounds import Curves, calibrate
from plantain.stats.exchange import Exchange, Exchanged, plan_exchange
from plantain.stats.flips.draw import SIGNS, random_stream
from plantain.stats.flips.labels import Labellings, relabel
from plantain.stats.flips.quantise import QUANTA
from plantain.stats.scored import carried
from plantain.stats.signflip import Labels
from plantain.stats.template import check_rows
from plantain.stats.validate import SMALLEST_SAMPLE, Bools, Floats


@dataclass(frozen=True)
class BothTest:
    """Result of `both`; per-unit arrays are ``(units,)`` and nan for dead units."""

    t: Floats
    """t1 t2 / sqrt(t1^2 + t2^2), t1 over items and t2 over wordings: the shift over both standard errors."""
    df: Floats
    """Degrees of freedom of it, after Satterthwaite: between those of items and of wordings."""
    simes_p: float
    lower_bound: int
    """With about the confidence asked for, at least so many units differ for items and wordings like these."""
    draws: int
    """Joint draws of labels and signs, the observed one among them."""
    exchange: Exchanged
    rows: tuple[int, int]
    items: int


@dataclass(frozen=True)
class _Design:
    """What the joint null is drawn from; rows are wordings, or clusters of them, centred within frames."""

    rows: Floats
    """``(rows, alive units)``."""
    items: Floats
    """``(items, alive units)``: differences of each item less their mean."""
    observed: Bools
    paired: bool

    @property
    def freedom(self) -> tuple[int, int]:
        """Of items and of wordings."""
        return len(self.items) - 1, len(self.rows) // 2 - 1 if self.paired else len(self.rows) - 2


def both(
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: Labels | None = None,
    frames: Labels | None = None,
    strata: Labels | None = None,
    draws: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> BothTest:
    """Bound the units that differ for new items and new wordings together.

    After min F' (Clark 1973): 1 / min F' = 1 / F1 + 1 / F2, which counts the scatter of items within wordings twice and
    so errs to the safe side. The joint null exchanges the labels of the wordings as `template_test` does and, apart
    from that, flips the signs of what each item's difference has of its own (less the mean of all items). Both are
    drawn together, and the bound is that of `plantain.stats.bounds` over these draws. This is no exact test: its level
    was simulated where only wordings, only items, or both vary (`python -m studies.attacked`).

    Args:
        a: ``(wordings a, items, units)``.
        b: ``(wordings b, items, units)``.
        clusters: As in `template_test`.
        frames: As in `template_test`.
        strata: As in `template_test`.
        draws: Joint draws, the observed one counted.
        confidence: Confidence of the bound.
        seed: Seed of the draws.

    Raises:
        InputError: Not three axes, sides of other items or units, values that are not finite, fewer than two items or
            three rows; labels as in `template_test`.
    """
    table, sides = _crossed(a, b)
    exchange = plan_exchange(sides, clusters=clusters, frames=frames, strata=strata)
    check_rows(exchange.sides, "rows")
    averaged = exchange.average(table)
    alive = np.asarray((averaged != averaged[:1]).any(axis=(0, 1)))
    design = _design(averaged[:, :, alive], exchange)
    labellings = relabel(exchange.observed, exchange.strata, draws, seed)
    side_a, negated = _joint(labellings, averaged.shape[1], draws, seed)
    shift, error, freedom = _standardise(design, side_a[:1], negated[:1])
    base = design.freedom[1]

    def scores(size: int) -> Iterator[Floats]:
        size = min(size, max(1, SIGNS // averaged.shape[1]))
        for start in range(0, draws, size):
            found = _standardise(design, side_a[start : start + size], negated[start : start + size])
            yield np.rint(carried(*found, base) * QUANTA)

    calibration = calibrate(scores, alive, base, Curves("linear", 0, int(alive.sum())), confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, df = np.full(len(alive), np.nan), np.full(len(alive), np.nan)
        t[alive], df[alive] = (shift / np.sqrt(error))[0], freedom[0]
    bound = calibration.lower_bound()
    return BothTest(t, df, calibration.simes_p, bound, draws, exchange.scheme, exchange.sides, averaged.shape[1])


def _crossed(a: ArrayLike, b: ArrayLike) -> tuple[Floats, tuple[int, int]]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 3 or second.ndim != 3 or first.shape[1:] != second.shape[1:]:
        raise InputError(
            f"Sides have shapes {first.shape} and {second.shape} where (wordings, items, units) is needed.",
            fix="Give both sides the same items and units.",
        )
    table = np.concatenate([first, second])
    if table.shape[1] < SMALLEST_SAMPLE or not np.isfinite(table).all():
        raise InputError(f"{table.shape[1]} items, or a value that is not finite.", fix="Give two items or more.")
    return table, (len(first), len(second))


def _design(averaged: Floats, exchange: Exchange) -> _Design:
    means, side = averaged.mean(axis=1), exchange.observed
    differences = averaged[side].mean(axis=0) - averaged[~side].mean(axis=0)
    paired = exchange.scheme == "frames"
    half = len(means) // 2
    rows = means - np.tile((means[:half] + means[half:]) / 2, (2, 1)) if paired else means - means.mean(axis=0)
    return _Design(rows, differences - differences.mean(axis=0), side, paired)


def _joint(labellings: Labellings, items: int, draws: int, seed: int) -> tuple[Floats, Bools]:
    """Labels ``(draws, rows)`` and which items are negated ``(draws, items)``, drawn apart; the observed ones first."""
    stream = random_stream(seed, 4)
    which = (stream.random_raw(draws) % np.uint64(len(labellings.side_a))).astype(np.int64)
    negated = np.empty((draws, items), np.bool_)
    for row in negated:
        row[:] = stream.random_raw(items) >> np.uint64(63)
    which[0], negated[0] = 0, False
    return labellings.side_a[which], negated


def _standardise(design: _Design, side_a: Floats, negated: Bools) -> tuple[Floats, Floats, Floats]:
    """Shift, squared standard error and degrees of freedom of each draw, ``(draws, units)``."""
    number, freedom = len(design.items), design.freedom
    flipped = (1.0 - 2.0 * negated) @ design.items / number
    of_items = np.maximum(np.square(design.items).mean(axis=0) - np.square(flipped), 0.0) / (number - 1)
    shift, of_rows = _between(design, side_a)
    error = of_items + of_rows
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.square(error) / (np.square(of_items) / freedom[0] + np.square(of_rows) / freedom[1])
    return shift + flipped, error, df


def _between(design: _Design, side_a: Floats) -> tuple[Floats, Floats]:
    """Shift between relabelled sides and its squared standard error: pooled, or paired within frames."""
    first = int(design.observed.sum())
    second = len(design.rows) - first
    shift = side_a @ design.rows * (1 / first + 1 / second)  # rows sum to zero
    explained = np.square(shift) * first * second / (first + second)
    inside = np.maximum(np.square(design.rows).sum(axis=0) - explained, 0.0)
    return shift, inside / design.freedom[1] * (1 / first + 1 / second)
