"""Many units at once: step-down max-T, false discovery rates, and counts over a threshold when signs are flipped."""

from dataclasses import dataclass

import numpy as np

from plantain.stats.flips.quantise import ceil_rank
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


def holm(p: Floats) -> Floats:
    """p-values of several probes, adjusted so that with 95% confidence none below 0.05 is a false one (Holm 1979).

    Args:
        p: ``(probes,)``.

    Returns:
        ``(probes,)`` adjusted p-values in the same order.
    """
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(raised, 1.0)
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


SHOWN_QUANTILE = 0.99
INTERVAL = 0.95


@dataclass(frozen=True)
class CountNull:
    """Null counts over each threshold, ``(thresholds,)`` each; the identity is in `p` and in nothing else."""

    p: Floats
    """Share of flips, the identity counted, that reach the observed count."""
    mean: Floats
    p99: Floats
    """The ceil(.99 B')-th smallest of the B' flips that are not the identity; no interpolation."""
    p99_interval: Floats
    """``(thresholds, 2)``: 95% order-statistic interval of `p99`; inf where the flips are too few to bound it."""


def count_null(counts: Ints, *, exact: bool) -> CountNull:
    """Null counts from a table ``(flips, thresholds)``, row 0 the identity."""
    top = int(counts.max(initial=0)) + 1
    histogram = np.stack([np.bincount(column, minlength=top) for column in counts.T]) if counts.shape[1] else None
    return histogram_null(np.zeros((0, top), np.int64) if histogram is None else histogram, counts[0], exact=exact)


def histogram_null(histogram: Ints, observed: Ints, *, exact: bool) -> CountNull:
    """Null counts from histograms ``(thresholds, counts)`` of all flips, the identity counted.

    Args:
        histogram: How many flips have 0, 1, 2, ... units over each threshold.
        observed: ``(thresholds,)`` counts of the identity.
        exact: Every flip was counted, so that `p99` has no sampling error.
    """
    values = np.arange(histogram.shape[1])
    reached = np.where(values >= observed[:, None], histogram, 0).sum(axis=1)
    others = histogram - (values == observed[:, None])
    number = int(others[0].sum()) if len(others) else 0
    ranks = (number, number) if exact else quantile_ranks(number, SHOWN_QUANTILE, INTERVAL)
    middle = _ranked(others, ceil_rank(SHOWN_QUANTILE, number))
    ends = [middle, middle] if exact else [_ranked(others, rank) for rank in ranks]
    return CountNull(
        p=reached / np.maximum(histogram.sum(axis=1), 1),
        mean=(others * values).sum(axis=1) / number if number else np.full(len(others), np.nan),
        p99=middle,
        p99_interval=np.stack(ends, axis=1),
    )


def quantile_ranks(number: int, quantile: float, confidence: float) -> tuple[int, int]:
    """Ranks, from 1, of the order statistics that bound a quantile.

    The number of draws below the quantile is binomial, so that P(x_(low) <= quantile <= x_(high)) >= confidence
    whatever the distribution. Rank 0 or number + 1 means that the draws are too few to bound that side.
    """
    from scipy.special import bdtr

    tail = (1.0 - confidence) / 2.0
    below = bdtr(np.arange(number + 1, dtype=np.float64), number, quantile)
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1.0 - tail, side="left")) + 1
    return low, min(high, number + 1)


def _ranked(histogram: Ints, rank: int) -> Floats:
    """The rank-th smallest value, ``(thresholds,)``; rank 0 is 0 counts, a rank beyond the last is inf."""
    cumulative = np.cumsum(histogram, axis=1)
    if cumulative.size == 0 or cumulative[0, -1] == 0:
        return np.full(len(histogram), np.nan)
    values: Floats = (cumulative < rank).sum(axis=1).astype(np.float64)
    values[rank > cumulative[:, -1]] = np.inf
    return values
