"""What the counts over a threshold look like when signs are flipped."""

from dataclasses import dataclass

import numpy as np

from plantain.stats.quantise import ceil_rank
from plantain.stats.validate import Floats, Ints

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
