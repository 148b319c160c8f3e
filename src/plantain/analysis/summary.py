"""One analysis of one contrast in numbers and sentences.

The metrics have the names that metrics.json, the ledger and MLflow share; the sentences claim no more than they
support; and summary.json holds blocks, the null and the split halves besides.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantain.analysis.findings import Findings
from plantain.base.files import defined, six_digits
from plantain.base.least import LEAST_WORDINGS
from plantain.measure.views import block_sets
from plantain.records.summary import BlockRow, SignFlipNull, SplitHalves
from plantain.stats import TemplateTest
from plantain.stats.flips.draw import spelled
from plantain.stats.skewed import healthy_share

SKEWED = 0.05
"""Share of skewed units that normal differences have on average; up to there no more is asked."""


def sentences_of(found: Findings) -> list[str]:
    """Guarantees in words, item level first."""
    test, percent = found.flips, f"{100 * found.params.confidence:g}%"
    noun = "heads" if found.params.unit == "head" else "groups of 16 channels"
    alive = int(test.alive.sum())
    said = [
        f"{int(test.observed[0])} of {alive} {noun} exceed |t| {found.params.thresholds[0]:g}: "
        "the two sides' sentences differ for these items. This says nothing of a concept."
    ]
    if found.bounds is not None:
        said.append(
            f"With {percent} confidence at least {found.bounds.everywhere} of these {alive} {noun} differ "
            "between these sentences."
        )
    if found.templates is not None:
        said.append(
            f"With {percent} confidence at least {found.templates.lower_bound} of these {alive} {noun} separate the "
            "two sets of wordings more than wordings differ within them."
        )
    return said


def warnings_of(found: Findings) -> list[str]:
    """What a reader must know before trusting the numbers."""
    warned = list(found.flips.warnings)
    dead = int((~found.flips.alive).sum())
    if dead:
        warned.append(
            f"{dead} units do not respond at all (every difference is 0); they are left out of all fractions."
        )
    excluded = int((~found.included).sum())
    if excluded:
        unit = found.units["unit"].to_numpy()[~found.included][0]
        warned.append(f"{excluded} units have no finite measure for some item, first unit {unit}; they are left out.")
    warned += _skewed(found)
    if not found.params.unique:
        warned.append("Counts over the null's p99 rest on few flips and are not comparable between runs.")
    if found.splits is None:
        warned.append("Split halves: not tested; each half needs at least 2 items.")
    if found.templates is None and found.params.permutations:
        warned.append(f"Template level: not tested; a side needs at least {LEAST_WORDINGS} independent templates.")
    return warned


def _skewed(found: Findings) -> list[str]:
    """A warning where more units are skewed than in normal differences, so few and so correlated, once in twenty."""
    share = found.flips.symmetry.share
    if not share > SKEWED or share <= (healthy := healthy_share(found.differences[:, found.included])):
        return []
    return [
        f"{100 * share:.0f}% of the units have skewed differences, and at most {100 * healthy:.0f}% would with normal "
        "ones so few and so correlated; sign-flip p-values are then too small."
    ]


_Numbers = dict[str, float | None]


def metrics_of(found: Findings) -> dict[str, float]:
    """Every metric that exists, to 6 significant digits; a ratio over a zero null is absent, never infinite."""
    test = found.flips
    alive = int(test.alive.sum())
    numbers: _Numbers = {
        "units": found.included.size,
        "alive_units": alive,
        "pairs": found.differences.shape[0],
        "max_abs_t": test.max_abs_t,
        "effect": _effect(found),
        "skewed_fraction": test.symmetry.share,
    }
    for index, threshold in enumerate(found.params.thresholds):
        numbers |= _counts(found, index, f"t{threshold:g}", alive)
    numbers |= _effects_over(found, alive) | _reliability(found) | _bounds(found)
    return known_numbers(numbers | ({} if found.templates is None else template_level_of(found.templates)))


def known_numbers(numbers: Mapping[str, float | None]) -> dict[str, float]:
    """The numbers that exist, to 6 significant digits."""
    known = {name: value for name, value in numbers.items() if value is not None and np.isfinite(value)}
    return {name: value if isinstance(value, int) else six_digits(value) for name, value in known.items()}


def effect_name(threshold: float) -> str:
    """``d08`` for 0.8."""
    return "d" + f"{threshold:.1f}".replace(".", "")


def _effect(found: Findings) -> float:
    mean = found.differences[:, found.included].mean(axis=0)
    return float(np.median(np.abs(mean[found.flips.alive])))


def _counts(found: Findings, index: int, name: str, alive: int) -> _Numbers:
    test = found.flips
    observed, mean, p99 = int(test.observed[index]), float(test.null_mean[index]), float(test.null_p99[index])
    return {
        f"heads_over_{name}": observed,
        f"heads_over_{name}_fraction": observed / alive if alive else None,
        f"null_mean_{name}": mean,
        f"null_p99_{name}": p99,
        f"observed_over_null_p99_{name}": observed / p99 if p99 > 0 else None,
        f"count_p_{name}": float(test.count_p[index]),
    }


def _effects_over(found: Findings, alive: int) -> _Numbers:
    size = np.abs(found.flips.d_z[found.flips.alive])
    over = int((size > found.params.effect_threshold).sum())
    name = f"heads_over_{effect_name(found.params.effect_threshold)}"
    return {name: over, f"{name}_fraction": over / alive if alive else None}


def _reliability(found: Findings) -> _Numbers:
    split = found.splits
    if split is None:
        return {}
    return {
        "split_half_r": split.median,
        "split_half_r_q25": split.q25,
        "split_half_r_q75": split.q75,
        "split_half_r_spearman_brown": split.spearman_brown,
        "split_half_r_null_p": split.null_p,
    }


def _bounds(found: Findings) -> _Numbers:
    if found.bounds is None:
        return {}
    named = found.flips.p_fwer[found.flips.alive] <= 1 - found.params.confidence
    return {"heads_differ_lower_bound": found.bounds.everywhere, "heads_fwer": int(named.sum())}


def template_level_of(templates: TemplateTest) -> dict[str, float | None]:
    """The numbers of a wording-level test."""
    return {
        "selective_heads_lower_bound": templates.lower_bound,
        "template_count": templates.count,
        "template_count_p": templates.count_p,
        "template_simes_p": templates.simes_p,
        "template_floor_p": templates.floor_p,
        "delta": float(np.median(np.abs(templates.delta[np.isfinite(templates.delta)]))),
        "concept_information": templates.concept_information,
    }


def blocks_of(found: Findings) -> list[BlockRow]:
    """A row a block, as in the cards' table of top blocks, with the lower bound of truly differing units."""
    rows, seen = [], found.units["stream"].to_numpy()
    for index, (labels, members) in enumerate(block_sets(found.units)):
        bound = None if found.bounds is None else found.bounds.blocks[index]
        streams = sorted(set(seen[members].tolist()))
        rows.append(_block(found, labels, "+".join(streams), members[found.included] & found.flips.alive, bound))
    return rows


