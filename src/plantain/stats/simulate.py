"""Data sets whose truth is known, to see whether the tests keep their word."""

import numpy as np

from plantain.stats.validate import Floats

Random = np.random.Generator


def independent(random: Random, items: int, units: int) -> Floats:
    """Normal differences ``(items, units)``, nothing shared and no effect."""
    return random.standard_normal((items, units))


def factors(random: Random, items: int, units: int, loading: float = 0.8, number: int = 5) -> Floats:
    """Normal differences of unit variance ``(items, units)`` whose units share `number` factors.

    Args:
        random: Source of numbers.
        items: Rows.
        units: Columns.
        loading: Square root of the share of variance that the factors carry.
        number: Factors; random unit-length weights a unit.
    """
    weights = random.standard_normal((number, units))
    weights /= np.sqrt(np.square(weights).sum(axis=0))
    shared = random.standard_normal((items, number)) @ weights
    values: Floats = loading * shared + np.sqrt(1 - loading**2) * random.standard_normal((items, units))
    return values


def clustered(random: Random, blocks: int, size: int, units: int, correlation: float = 0.5) -> Floats:
    """Differences ``(blocks * size, units)`` of items that share a template: correlated within blocks, no effect."""
    shared = np.repeat(random.standard_normal((blocks, units)), size, axis=0)
    own = random.standard_normal((blocks * size, units))
    values: Floats = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return values


def skewed(random: Random, items: int, units: int) -> Floats:
    """Centred exponential differences: mean 0, but not symmetric about it, so outside the sign-flip null."""
    return random.standard_exponential((items, units)) - 1.0


def heavy_tailed(random: Random, items: int, units: int) -> Floats:
    """Student t differences with 3 degrees of freedom: symmetric, but far from normal."""
    return random.standard_t(3.0, (items, units))


def sentences(random: Random, templates: int, items: int, units: int, ratio: float = 3.0) -> Floats:
    """Measures ``(templates, items, units)`` of templates that each have a shift of their own, and no concept.

    Args:
        random: Source of numbers.
        templates: Wordings, of both sides.
        items: Items put into every wording.
        units: Columns; template shifts follow `factors`.
        ratio: Standard deviation of template shifts over that of template-by-item noise.
    """
    shift = ratio * factors(random, templates, units)
    item = random.standard_normal((items, units))
    return shift[:, None] + item + random.standard_normal((templates, items, units))
