"""Are differences symmetric enough for a sign-flip null?"""

from dataclasses import dataclass

import numpy as np

from plantain.stats.validate import Bools, Floats

SMALLEST_SAMPLE = 8
"""D'Agostino's approximation needs 8 observations."""


@dataclass(frozen=True)
class Symmetry:
    """Skewness of the differences of every unit.

    The sign-flip null says that a difference is symmetric about 0. A mean of 0 is not enough: centred exponential
    differences made 99.5% of nulls look significant. A share near `level` is what symmetric normal differences give;
    heavy tails raise it too.
    """

    skewness: Floats
    """``(units,)`` third standardised moment; nan where it has no meaning (dead, constant, fewer than 8 items)."""
    z: Floats
    """``(units,)`` D'Agostino's (1970) normal score of the skewness."""
    skewed: Bools
    """``(units,)``: |z| beyond the two-sided normal quantile of `level`."""
    share: float
    """Skewed units among those assessed; nan where none is."""
    level: float


def symmetry(differences: Floats, level: float = 0.05) -> Symmetry:
    """Skewness of differences ``(items, units)`` and the share of units where it is too large for normal ones."""
    from scipy.special import ndtri

    items, units = differences.shape
    centred = differences - differences.mean(axis=0)
    square, cube = np.square(centred).mean(axis=0), (centred**3).mean(axis=0)
    varied = np.ptp(differences, axis=0) > 0
    skewness = np.full(units, np.nan)
    if items >= SMALLEST_SAMPLE:
        np.divide(cube, square**1.5, out=skewness, where=varied & (square > 0))
    z = _score(skewness, items)
    skewed = np.asarray(np.abs(z) > -ndtri(level / 2))
    assessed = int(np.isfinite(z).sum())
    return Symmetry(skewness, z, skewed, skewed.sum() / assessed if assessed else float("nan"), level)


def _score(skewness: Floats, items: int) -> Floats:
    """D'Agostino 1970: a Johnson S_U transformation of the sample skewness to a normal score."""
    if items < SMALLEST_SAMPLE:
        return skewness
    n = float(items)
    scaled = skewness * np.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    kurtosis = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    w2 = np.sqrt(2 * (kurtosis - 1)) - 1
    score: Floats = np.arcsinh(scaled / np.sqrt(2 / (w2 - 1))) / np.sqrt(0.5 * np.log(w2))
    return score
