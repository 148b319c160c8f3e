"""What a public model card reports for a probe, beside what was measured here."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Beside:
    """One metric: the card's number and ours."""

    label: str
    card: str
    here: str


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
        return Published(data["card"], data["model"], data["contrast"], data["analysis"], dict(data["metrics"]))
    except KeyError as error:
        fix = "add it; the other files of this folder show how."
        raise InputError("a card needs this field.", file=path, field=str(error.args[0]), fix=fix) from None


def beside(result: Result) -> list[tuple[Published, Analysis, list[Beside]]]:
    """Every card with the analysis that repeats its protocol; cards without one are left out."""
    found = []
    for card in read_published(result.root, result.probe):
        analysis = result.analysis(card.contrast, card.analysis)
        if analysis:
            found.append((card, analysis, _rows(card, analysis)))
    return found


def _rows(card: Published, analysis: Analysis) -> list[Beside]:
    labels = {row.name: row for row in metric_rows(analysis)}
    rows = []
    for name, value in card.metrics.items():
        if name in labels:
            share = card.metrics.get(f"{name}_fraction")
            said = f"{wording.number(value, 4)} ({wording.percent(share)})" if share else wording.number(value, 4)
            ours = analysis.metrics.get(f"{name}_fraction")
            here = labels[name].value + (f" ({wording.percent(ours)})" if share and ours is not None else "")
            rows.append(Beside(labels[name].label, said, here))
    return rows
