"""How many units look skewed where nothing is: what normal differences so few and so correlated give."""

import math

import numpy as np

from plantain.stats.effects import skewed_shares
from plantain.stats.flips.draw import random_stream
from plantain.stats.validate import Floats

DRAWS = 100
CONFIDENCE = 0.95
BLOCK_VALUES = 32_768
"""Values of one temporary: small enough for the second-level cache."""
MOST_UNITS = 1000
"""Units that are simulated, evenly spaced; the share of so many is that of all within a fraction of a percent."""
MOST_ITEMS = 256
"""Items that are simulated: the score of a unit is standard normal for any number, and how scores vary together depends
on the correlation of the units."""


def healthy_share(differences: Floats, *, draws: int = DRAWS, seed: int = 0) -> float:
    """The share of skewed units that normal differences exceed once in twenty.

    D'Agostino's test flags 5% of the units of normal data on average. Units that vary together are flagged together, so
    that the share itself scatters widely: with five effective dimensions it is over 10% in every ninth data set of 30
    items (`tests/stats/test_skewed.py`). Normal differences with the number of items, 256 at most, and the correlation
    of the observed ones are therefore drawn anew: random weights times the observed differences less their mean.

    Args:
        differences: ``(items, units)``.
        draws: Simulated data sets.
        seed: Of the draws.

    Returns:
        The ceil(0.95 draws)-th smallest share; nan where no unit can be assessed.
    """
    units = differences.shape[1]
    chosen = differences[:, np.linspace(0, units - 1, min(units, MOST_UNITS)).astype(np.int64)]
    centred = chosen - chosen.mean(axis=0)
    stream = random_stream(seed, 5)
    shape = min(len(differences), MOST_ITEMS), len(differences)
    together = max(1, BLOCK_VALUES // (shape[0] * max(shape[1], centred.shape[1])))
    sizes = (min(together, draws - start) for start in range(0, draws, together))
    shares = np.concatenate([skewed_shares(_normal(stream, (size, *shape)) @ centred) for size in sizes])
    return float(np.sort(shares)[int(np.ceil(CONFIDENCE * draws)) - 1])


def _normal(stream: np.random.Philox, shape: tuple[int, int, int]) -> Floats:
    """Standard normal weights, ``(draws, rows, items)``, the same on every platform."""
    from scipy.special import ndtri

    words = stream.random_raw(math.prod(shape)) >> np.uint64(11)
    return np.asarray(ndtri((words.astype(np.float64) + 0.5) / 2.0**53)).reshape(shape)
