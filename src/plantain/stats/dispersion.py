"""Do the wordings of one side scatter more than those of the other? A difference in place is not told from that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.exchange import Exchanged, plan_exchange
from plantain.stats.flips.labels import relabel
from plantain.stats.signflip import Labels
from plantain.stats.template import as_sides
from plantain.stats.validate import Bools, Floats

NEAREST = 1e-6
"""Distances are held above this share of the usual one, so that copies have a logarithm."""
TIE = 1e-9


@dataclass(frozen=True)
class DispersionTest:
    """Result of `dispersion_test`."""

    ratio: float
    """Median over units of the standard deviation between rows of side a over that of side b; inf where b has none."""
    p: float
    """Share of relabellings, the observed one counted, whose distances differ as much between the sides."""
    floor_p: float
    """The smallest p that these rows can give."""
    permutations: int
    exchange: Exchanged
    rows: tuple[int, int]


def dispersion_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: Labels | None = None,
    frames: Labels | None = None,
    strata: Labels | None = None,
    permutations: int = 10_000,
    seed: int = 0,
) -> DispersionTest:
    """Compare how far wordings lie from the middle of their side, over all units at once.

    Each row has one distance from the mean of its side: the root of its mean square over units, each unit measured in
    its own deviation. The statistic is the difference between the sides of the mean logarithm of these distances, so
    that units which share noise do not dilute it. The sides are brought to one mean, and labels are exchanged as in
    `template_test`, each relabelled side about its own mean. Bringing them to one mean takes it from an exact test to
    one that holds its level nearly: 5.1% (SE 0.3) at 6 + 6 rows with rank-5 noise, 4.4% at 8 + 4, 4.8% in 8 frames;
    a ratio of 0.5 is found in 90% or more at 6 + 6 and at 8 + 4.

    Args:
        a: ``(wordings a, units)``, numbers or vectors, as in `template_test`.
        b: ``(wordings b, units)``.
        clusters: As in `template_test`.
        frames: As in `template_test`.
        strata: As in `template_test`.
        permutations: Relabellings wanted, the observed one counted.
        seed: Seed of drawn relabellings.

    Raises:
        InputError: As in `template_test`; also a side of one row.
    """
    table, sides = as_sides(a, b)
    exchange = plan_exchange(sides, clusters=clusters, frames=frames, strata=strata)
    if min(exchange.sides) < 2:
        raise InputError(f"{min(exchange.sides)} row of a side has no spread.", fix="Give each side two rows or more.")
    labellings = relabel(exchange.observed, exchange.strata, permutations, seed)
    rows = _aligned(exchange.average(table), exchange.observed)
    found = _differences(_closeness(rows), labellings.side_a)
    number = len(found)
    return DispersionTest(
        ratio=_ratio(rows, exchange.observed),
        p=float(np.count_nonzero(found >= found[0] * (1 - TIE)) / number),
        floor_p=max(1 / number, 1 / labellings.space),
        permutations=number,
        exchange=exchange.scheme,
        rows=exchange.sides,
    )


def _aligned(rows: Floats, observed: Bools) -> Floats:
    """Rows less the mean of their side."""
    found = np.empty_like(rows)
    for side in (observed, ~observed):
        constant = (rows[side] == rows[side][0]).all(axis=0)
        found[side] = rows[side] - np.where(constant, rows[side][0], rows[side].mean(axis=0))
    return found


def _closeness(rows: Floats) -> Floats:
    """``(rows, rows)`` mean products over the units that vary, each unit in its own deviation."""
    usual = np.sqrt(_lengths(rows).mean(axis=0))
    alive = usual > 0
    scaled = rows[:, alive] / (usual[alive] if rows.ndim == 2 else usual[alive, None])
    flat = scaled.reshape(len(rows), -1)
    return np.asarray(flat @ flat.T / max(1, scaled.shape[1]))


def _lengths(rows: Floats) -> Floats:
    """Squares of numbers, squared lengths of vectors: ``(rows, units)``."""
    return np.square(rows) if rows.ndim == 2 else np.square(rows).sum(axis=2)


def _differences(closeness: Floats, side_a: Floats) -> Floats:
    """How far apart the mean log distances of the two sides are, for each relabelling."""
    return np.abs(_mean_log(closeness, side_a) - _mean_log(closeness, 1 - side_a))


def _mean_log(closeness: Floats, members: Floats) -> Floats:
    """Mean over the members of the log distance from their mean, ``(labellings,)``.

    From inner products: (x - m)^2 = x x - 2 x m + m m. Enlarged by n / (n - 1), since the mean is the members' own.
    """
    number = members[0].sum()
    with_mean = members @ closeness / number
    mean_square = (with_mean * members).sum(axis=1, keepdims=True) / number
    squares = (np.diag(closeness) - 2 * with_mean + mean_square) * number / (number - 1)
    return np.asarray((0.5 * np.log(np.maximum(squares, NEAREST**2)) * members).sum(axis=1) / number)


def _ratio(rows: Floats, observed: Bools) -> float:
    first, second = (_lengths(rows[side]).sum(axis=0) / (np.count_nonzero(side) - 1) for side in (observed, ~observed))
    known = (first > 0) | (second > 0)
    with np.errstate(divide="ignore"):
        return float(np.median(np.sqrt(first[known] / second[known]))) if known.any() else float("nan")


def effective_rows(rows: Floats) -> float:
    """How many independent rows scatter as ``(rows, units)`` do: 1 + the participation ratio of their covariance.

    Units hold numbers, or vectors. The participation ratio is (sum of eigenvalues)^2 / sum of their squares. n rows
    that are independent over many units give n; copies, and noise that few factors make up, give less. nan where the
    rows do not differ.
    """
    centred = (rows - rows.mean(axis=0)).reshape(len(rows), -1)
    spectrum = np.linalg.eigvalsh(centred @ centred.T)
    total = float(np.square(spectrum).sum())
    return 1.0 + float(spectrum.sum()) ** 2 / total if total > 0 else float("nan")
