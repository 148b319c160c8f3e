"""The metrics of one contrast by one analysis, under the names that metrics.json, the ledger and MLflow share."""

import numpy as np

from plantain.files import six_digits
from plantain.stats.findings import Findings

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
    numbers |= _effects_over(found, alive) | _reliability(found) | _bounds(found) | _template_level(found)
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


def _template_level(found: Findings) -> _Numbers:
    templates = found.templates
    if templates is None:
        return {}
    return {
        "selective_heads_lower_bound": templates.lower_bound,
        "template_count": templates.count,
        "template_count_p": templates.count_p,
        "template_simes_p": templates.simes_p,
        "template_floor_p": templates.floor_p,
        "delta": float(np.median(np.abs(templates.delta[np.isfinite(templates.delta)]))),
        "concept_information": templates.concept_information,
    }
