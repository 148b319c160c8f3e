"""The item-level test: do these sentences differ, and in which units?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantain.errors import InputError
from plantain.stats.counting import Counted, Flips, build_query, count_flips
from plantain.stats.effects import Effects, paired_effects
from plantain.stats.multiplicity import q_values, step_down
from plantain.stats.nulls import CountNull, count_null, histogram_null
from plantain.stats.outcome import Alternative, SignFlipTest
from plantain.stats.quantise import quantise
from plantain.stats.symmetry import Symmetry, symmetry
from plantain.stats.validate import Floats, Ints, as_differences, as_groups, as_thresholds

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
        f"{blocks} independent signs allow {counted.space} flips, of which {counted.flips} were counted:"
        f" the smallest attainable p is {counted.smallest_p:.3g}, above the level {level:g}."
    )
    warnings.warn(sentence, ResolutionWarning, stacklevel=3)
    return (sentence,)
