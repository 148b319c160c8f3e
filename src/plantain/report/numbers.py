"""The metrics of an analysis as rows that people read: a label, a value, a remark."""

from collections.abc import Iterator
from dataclasses import dataclass

from plantain.report import wording
from plantain.report.data import Analysis


@dataclass(frozen=True)
class MetricRow:
    """One number with its remark."""

    name: str
    label: str
    value: str
    note: str = ""


_LABELS = {
    "pairs": "pairs (items)", "units": "units", "alive_units": "units with any difference", "max_abs_t": "largest |t|",
    "split_half_r": "split-half r, median", "effect": "median absolute effect", "heads_over_d08": "over |d| 0.8",
}  # fmt: skip
_FOLDED = ("_fraction", "_q25", "_q75")


def metric_rows(analysis: Analysis) -> list[MetricRow]:
    """Every metric; fractions and quartiles stand as remarks beside the number that they belong to."""
    return list(_rows(analysis))


def _rows(analysis: Analysis) -> Iterator[MetricRow]:
    m = analysis.metrics
    order = list(_LABELS)
    for name in sorted(m, key=lambda key: (order.index(key) if key in order else len(order), key)):
        if not name.endswith(_FOLDED):
            yield MetricRow(name, _label(name, analysis), _value(name, m[name]), _note(name, analysis))


def _label(name: str, analysis: Analysis) -> str:
    if name in _LABELS:
        return _LABELS[name]
    noun = wording.units_noun(analysis)
    for key in ("t3", "t5"):
        known = {
            f"heads_over_{key}": f"{noun} with |t| over {key[1]}", f"null_mean_{key}": f"null mean, |t| over {key[1]}",
            f"null_p99_{key}": f"null p99, |t| over {key[1]}",
            f"observed_over_null_p99_{key}": f"observed / null p99, |t| over {key[1]}",
        }  # fmt: skip
        if name in known:
            return known[name]
    return name.replace("_", " ")


def _value(name: str, value: float) -> str:
    return wording.fixed(value, 3) if name == "split_half_r" else wording.number(value)


def _note(name: str, analysis: Analysis) -> str:
    m = analysis.metrics
    if f"{name}_fraction" in m:
        return f"{wording.percent(m[f'{name}_fraction'])} of the units with any difference"
    if name == "split_half_r" and "split_half_r_q25" in m:
        return f"quartiles {wording.fixed(m['split_half_r_q25'], 3)} to {wording.fixed(m.get('split_half_r_q75'), 3)}"
    if name.startswith("observed_over_null"):
        return wording.RATIO_NOTE if analysis.name == "card" else ""
    if name.startswith("null_p99"):
        null = analysis.summary.null
        interval = null.p99_interval.get(name.removeprefix("null_p99_")) if null else None
        return f"interval {wording.interval_phrase(interval)}" if interval else ""
    if name == "effect":
        return wording.measure_phrase(analysis)
    return ""
