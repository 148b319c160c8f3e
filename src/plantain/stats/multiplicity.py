"""Many units at once: step-down max-T, false discovery rates, and a bound on a count."""

import numpy as np

from plantain.stats.quantise import ceil_rank
from plantain.stats.validate import Bools, Floats, Ints, check_fraction


def step_down(steps: Ints, flips: int) -> Floats:
    """Family-wise adjusted p-values from successive maxima.

    Westfall and Young 1993, algorithm 2.8: units in ascending order of the observed score; a unit's count is the number
    of flips whose maximum over it and all lesser units reaches its score; adjusted p-values never fall as scores fall.

    Args:
        steps: ``(units,)`` such counts in ascending order of the observed score.
        flips: How many flips were counted, the identity among them.

    Returns:
        ``(units,)`` adjusted p-values in the same order.
    """
    adjusted: Floats = np.maximum.accumulate(steps[::-1] / flips)[::-1]
    return adjusted


def q_values(p: Floats, *, dependent: bool = False) -> Floats:
    """Adjusted p-values for the false discovery rate; nan stays nan and is not counted.

    Args:
        p: ``(units,)`` p-values.
        dependent: Benjamini and Yekutieli 2001 (any dependence) instead of Benjamini and Hochberg 1995.
    """
    known = np.flatnonzero(~np.isnan(p))
    adjusted = np.full(p.shape, np.nan)
    if known.size == 0:
        return adjusted
    order = known[np.argsort(p[known], kind="stable")]
    ranks = np.arange(1, known.size + 1)
    factor = float(np.sum(1.0 / ranks)) if dependent else 1.0
    raised = p[order] * known.size / ranks * factor
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return adjusted


def count_bound(counts: Ints, confidence: float) -> Ints:
    """At least so many of the units over a threshold are true, each threshold read on its own.

    Hemerik and Goeman 2018: R - Q, with R the observed count and Q the ceil(confidence * B)-th smallest count over all
    B flips, the identity among them. For several thresholds at once the error is shared: each is read at
    1 - (1 - confidence) / thresholds.

    Args:
        counts: ``(flips, thresholds)``, row 0 the identity.
        confidence: Probability that all bounds hold.
    """
    flips, thresholds = counts.shape
    share = shared_confidence(confidence, thresholds)
    rank = ceil_rank(share, flips) - 1
    bound: Ints = np.maximum(counts[0] - np.sort(counts, axis=0)[rank], 0).astype(np.int64)
    return bound


def histogram_count_bound(histogram: Ints, observed: Ints, confidence: float) -> Ints:
    """`count_bound` from a histogram ``(thresholds, units + 1)`` of the counts of all flips."""
    share = shared_confidence(confidence, len(histogram))
    cumulative = np.cumsum(histogram, axis=1)
    rank = np.array([ceil_rank(share, int(total)) for total in cumulative[:, -1]], dtype=np.int64)
    quantile = (cumulative < rank[:, None]).sum(axis=1)
    bound: Ints = np.maximum(observed - quantile, 0).astype(np.int64)
    return bound


def shared_confidence(confidence: float, thresholds: int) -> float:
    """The confidence at which each of several thresholds is read (Bonferroni)."""
    return 1.0 - (1.0 - check_fraction(confidence, "confidence")) / max(thresholds, 1)


def spread(values: Floats, alive: Bools) -> Floats:
    """Values of the alive units at their places among all units, nan at the others."""
    full = np.full(alive.shape, np.nan)
    full[alive] = values
    return full
