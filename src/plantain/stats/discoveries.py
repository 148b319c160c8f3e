"""Simultaneous lower bounds on true discoveries from sign flips of items."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from plantain.errors import InputError
from plantain.stats.bounds import Calibration, Family, UnitSet, calibrate
from plantain.stats.flips import STORED_FLIPS, draw_flips
from plantain.stats.quantise import quantise
from plantain.stats.signflip import Labels
from plantain.stats.validate import Floats, Ints, as_differences, as_groups


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
        family: ``linear`` (default) or ``beta``, see `plantain.stats.bounds.Family`.
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
    table = as_differences(differences)
    scores = quantise(table, as_groups(blocks, len(table), "block"))
    alive = np.asarray((table != 0).any(axis=0))
    parts = scores.parts[:, alive].astype(np.float64)
    wanted = 1 << (len(parts) - 1) if flips == "exact" else flips
    if wanted > STORED_FLIPS:
        raise InputError(f"{wanted} flips are too many to calibrate.", fix="Ask for at most 1000000.", field="flips")
    drawn = draw_flips(len(parts), wanted, seed=seed)

    def rows(size: int) -> Iterator[Floats]:
        for start in range(0, len(drawn), size):
            yield drawn.signs(start, start + size) @ parts

    return calibrate(rows, alive, scores.freedom, Family(family, shift, int(alive.sum())), confidence)
