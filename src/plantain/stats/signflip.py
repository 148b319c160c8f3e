"""The item-level test: do these sentences differ, and in which units?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantain.base.errors import InputError
from plantain.stats.effects import Effects, Symmetry, paired_effects, symmetry
from plantain.stats.flips.counting import Counted, Flips, build_query, count_flips
from plantain.stats.flips.draw import spelled
from plantain.stats.flips.quantise import quantise
from plantain.stats.multiplicity import (
    CountNull,
    count_bound,
    count_null,
    histogram_count_bound,
    histogram_null,
    q_values,
    step_down,
)
from plantain.stats.validate import Bools, Floats, Ints, as_differences, as_groups, as_thresholds

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
    """Distinct flips; two-sided: up to a global sign. Of any size: a float ends at 2^1023."""
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


Labels = Sequence[object] | NDArray[np.generic]


class ResolutionWarning(UserWarning):
    """The flips cannot give a p-value as small as the level asked for."""


def sign_flip_test(
    differences: ArrayLike,
    *,
    flips: Flips = 10_000,
    unique: bool = True,
    blocks: Labels | None = None,
    thresholds: Sequence[float] = (3.0, 5.0),
    alternative: Alternative = "two-sided",
    seed: int = 0,
    level: float = 0.05,
    items: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> SignFlipTest:
    """Test every unit's differences for symmetry about 0 by flipping signs.

    Args:
        differences: ``(items, units)`` paired differences.
        flips: Flips to count, the identity among them, or ``"exact"`` for all. All are counted whenever the flips
            that are distinct up to a global sign, 2^(blocks - 1), are at most this many.
        unique: No flip twice. False: the published protocol, the identity and draws with replacement.
        blocks: ``(items,)`` labels; items of one label share one sign. Default: each item its own.
        thresholds: Preset thresholds on |t| (two-sided) or on t in the direction of the alternative; strict.
        alternative: ``two-sided``, ``greater`` (above 0) or ``less``.
        seed: Seed of the drawn flips.
        level: A warning is raised where the smallest attainable p exceeds this.
        items: Names of the items, for messages.
        units: Names of the units, for messages.
        device: A torch device to count on; None for NumPy or Numba. The results are the same bytes.
        threads: Threads to count on; the results are the same bytes.

    Raises:
        InputError: Values that are not finite (item and unit named), fewer than two items, labels that do not fit.

    Warns:
        ResolutionWarning: The smallest attainable p exceeds `level`.
    """
    if alternative not in ("two-sided", "greater", "less"):
        raise InputError(f"There is no alternative {alternative!r}.", fix="Use two-sided, greater or less.")
    table = as_differences(differences, items, units)
    groups, limits = as_groups(blocks, len(table), "block"), as_thresholds(thresholds)
    effects = paired_effects(table, groups)
    scores = quantise(-table if alternative == "less" else table, groups)
    query, order = build_query(scores, effects.alive, limits, signed=alternative != "two-sided")
    counted = count_flips(query, flips, unique=unique, seed=seed, device=device, threads=threads)
    warned = _warn(counted, level, effects.sample)
    return _outcome(counted, order, Frame(effects, limits, alternative, len(table), symmetry(table), warned))


@dataclass(frozen=True)
class Frame:
    """What a test result holds besides the counts over flips."""

    effects: Effects
    limits: Floats
    alternative: Alternative
    items: int
    symmetry: Symmetry
    warnings: tuple[str, ...]


def _outcome(counted: Counted, order: Ints, frame: Frame) -> SignFlipTest:
    units = len(frame.effects.alive)
    p, p_fwer = np.full(units, np.nan), np.full(units, np.nan)
    p[order] = counted.hits / counted.flips
    p_fwer[order] = step_down(counted.steps, counted.flips)
    observed, null = _null(counted)
    return SignFlipTest(
        effects=frame.effects,
        p=p,
        p_fwer=p_fwer,
        q_bh=q_values(p),
        q_by=q_values(p, dependent=True),
        thresholds=tuple(frame.limits.tolist()),
        alternative=frame.alternative,
        observed=observed,
        null=null,
        null_counts=counted.counts,
        count_histogram=counted.histogram,
        flips=counted.flips,
        exact=counted.exact,
        items=frame.items,
        blocks=frame.effects.sample,
        flip_space=counted.space,
        smallest_p=counted.smallest_p,
        symmetry=frame.symmetry,
        warnings=frame.warnings,
    )


def _null(counted: Counted) -> tuple[Ints, CountNull]:
    observed = counted.observed
    if counted.counts is not None:
        return observed, count_null(counted.counts.astype(np.int64), exact=counted.exact)
    histogram = counted.histogram if counted.histogram is not None else np.zeros((0, 1), np.int64)
    return observed, histogram_null(histogram, observed, exact=counted.exact)


def _warn(counted: Counted, level: float, blocks: int) -> tuple[str, ...]:
    if counted.smallest_p <= level:
        return ()
    sentence = (
        f"{blocks} independent signs allow {spelled(counted.space)} flips, of which {counted.flips} were counted:"
        f" the smallest attainable p is {counted.smallest_p:.3g}, above the level {level:g}."
    )
    warnings.warn(sentence, ResolutionWarning, stacklevel=3)
    return (sentence,)
