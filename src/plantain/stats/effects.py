"""How large an effect is: mean, t, d_z, Hedges g_z and its interval, in two-pass float64; and how skewed it is."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from plantain.stats.flips.quantise import group_sums
from plantain.stats.validate import Bools, Floats, Ints


@dataclass(frozen=True)
class Effects:
    """Effects of every unit, ``(units,)`` each; nan for dead units."""

    mean_difference: Floats
    """Mean over items, in the measure's own units; 0 for dead units."""
    t: Floats
    """Student's t of the items; infinite for a constant non-zero difference."""
    d_z: Floats
    """Mean over standard deviation (n - 1) of the items, or of block means where items share blocks."""
    alive: Bools
    """Some difference is not exactly 0."""
    degenerate: Bools
    """All differences are equal and not 0."""
    sample: int
    """Items, or blocks where items share them: the n of `d_z`."""

    @property
    def correction(self) -> float:
        """Hedges' small-sample factor J at n - 1 degrees of freedom; 0.974 at n = 30."""
        return hedges_factor(self.sample - 1)

    @cached_property
    def g_z(self) -> Floats:
        """d_z without its small-sample bias (Hedges 1981)."""
        return self.d_z * self.correction

    @cached_property
    def interval(self) -> Floats:
        """``(units, 2)``: pointwise 95% interval of the standardised mean difference."""
        return standardised_interval(self.d_z, self.sample)


def paired_effects(differences: Floats, groups: Ints) -> Effects:
    """Effects of differences ``(items, units)`` whose items fall into groups ``(items,)`` that share one sign."""
    alive = np.asarray((differences != 0).any(axis=0))
    constant = np.asarray((differences == differences[0]).all(axis=0))
    mean, d_item = _standardise(differences, constant)
    sizes = np.bincount(groups)
    if len(sizes) == len(groups):
        d_z = d_item
    else:
        means = group_sums(differences, groups) / sizes[:, None]
        d_z = _standardise(means, np.asarray((means == means[0]).all(axis=0)))[1]
    return Effects(
        mean_difference=mean,
        t=np.where(alive, d_item * math.sqrt(len(differences)), np.nan),
        d_z=np.where(alive, d_z, np.nan),
        alive=alive,
        degenerate=alive & constant,
        sample=len(sizes),
    )


def _standardise(values: Floats, constant: Bools) -> tuple[Floats, Floats]:
    """Mean, and mean over standard deviation; where all values are equal the deviation is exactly 0."""
    rows = len(values)
    mean = np.where(constant, values[0], values.mean(axis=0))
    if rows == 1:
        return mean, np.full(mean.shape, np.nan)
    deviation = np.sqrt(np.square(values - mean).sum(axis=0) / (rows - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, mean / deviation


def hedges_factor(freedom: int) -> float:
    """J = Gamma(df/2) / (sqrt(df/2) Gamma((df-1)/2)), Hedges 1981; nan below 2 degrees of freedom."""
    if freedom < 2:
        return math.nan
    half = freedom / 2
    return math.exp(math.lgamma(half) - math.lgamma(half - 0.5)) / math.sqrt(half)


def standardised_interval(d: Floats, sample: int, confidence: float = 0.95) -> Floats:
    """Interval of the population's mean over standard deviation, by inverting the noncentral t distribution.

    d * sqrt(n) is noncentral t with noncentrality delta * sqrt(n) when pairs are independent and normal (Steiger and
    Fouladi 1997). Pointwise: it does not hold for units that were chosen by rank.

    Args:
        d: ``(units,)`` standardised mean differences; nan and infinite ones get nan.
        sample: The n they come from.
        confidence: Coverage.

    Returns:
        ``(units, 2)``: lower and upper limits.
    """
    limits = np.full((len(d), 2), np.nan)
    known = np.isfinite(d)
    if sample < 2 or not known.any():
        return limits
    from scipy.special import nctdtrinc

    root = math.sqrt(sample)
    # The noncentral t is symmetric under (t, nc) -> (-t, -nc); the inversion is best conditioned for t >= 0.
    size, sign = np.abs(d[known]) * root, np.where(d[known] < 0, -1.0, 1.0)
    tail = (1.0 - confidence) / 2.0
    near, far = (nctdtrinc(float(sample - 1), p, size) / root for p in (1.0 - tail, tail))
    limits[known, 0] = np.where(sign > 0, near, -far)
    limits[known, 1] = np.where(sign > 0, far, -near)
    return limits


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
    skewness = _skewness(differences)
    z = _score(skewness, len(differences))
    skewed = _beyond(z, level)
    return Symmetry(skewness, z, skewed, float(_share(skewed, z)), level)


def skewed_shares(tables: Floats, level: float = 0.05) -> Floats:
    """The share that `symmetry` finds in each of tables ``(tables, items, units)``; nan where no unit is assessed."""
    z = _score(_skewness(tables), tables.shape[1])
    return _share(_beyond(z, level), z)


def _skewness(differences: Floats) -> Floats:
    """Third standardised moment over items, the last axis but one."""
    items = differences.shape[-2]
    centred = differences - differences.mean(axis=-2, keepdims=True)
    squared = np.square(centred)
    square, cube = squared.mean(axis=-2), (squared * centred).mean(axis=-2)
    varied = np.ptp(differences, axis=-2) > 0
    skewness = np.full(square.shape, np.nan)
    if items >= SMALLEST_SAMPLE:
        np.divide(cube, square**1.5, out=skewness, where=varied & (square > 0))
    return skewness


def _beyond(z: Floats, level: float) -> Bools:
    from scipy.special import ndtri

    return np.asarray(np.abs(z) > -ndtri(level / 2))


def _share(skewed: Bools, z: Floats) -> Floats:
    """Of the units assessed, the last axis."""
    with np.errstate(invalid="ignore"):
        return np.asarray(skewed.sum(axis=-1) / np.isfinite(z).sum(axis=-1))


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
