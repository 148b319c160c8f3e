"""What a number would be by chance, as far as the records of a result say; empty where they say nothing."""

from plantain.report import words as wording
from plantain.report.columns import GLUE
from plantain.report.result import Analysis, Result

_COUNTS = {"heads_over_t3": "t3", "heads_over_t5": "t5"}


def chance(name: str, analysis: Analysis, result: Result) -> str:
    """What stands for chance beside the metric ``name`` of an analysis; alternatives are set apart by commas."""
    if name in _COUNTS:
        return ", ".join(text for text in (_flips(_COUNTS[name], analysis), _twins(name, analysis, result)) if text)
    if name == "split_half_r":
        return _said("p of sign flips", analysis.summary.split_half.null_p)
    if name == "selective_heads_lower_bound":
        said = (_p(analysis, "template_simes_p", "p"), _p(analysis, "template_floor_p", "smallest possible p"))
        return ", ".join(text for text in said if text)
    if name == "heads_differ_lower_bound":
        return _p(analysis, "count_p_t3", "p of the count over 3")
    return _information(analysis, result) if name == "concept_information" else ""


def _flips(threshold: str, analysis: Analysis) -> str:
    """Units over the threshold when whole pairs change their sign."""
    null = analysis.summary.null
    mean = null.mean.get(threshold)
    p99 = wording.p99_phrase(analysis, threshold)
    known = [f"null mean {wording.number(mean, 2)}"] if mean is not None else []
    return ", ".join(_glued(text) for text in [*known, *([f"null p99 {p99}"] if p99 else [])])


def _twins(name: str, analysis: Analysis, result: Result) -> str:
    """The same of untrained versions of the model, by the published protocol."""
    if result.verdict is None or analysis.name != "card":
        return ""
    told = []
    for model, contrasts in result.verdict.untrained.items():
        metrics = contrasts.get(analysis.contrast, {})
        if name in metrics:
            share = metrics.get(f"{name}_fraction")
            of = f" ({wording.percent(float(share))})" if share is not None else ""
            told.append(_glued(f"{model} {wording.number(float(metrics[name]))}{of}"))
    return ", ".join(told)


def _p(analysis: Analysis, metric: str, said: str) -> str:
    return _said(said, analysis.metrics.get(metric))


def _said(said: str, value: float | None) -> str:
    return "" if value is None else _glued(f"{said} {wording.number(value, 2)}")


def _information(analysis: Analysis, result: Result) -> str:
    """Of untrained draws and of the prompts alone; measured for the contrast that the verdict rests on."""
    verdict = result.verdict
    if verdict is None or (verdict.contrast, verdict.analysis) != (analysis.contrast, analysis.name):
        return ""
    told = verdict.information
    rows = (("re-initialised draws", told.reinit), ("shuffled draws", told.shuffle), ("prompts alone", told.text))
    return ", ".join(_glued(f"{said} {wording.number(value)}") for said, value in rows if value is not None)


def _glued(text: str) -> str:
    return text.replace(" ", GLUE)
