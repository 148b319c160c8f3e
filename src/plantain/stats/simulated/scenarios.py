"""Data whose truth is known, and the tests that have to keep their word on them."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from plantain.stats.bounds import Calibration, item_calibration
from plantain.stats.signflip import ResolutionWarning, sign_flip_test
from plantain.stats.splithalf import split_half
from plantain.stats.template import template_test
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
    """Differences ``(blocks * size, units)`` of items that share a scene: correlated within blocks, no effect."""
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
    """Measures ``(wordings, items, units)`` of wordings that each have a shift of their own, and no concept.

    Args:
        random: Source of numbers.
        templates: Wordings, of both sides.
        items: Items put into every wording.
        units: Columns; wording shifts follow `factors`.
        ratio: Standard deviation of wording shifts over that of wording-by-item noise.
    """
    shift = ratio * factors(random, templates, units)
    item = random.standard_normal((items, units))
    return shift[:, None] + item + random.standard_normal((templates, items, units))


LEVEL = 0.05
UNITS = 100
FLIPS = 200
STRATA = (0, 0, 1, 1, 2, 2) * 2
TOP = (5, 10, 20, 50, 100)
"""Sizes of sets chosen after looking, by smallest p."""

Outcome = Mapping[str, float]


@dataclass(frozen=True)
class Rule:
    """What a rate over data sets must be."""

    kind: Literal["at most", "above", "at least"]
    """at most: the test keeps its level. above: it cannot, and plantain says so. at least: effects are found."""
    rate: float


NOMINAL = Rule("at most", LEVEL)
KNOWN = Rule("above", LEVEL)


@dataclass(frozen=True)
class Scenario:
    """One kind of data set, what is computed on it, and the rule for each number."""

    name: str
    datasets: int
    draw: Callable[[Random], Outcome]
    rules: Mapping[str, Rule]


def fresh(random: Random) -> int:
    """A seed: the promise is over the draw of the flips, so every data set draws its own."""
    return int(random.integers(1 << 31))


def item_null(values: Floats, seed: int) -> Outcome:
    """Everything that may wrongly find an effect in item differences without one."""
    test = sign_flip_test(values, flips=FLIPS, thresholds=(2.0,), seed=seed)
    return {
        "max-T p <= 5%": float(np.nanmin(test.p_fwer) <= LEVEL),
        "count p <= 5%": float(test.count_p[0] <= LEVEL),
        "count bound > 0": float(test.count_lower_bound()[0] > 0),
        "linear bound > 0": float(item_calibration(values, flips=FLIPS, seed=seed).lower_bound() > 0),
        "units with p <= 5%": float(np.mean(test.p <= LEVEL)),
    }


def _one_sided(random: Random) -> Outcome:
    test = sign_flip_test(factors(random, 16, UNITS), flips=FLIPS, alternative="greater", seed=fresh(random))
    return {
        "one-sided max-T p <= 5%": float(np.nanmin(test.p_fwer) <= LEVEL),
        "one-sided units with p <= 5%": float(np.mean(test.p <= LEVEL)),
    }


def _clustered(random: Random) -> Outcome:
    values, blocks = clustered(random, 8, 3, UNITS), np.repeat(np.arange(8), 3)
    apart = sign_flip_test(values, flips=FLIPS, thresholds=(2.0,), seed=fresh(random))
    whole = sign_flip_test(values, flips=FLIPS, thresholds=(2.0,), blocks=blocks)
    bound = item_calibration(values, flips=FLIPS, blocks=blocks).lower_bound()
    return {
        "without blocks: max-T p <= 5%": float(np.nanmin(apart.p_fwer) <= LEVEL),
        "with blocks: max-T p <= 5%": float(np.nanmin(whole.p_fwer) <= LEVEL),
        "with blocks: count p <= 5%": float(whole.count_p[0] <= LEVEL),
        "with blocks: linear bound > 0": float(bound > 0),
    }


def _skewed(random: Random) -> Outcome:
    test = sign_flip_test(skewed(random, 24, UNITS), flips=FLIPS, seed=fresh(random))
    return {
        "max-T p <= 5%": float(np.nanmin(test.p_fwer) <= LEVEL),
        "units flagged as skewed": test.symmetry.share,
    }


def _split_half(random: Random) -> Outcome:
    result = split_half(factors(random, 16, UNITS), splits=11, flips=60, seed=fresh(random))
    return {"split-half p <= 5%": float(result.null_p <= LEVEL), "median r > 0.1": float(result.median > 0.1)}


def _no_concept(random: Random) -> Outcome:
    values = sentences(random, 12, 10, UNITS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        items = sign_flip_test(values[0] - values[6], flips=FLIPS)
    means = values.mean(axis=1)
    test = template_test(means[:6], means[6:], strata=STRATA)
    return {
        "items: max-T p <= 5%": float(np.nanmin(items.p_fwer) <= LEVEL),
        "wordings: count p <= 5%": float(test.count_p <= LEVEL),
        "wordings: Simes p <= 5%": float(test.simes_p <= LEVEL),
        "wordings: bound > 0": float(test.lower_bound > 0),
    }


def overstated(calibration: Calibration, planted: int) -> float:
    """1 where the bound of any set exceeds its true discoveries, the first `planted` units being the true ones."""
    ranked = np.argsort(calibration.p, kind="stable")
    true = np.cumsum(ranked < planted)
    sets = [(ranked[:size], int(true[size - 1])) for size in TOP if size <= len(true)]
    return float(any(calibration.lower_bound(units) > number for units, number in sets))


def _planted_items(random: Random) -> Outcome:
    values = factors(random, 16, UNITS)
    values[:, :20] += 1.2
    seed = fresh(random)
    test = sign_flip_test(values, flips=FLIPS, seed=seed)
    calibration = item_calibration(values, flips=FLIPS, seed=seed)
    return {
        "any bound too high": overstated(calibration, 20),
        "unplanted unit with max-T p <= 5%": float(np.nanmin(test.p_fwer[20:]) <= LEVEL),
        "linear bound > 0": float(calibration.lower_bound() > 0),
    }


def _planted_templates(random: Random) -> Outcome:
    means = factors(random, 12, UNITS)
    means[:6, :10] += 2.5
    test = template_test(means[:6], means[6:], strata=STRATA)
    return {"any bound too high": overstated(test.calibration, 10), "Simes p <= 5%": float(test.simes_p <= LEVEL)}


def _all(rule: Rule, *names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


_ITEM_RULES = _all(
    NOMINAL, "max-T p <= 5%", "count p <= 5%", "count bound > 0", "linear bound > 0", "units with p <= 5%"
)
_WITH_BLOCKS = _all(
    NOMINAL, "with blocks: max-T p <= 5%", "with blocks: count p <= 5%", "with blocks: linear bound > 0"
)
_OVER_WORDINGS = _all(NOMINAL, "wordings: count p <= 5%", "wordings: Simes p <= 5%", "wordings: bound > 0")
_PLANTED = _all(NOMINAL, "any bound too high")

SCENARIOS = (
    Scenario("independent units", 3_000, lambda r: item_null(independent(r, 16, UNITS), fresh(r)), _ITEM_RULES),
    Scenario("units that share factors", 3_000, lambda r: item_null(factors(r, 16, UNITS), fresh(r)), _ITEM_RULES),
    Scenario("heavy tails", 3_000, lambda r: item_null(heavy_tailed(r, 16, UNITS), fresh(r)), _ITEM_RULES),
    Scenario(
        "one-sided, shared factors",
        3_000,
        _one_sided,
        _all(NOMINAL, "one-sided max-T p <= 5%", "one-sided units with p <= 5%"),
    ),
    Scenario("items that share a scene", 3_000, _clustered, {"without blocks: max-T p <= 5%": KNOWN, **_WITH_BLOCKS}),
    Scenario("skewed differences", 1_000, _skewed, _all(KNOWN, "max-T p <= 5%", "units flagged as skewed")),
    Scenario("split halves of noise", 1_500, _split_half, {"split-half p <= 5%": NOMINAL, "median r > 0.1": KNOWN}),
    Scenario("sentences without a concept", 2_000, _no_concept, {"items: max-T p <= 5%": KNOWN, **_OVER_WORDINGS}),
    Scenario(
        "effects in items",
        1_500,
        _planted_items,
        {**_PLANTED, "unplanted unit with max-T p <= 5%": NOMINAL, "linear bound > 0": Rule("at least", 0.8)},
    ),
    Scenario("concepts in wordings", 1_500, _planted_templates, {**_PLANTED, "Simes p <= 5%": Rule("at least", 0.8)}),
)
