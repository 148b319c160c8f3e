"""Rows of wordings as scores that grow with t, for every relabelling, in whole numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.stats.effects import hedges_factor
from plantain.stats.flips.quantise import QUANTA, Scores
from plantain.stats.validate import Bools, Floats

LEVELS = 1 << 23
"""Whole numbers a unit's largest distance from its mean is divided into; sums of 64 squares then stay below 2^53."""
LOOSE = 1 << 10
"""Quanta within which two studentised scores count as equal: a millionth, what rounding to `LEVELS` may move them."""

Combine = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Scored:
    """Rows whose scores over relabellings are at hand; per-unit arrays are ``(units,)``.

    A score u is in [-1, 1], in quanta: t = u sqrt(df / (1 - u^2)).
    """

    freedom: int
    alive: Bools
    t: Floats
    delta: Floats
    tolerance: int
    """Quanta within which two scores count as equal."""
    scores: Callable[[], Combine]
    """Makes the function from labels ``(labellings, rows)`` to scores ``(labellings, alive units)``."""
    studentised: bool = False

    def limit(self, threshold: Floats) -> int:
        """The threshold on the absolute t as a score."""
        return int(Scores(np.zeros((1, 1), np.int32), self.freedom).limits(threshold)[0])


def score_pooled(table: Floats, observed: Bools) -> Scored:
    """Pooled two-sample t of rows ``(rows, units)`` that are exchanged freely: u is the sum of side a's addends."""
    alive, t = _alive(table), _pooled_t(table, observed)
    first, second = int(observed.sum()), int((~observed).sum())
    freedom = len(table) - 2
    parts = _addends(table - table.mean(axis=0), alive, (first, second))
    t = np.where(alive, t, np.nan)
    delta = t * math.sqrt(1 / first + 1 / second) * hedges_factor(freedom)
    return Scored(freedom, alive, t, delta, len(table), lambda: _linear(parts[:, alive]))


def score_frames(table: Floats, observed: Bools) -> Scored:
    """Paired t of rows ``(rows, units)``, side a's first, exchanged within components.

    It is the t of a linear model with a factor of components: rows are centred within components, and the degrees of
    freedom are components - 1. A unit whose pairs do not differ is dead.
    """
    number = len(table) // 2
    differences = table[:number] - table[number:]
    alive = np.asarray((differences != 0).any(axis=0))
    parts = _addends(np.concatenate([differences, -differences]) / 2, alive, (number, number))
    constant = np.asarray((differences == differences[0]).all(axis=0))
    mean = np.where(constant, differences[0], differences.mean(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.square(differences - mean).sum(axis=0) / (number - 1) / number)
        t = np.where(alive, mean / error, np.nan)
    delta = np.where(alive, _delta(table, observed), np.nan)
    return Scored(number - 1, alive, t, delta, len(table), lambda: _linear(parts[:, alive]))


def score_welch(table: Floats, observed: Bools) -> Scored:
    """Welch's t of rows ``(rows, units)`` that are exchanged freely, brought to rows - 2 degrees of freedom.

    Every relabelling has degrees of freedom of its own, so each t is `carried` to the same ones. p-values of Student's
    t are only the scale on which relabellings are compared.

    Raises:
        InputError: A side of one row, which has no spread.
    """
    if min(observed.sum(), (~observed).sum()) < 2:
        raise InputError("A side of one row has no spread.", fix="Add rows, or leave out `studentised`.")
    alive = _alive(table)
    centred = table - table.mean(axis=0)
    whole = np.rint(centred / np.where(alive, np.abs(centred).max(axis=0), 1.0) * LEVELS)
    freedom = len(table) - 2
    u = np.where(alive, _welch(observed[None].astype(np.float64), whole, freedom)[0], np.nan)
    with np.errstate(divide="ignore"):
        t = np.sign(u) * np.sqrt(freedom * np.square(u) / ((1 - np.abs(u)) * (1 + np.abs(u))))
    delta = np.where(alive, _delta(table, observed), np.nan)

    def scores() -> Combine:
        values = whole[:, alive]
        return lambda labels: np.rint(_welch(labels, values, freedom) * QUANTA)

    return Scored(freedom, alive, t, delta, LOOSE, scores, studentised=True)


def _welch(labels: Floats, values: Floats, freedom: int) -> Floats:
    """U of every labelling, ``(labellings, units)``: Welch's t at `freedom`, over sqrt(freedom + t^2)."""
    sizes = float(labels[0].sum()), float(len(values) - labels[0].sum())
    squares = np.square(values)
    first, second = labels @ values, labels @ squares
    mean_a, error_a = _moments(first, second, sizes[0])
    mean_b, error_b = _moments(values.sum(axis=0) - first, squares.sum(axis=0) - second, sizes[1])
    error, shift = error_a + error_b, mean_a - mean_b
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.square(error) / (np.square(error_a) / (sizes[0] - 1) + np.square(error_b) / (sizes[1] - 1))
    return carried(shift, error, own, freedom)


def carried(shift: Floats, error: Floats, own: Floats, freedom: int) -> Floats:
    """A t of other degrees of freedom as the u, t / sqrt(freedom + t^2), of the t that has the same p-value.

    Wallace (1959): z = (8 df + 1) / (8 df + 3) sqrt(df ln(1 + t^2 / df)) is all but normal.

    Args:
        shift: What t divides by its standard error.
        error: The standard error, squared; where it is 0 a shift is infinite.
        own: The degrees of freedom of t.
        freedom: Those to bring it to.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        power = own / freedom * np.square(_wallace(own) / _wallace(np.asarray(float(freedom))))
        explained = -np.expm1(-power * np.log1p(np.square(shift) / error / own))
    return np.asarray(np.sign(shift) * np.sqrt(np.where(error > 0, explained, shift != 0)))


def _wallace(freedom: Floats) -> Floats:
    return (8 * freedom + 1) / (8 * freedom + 3)


def _moments(total: Floats, squares: Floats, number: float) -> tuple[Floats, Floats]:
    """Mean, and squared standard error of it."""
    inside = np.maximum(squares - np.square(total) / number, 0.0)
    return total / number, inside / ((number - 1) * number)


def _alive(table: Floats) -> Bools:
    return np.asarray((table != table[0]).any(axis=0))


def _addends(centred: Floats, alive: Bools, sides: tuple[int, int]) -> NDArray[np.int32]:
    """Centred values as whole numbers whose sum over side a is u: over sqrt(rows a * b / all rows * sum of squares)."""
    largest = np.abs(centred).max(axis=0)
    scaled = np.where(alive, centred / np.where(alive, largest, 1.0), 0.0)
    norm = np.sqrt(np.square(scaled).sum(axis=0) * sides[0] * sides[1] / len(centred))
    return np.rint(scaled / np.where(norm > 0, norm, 1.0) * QUANTA).astype(np.int32)


def _linear(parts: NDArray[np.int32]) -> Combine:
    addends = parts.astype(np.float64)
    return lambda labels: labels @ addends


def _delta(table: Floats, observed: Bools) -> Floats:
    """Shift over the pooled deviation between rows of one side, corrected after Hedges."""
    first, second = int(observed.sum()), int((~observed).sum())
    root = math.sqrt(1 / first + 1 / second)
    return np.asarray(_pooled_t(table, observed) * root * hedges_factor(len(table) - 2))


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