def _block(
    found: Findings, labels: Mapping[str, Any], stream: str, chosen: NDArray[np.bool_], bound: int | None
) -> BlockRow:
    size = np.abs(found.flips.t[chosen])
    finite = size[np.isfinite(size)]
    return BlockRow(
        block_kind=labels["block_kind"],
        block=labels["block"],
        part=labels["part"],
        stream=stream,
        units=int(chosen.sum()),
        max_abs_t=six_digits(float(finite.max())) if finite.size else None,
        over_t3=int((size > found.params.thresholds[0]).sum()),
        median_abs_d=_median(np.abs(found.flips.d_z[chosen])),
        median_abs_effect=_median(np.abs(found.differences[:, found.included].mean(axis=0)[chosen])),
        lower_bound=bound,
    )


def _median(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return six_digits(float(np.median(finite))) if finite.size else None


def null_of(found: Findings) -> SignFlipNull:
    """The sign-flip null: how many flips of how many there are, and its mean and p99 with the Monte Carlo interval.

    ``flip_space`` is a number where a float holds it, up to 2^1023 (1,024 independent items), and beyond that the text
    ``2^n``: always a power of 2, so exact either way. Mean and p99 are null where the identity is the only flip.
    """
    test = found.flips
    names = [f"t{threshold:g}" for threshold in found.params.thresholds]
    intervals = [[defined(end) for end in interval] for interval in test.null_p99_interval]
    return SignFlipNull(
        flips=test.flips,
        exact=test.exact,
        flip_space=_space(test.flip_space),
        smallest_p=test.smallest_p,
        mean=dict(zip(names, map(_finite, test.null_mean), strict=True)),
        p99=dict(zip(names, map(_finite, test.null_p99), strict=True)),
        p99_interval=dict(zip(names, intervals, strict=True)),
    )


def _space(flips: int) -> float | str:
    return float(flips) if flips.bit_length() <= sys.float_info.max_exp else spelled(flips)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def split_of(found: Findings) -> SplitHalves:
    """Split-half reliability, its r per split included; no r and nulls where the items are too few to be halved."""
    split = found.splits
    if split is None:
        return SplitHalves(
            r=[], median=None, q25=None, q75=None, spearman_brown=None, jackknife_interval=None, null_p=None
        )
    interval = split.jackknife_interval
    return SplitHalves(
        r=[defined(value) for value in split.r],
        median=defined(split.median),
        q25=defined(split.q25),
        q75=defined(split.q75),
        spearman_brown=defined(split.spearman_brown),
        jackknife_interval=None if interval is None else [defined(end) for end in interval],
        null_p=defined(split.null_p),
    )
