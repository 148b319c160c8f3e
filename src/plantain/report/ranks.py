"""Ranks and their correlation. SciPy's are the same, and take longer to import than a figure to draw."""

import numpy as np


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the first axis, ties sharing their average, of shape (rows,) or (rows, columns).

    A column that holds NaN has no ranks: NaN throughout, as `scipy.stats.rankdata` has it.
    """
    if values.ndim > 1:
        return np.stack([average_ranks(column) for column in values.T], axis=1)
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.where(np.isnan(values).any(), np.nan, (below + upto + 1) / 2)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two series without NaN, (rows,) each."""
    return float(np.corrcoef(average_ranks(a), average_ranks(b))[0, 1])
