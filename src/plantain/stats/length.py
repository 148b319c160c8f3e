"""Can a difference be separated from the difference in length? Mostly not, and then no number is made up.

Where one wording is longer than the other by the same number of tokens for every item, length and effect are the same
column of the design. A least-squares routine still returns an intercept there, by sharing the effect between two equal
columns; that number means nothing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from plantain.errors import InputError
from plantain.stats.trend import slopes
from plantain.stats.validate import as_differences

LARGEST_LEVERAGE: Final = 9.0
"""n mean^2 / sum (x - mean)^2 of the length difference; beyond it an intercept extrapolates too far."""
NOT_IDENTIFIABLE: Final = "not identifiable"


@dataclass(frozen=True)
class LengthAdjustment:
    """Units over a threshold before and after the difference in length is taken out."""

    fewest: float
    """Smallest difference in tokens over the items, side a minus side b."""
    most: float
    count: int
    """Units with |t| over the threshold, unadjusted."""
    adjusted: int | None
    """None where the adjustment is not identifiable."""

    @property
    def said(self) -> str:
        """The adjusted count in words."""
        return NOT_IDENTIFIABLE if self.adjusted is None else str(self.adjusted)


def adjust_for_length(differences: ArrayLike, tokens: ArrayLike, *, threshold: float = 3.0) -> LengthAdjustment:
    """Count units whose mean difference remains when the difference in tokens is held at 0.

    Args:
        differences: ``(items, units)``.
        tokens: ``(items,)`` tokens of side a minus those of side b.
        threshold: Preset threshold on |t|.

    Raises:
        InputError: Values that are not finite, or lengths that do not fit the items.
    """
    table, length = as_differences(differences), np.asarray(tokens, dtype=np.float64)
    if length.shape != (len(table),):
        raise InputError(f"There are {length.size} lengths for {len(table)} items.", fix="Give one number an item.")
    ones = np.ones(len(table))
    plain = int(np.count_nonzero(np.abs(slopes(table, ones, np.zeros((len(table), 0)))) > threshold))
    adjusted = None
    if not length.any():
        adjusted = plain
    elif _identifiable(length) and len(table) > 2:
        adjusted = int(np.count_nonzero(np.abs(slopes(table, ones, length[:, None])) > threshold))
    return LengthAdjustment(float(length.min()), float(length.max()), plain, adjusted)


def _identifiable(length: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    spread = float(np.square(length - length.mean()).sum())
    return spread > 0 and len(length) * float(length.mean()) ** 2 <= LARGEST_LEVERAGE * spread
