"""What a sign-flip test returns."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plantain.stats.effects import Effects
from plantain.stats.multiplicity import count_bound, histogram_count_bound
from plantain.stats.nulls import CountNull
from plantain.stats.symmetry import Symmetry
from plantain.stats.validate import Bools, Floats, Ints

Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True)
class SignFlipTest:
    """Result of `sign_flip_test`; per-unit arrays are ``(units,)`` and nan for dead units."""

    effects: Effects
    p: Floats
    """Share of flips, the identity counted, whose score reaches the observed one; never 0."""
    p_fwer: Floats
    """Step-down max-T (Westfall and Young 1993)."""
    q_bh: Floats
    """Benjamini and Hochberg."""
    q_by: Floats
    """Benjamini and Yekutieli."""
    thresholds: tuple[float, ...]
    alternative: Alternative
    observed: Ints
    """``(thresholds,)``: units over each threshold."""
    null: CountNull
    null_counts: NDArray[np.int32] | None
    """``(flips, thresholds)``, row 0 the identity; None beyond 10^6 flips."""
    count_histogram: Ints | None
    """``(thresholds, alive units + 1)``: how many flips have 0, 1, ... units over; beyond 10^6 flips only."""
    flips: int
    """Flips counted, the identity among them."""
    exact: bool
    """Every flip of the space was counted once."""
    items: int
    blocks: int
    """Signs that flip on their own: the items, or the blocks they share."""
    flip_space: int
    """Distinct flips; two-sided: up to a global sign."""
    smallest_p: float
    """The smallest p-value that these flips can give."""
    symmetry: Symmetry
    warnings: tuple[str, ...]

    @property
    def t(self) -> Floats:
        """Student's t over items."""
        return self.effects.t

    @property
    def d_z(self) -> Floats:
        """Standardised mean difference (of block means where there are blocks)."""
        return self.effects.d_z

    @property
    def g_z(self) -> Floats:
        """d_z with Hedges' correction."""
        return self.effects.g_z

    @property
    def g_low(self) -> Floats:
        """Lower 95% limit of the standardised mean difference, pointwise."""
        return self.effects.interval[:, 0]

    @property
    def g_high(self) -> Floats:
        """Upper 95% limit of the standardised mean difference, pointwise."""
        return self.effects.interval[:, 1]

    @property
    def mean_difference(self) -> Floats:
        """Mean difference in the measure's own units."""
        return self.effects.mean_difference

    @property
    def alive(self) -> Bools:
        """Units with some difference that is not 0."""
        return self.effects.alive

    @property
    def degenerate(self) -> Bools:
        """Units with one constant non-zero difference: t is infinite, p comes from the flips."""
        return self.effects.degenerate

    @property
    def count_p(self) -> Floats:
        """``(thresholds,)``: p of the number of units over each threshold."""
        return self.null.p

    @property
    def null_mean(self) -> Floats:
        """``(thresholds,)``: mean count over the flips that are not the identity."""
        return self.null.mean

    @property
    def null_p99(self) -> Floats:
        """``(thresholds,)``: 99th percentile of the count over the flips that are not the identity."""
        return self.null.p99

    @property
    def null_p99_interval(self) -> Floats:
        """``(thresholds, 2)``: 95% interval of `null_p99` for its Monte Carlo error."""
        return self.null.p99_interval

    @cached_property
    def max_abs_t(self) -> float:
        """Largest |t| of the alive units whose difference is not constant; nan where there is none."""
        known = np.abs(self.t[self.alive & ~self.degenerate])
        return float(known.max()) if known.size else float("nan")

    def count_lower_bound(self, confidence: float = 0.95) -> Ints:
        """At least so many of the units over each threshold truly differ, all thresholds at once.

        Hemerik and Goeman 2018, see `plantain.stats.multiplicity.count_bound`. Thresholds must be fixed beforehand.
        """
        if self.null_counts is not None:
            return count_bound(self.null_counts.astype(np.int64), confidence)
        if self.count_histogram is None:
            return np.zeros(len(self.thresholds), np.int64)
        return histogram_count_bound(self.count_histogram, self.observed, confidence)
