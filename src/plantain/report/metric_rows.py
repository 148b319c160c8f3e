"""The metrics of an analysis as rows that people read: a label, a value, a remark."""

from collections.abc import Iterator
from dataclasses import dataclass

from plantain.report import words as wording
from plantain.report.result import Analysis


@dataclass(frozen=True)
class MetricRow:
    """One number with its remark."""

    name: str
    label: str
    value: str
    note: str = ""


_COUNTS = ("heads_over", "null_mean", "null_p99", "observed_over_null_p99", "count_p")
_LABELS = {
    "pairs": "pairs (items)", "units": "units", "alive_units": "units with any difference",
    **{f"{name}_{key}": "" for key in ("t3", "t5") for name in _COUNTS},
    "heads_over_d08": "over |d| 0.8", "max_abs_t": "largest |t|", "effect": "median absolute effect",
    "heads_differ_lower_bound": "differ between these sentences, at least", "heads_fwer": "differ, each one certain",
    "split_half_r": "split-half r, median", "split_half_r_spearman_brown": "split-half r for all items",
    "split_half_r_null_p": "split-half r, p", "selective_heads_lower_bound": "beyond rewording, at least",
    "template_count": "|t| over wordings above 3", "template_count_p": "|t| over wordings above 3, p",
    "template_simes_p": "beyond rewording, p (Simes)",
    "template_floor_p": "beyond rewording, smallest p that so few wordings allow",
    "delta": "median |δ|: difference in units of the spread of wordings",
    "concept_information": "separation of the sides, nats a head", "skewed_fraction": "share with skewed differences",
}  # fmt: skip
"""Metrics in the order in which people read them. Counts are labelled by what is counted."""

_NOTES = {
    "heads_differ_lower_bound": "95% confidence, all units at once",
    "heads_fwer": "p against the largest of all, at 5%",
    "selective_heads_lower_bound": "95%: heads that separate the sides by magnitude more than rewording does",
    "split_half_r_spearman_brown": "Spearman and Brown's correction for half the items",
}  # fmt: skip
_FOLDED = ("_fraction", "_q25", "_q75")


def metric_rows(analysis: Analysis) -> list[MetricRow]:
    """Every metric; fractions and quartiles stand as remarks beside the number that they belong to."""
    return list(_rows(analysis))


def _rows(analysis: Analysis) -> Iterator[MetricRow]:
    m = analysis.metrics
    order = list(_LABELS)
    for name in sorted(m, key=lambda key: (order.index(key) if key in order else len(order), key)):
        if not any(name.endswith(end) and name.removesuffix(end) in m for end in _FOLDED):
            yield MetricRow(name, _label(name, analysis), _value(name, m[name]), _note(name, analysis))


def _label(name: str, analysis: Analysis) -> str:
    if _LABELS.get(name):
        return _LABELS[name]
    noun = wording.units_noun(analysis)
    for key in ("t3", "t5"):
        known = {
            f"heads_over_{key}": f"{noun} with |t| over {key[1]}", f"null_mean_{key}": f"null mean, |t| over {key[1]}",
            f"null_p99_{key}": f"null p99, |t| over {key[1]}",
            f"observed_over_null_p99_{key}": f"observed / null p99, |t| over {key[1]}",
            f"count_p_{key}": f"p of the count over {key[1]}",
        }  # fmt: skip
        if name in known:
            return known[name]
    return name.replace("_", " ")


def _value(name: str, value: float) -> str:
    if name == "skewed_fraction":
        return wording.percent(value)
    return wording.fixed(value, 3) if name.startswith("split_half_r") else wording.number(value)


def _note(name: str, analysis: Analysis) -> str:
    m = analysis.metrics
    if f"{name}_fraction" in m:
        return f"{wording.percent(m[f'{name}_fraction'])} of the units with any difference"
    if name == "split_half_r" and "split_half_r_q25" in m:
        return f"quartiles {wording.fixed(m['split_half_r_q25'], 3)} to {wording.fixed(m.get('split_half_r_q75'), 3)}"
    if name.startswith("observed_over_null") and analysis.name == "card":
        return wording.RATIO_NOTE
    if name.startswith("null_p99"):
        return _interval(name.removeprefix("null_p99_"), analysis)
    return wording.measure_phrase(analysis) if name == "effect" else _NOTES.get(name, "")


def _interval(threshold: str, analysis: Analysis) -> str:
    null = analysis.summary.null
    interval = null.p99_interval.get(threshold) if null else None
    return f"interval {wording.interval_phrase(interval)}" if interval else ""
