"""What a public model card reports for a probe, beside what was measured here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plantain.errors import InputError
from plantain.report import wording
from plantain.report.data import Analysis, Result
from plantain.report.numbers import metric_rows
from plantain.yamlfile import read_yaml


@dataclass(frozen=True)
class Published:
    """One card's numbers under the metric names of plantain."""

    card: str
    model: str
    contrast: str
    analysis: str
    metrics: dict[str, float]
    prompts: str = ""
    """How the prompts here stand to the card's, in a sentence."""


@dataclass(frozen=True)
class Beside:
    """One metric: the card's number and ours."""

    label: str
    card: str
    here: str
    untrained: tuple[str, ...] = ()
    """The same of untrained versions of the model, in the order of :func:`untrained_names`."""


def read_published(root: Path, probe: str) -> list[Published]:
    """The cards of ``probe`` under ``reports/published/``, in order of file name."""
    found = []
    for path in sorted((root / "reports" / "published").glob("*.yaml")):
        data = read_yaml(path).data
        if isinstance(data, dict) and data.get("probe") == probe:
            found.append(_published(path, data))
    return found


def _published(path: Path, data: dict[str, Any]) -> Published:
    try:
        names = ("card", "model", "contrast", "analysis")
        fields = {name: str(data[name]) for name in names}
        return Published(**fields, metrics=dict(data["metrics"]), prompts=str(data.get("prompts", "")))
    except KeyError as error:
        fix = "add it; the other files of this folder show how."
        raise InputError("a card needs this field.", file=path, field=str(error.args[0]), fix=fix) from None


def beside(result: Result) -> list[tuple[Published, Analysis, list[Beside]]]:
    """Every card with the analysis that repeats its protocol; cards without one are left out."""
    found = []
    for card in read_published(result.root, result.probe):
        analysis = result.analysis(card.contrast, card.analysis)
        if analysis:
            found.append((card, analysis, _rows(card, analysis, _twins(result, analysis))))
    return found


def untrained_names(result: Result) -> list[str]:
    """The untrained versions of the result's model that were asked the same."""
    return list(result.verdict.untrained) if result.verdict else []


def _twins(result: Result, analysis: Analysis) -> list[Analysis]:
    """``analysis`` with the numbers of each untrained version; only the numbers are known of those."""
    told = result.verdict.untrained if result.verdict else {}
    kept = {"null": None}
    return [
        replace(analysis, summary=analysis.summary.model_copy(update={"metrics": by.get(analysis.contrast, {})} | kept))
        for by in told.values()
    ]


@dataclass(frozen=True)
class Row:
    """One metric: the card's number and that of every model."""

    label: str
    card: str
    models: list[str]
    """In the order of :attr:`Abreast.models`; a dash where a model has no such number."""


@dataclass(frozen=True)
class Abreast:
    """One card beside every model that was asked the same question by the same protocol."""

    card: Published
    probe: str
    models: list[Result]
    rows: list[Row]


def abreast(results: Sequence[Result]) -> list[Abreast]:
    """Every card of the results' probes beside the results; cards whose protocol no result repeats are left out."""
    found = []
    for probe in dict.fromkeys(result.probe for result in results):
        same = [result for result in results if result.probe == probe]
        for card in read_published(same[0].root, probe):
            models = [(result, a) for result in same if (a := result.analysis(card.contrast, card.analysis))]
            if models:
                rows = [_row(card, name, [analysis for _, analysis in models]) for name in _shared(card, models)]
                found.append(Abreast(card, probe, [result for result, _ in models], rows))
    return found


def _shared(card: Published, models: Sequence[tuple[Result, Analysis]]) -> list[str]:
    known = {row.name for _, analysis in models for row in metric_rows(analysis)}
    return [name for name in card.metrics if name in known]


def _row(card: Published, name: str, analyses: Sequence[Analysis]) -> Row:
    labels = [next((row.label for row in metric_rows(one) if row.name == name), "") for one in analyses]
    return Row(next(filter(None, labels)), _said(card, name), [_here(card, name, one) for one in analyses])


def _rows(card: Published, analysis: Analysis, twins: Sequence[Analysis]) -> list[Beside]:
    rows = [row for row in metric_rows(analysis) if row.name in card.metrics]
    order = list(card.metrics)
    rows.sort(key=lambda row: order.index(row.name))
    return [
        Beside(
            row.label,
            _said(card, row.name),
            _here(card, row.name, analysis),
            tuple(_here(card, row.name, twin) for twin in twins),
        )
        for row in rows
    ]


def _said(card: Published, name: str) -> str:
    value, share = wording.number(card.metrics[name], 4), card.metrics.get(f"{name}_fraction")
    return f"{value} ({wording.percent(share)})" if share else value


def _here(card: Published, name: str, analysis: Analysis) -> str:
    value = next((row.value for row in metric_rows(analysis) if row.name == name), wording.DASH)
    share, ours = card.metrics.get(f"{name}_fraction"), analysis.metrics.get(f"{name}_fraction")
    return f"{value} ({wording.percent(ours)})" if share and ours is not None else value
