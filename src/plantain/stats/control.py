"""Does a concept differ more than the same words do where they change no picture?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from plantain.base.errors import InputError
from plantain.stats.bounds import Calibration
from plantain.stats.template import template_test
from plantain.stats.validate import as_rows

LEAST_PAIRS: Final = 4
"""Differences a side; 3 + 3 allow no p below 0.1."""


@dataclass(frozen=True)
class ControlTest:
    """Result of `control_test`."""

    simes_p: float
    """Is there a unit in which the target's differences are others than the control's?"""
    lower_bound: int
    """With the confidence asked for, at least so many units are."""
    floor_p: float
    """The smallest p that these frames can give: 1/35 for 4 + 4, 1/126 for 5 + 5, 1/462 for 6 + 6."""
    rows: tuple[int, int]
    """Frames of the target and of the control."""
    calibration: Calibration


def control_test(
    target: ArrayLike, control: ArrayLike, *, permutations: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> ControlTest:
    """Compare the differences that a concept makes with those that its words make elsewhere.

    A row is the signed difference a - b of one frame, or of one pair of clusters. Null hypothesis: target and control
    are labels that can be exchanged among frames, so that the words do all that is done. It is `template_test` on
    these differences; frames of unequal number are studentised. A control whose differences scatter less than the
    target's is no fair one: `dispersion_test` tells.

    Args:
        target: ``(frames, units)`` differences a - b where the words change the picture; or of vectors, as in
            `template_test`.
        control: ``(frames, units)`` differences a - b, of the same words in the same order, where they do not.
        permutations: Relabellings wanted, the observed one counted.
        confidence: Confidence of the lower bound.
        seed: Seed of drawn relabellings.

    Raises:
        InputError: Fewer than `LEAST_PAIRS` frames of either, values that are not finite, or other units.
    """
    rows = as_rows(target, "frame", vectors=True), as_rows(control, "frame", vectors=True)
    fewest = min(len(side) for side in rows)
    if fewest < LEAST_PAIRS:
        raise InputError(
            f"{fewest} frames are too few: {LEAST_PAIRS} of the target and of the control are needed.",
            fix="Add frames.",
        )
    test = template_test(
        *rows,
        clusters=np.arange(len(rows[0]) + len(rows[1])),
        permutations=permutations,
        confidence=confidence,
        seed=seed,
    )
    return ControlTest(test.simes_p, test.lower_bound, test.floor_p, test.rows, test.calibration)
