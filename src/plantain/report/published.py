"""What a public model card reports for a probe, beside what was measured here."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from plantain.base import places
from plantain.base.params import within
from plantain.base.yaml import Key, YamlFile, read_yaml
from plantain.report import words as wording
from plantain.report.metric_rows import metric_rows
from plantain.report.result import Analysis, Result


@dataclass(frozen=True)
class Published:
    """One card's numbers under the metric names of plantain, as they are printed: 0.740 is not 0.74."""

    card: str
    probe: str
    model: str
    contrast: str
    analysis: str
    printed: dict[str, str]
    """Metric to the digits on the card."""
    prompts: str = ""
    """How the prompts here stand to the card's, in a sentence."""
    blocks: tuple[dict[str, str], ...] = ()
    """Rows of the card's table of blocks, numbers as printed."""
    claims: dict[str, str] = field(default_factory=dict)
    """What the card says of its prompts."""
    source: YamlFile | None = field(default=None, repr=False, compare=False)
    """Where all this stands, for messages."""

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics as numbers."""
        return {name: float(text) for name, text in self.printed.items()}

    def number(self, name: str) -> float | None:
        """A metric, or None where the card does not give it."""
        return float(self.printed[name]) if name in self.printed else None


@dataclass(frozen=True)
class BesideRow:
    """One metric: the card's number and that of every model."""

    label: str
    card: str
    models: list[str]
    """In the order in which the models are named beside it; a dash where a model has no such number."""


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")

_COUNT, _WHOLE, _SHARE = "[0, 1e15]", "[1, 1e15]", "[0, 1]"

_METRICS = {
    "pairs": _WHOLE,
    "units": _WHOLE,
    "*_fraction": _SHARE,
    "heads_over_*": _COUNT,
    "observed_over_null_*": "[0, inf)",
    "null_*": "[0, inf)",
    "max_abs_t": "[0, inf)",
    "split_half_r*": "[-1, 1]",
    "*": "(-inf, inf)",
}
"""The interval of every metric; the first pattern that fits holds. Counts are whole numbers."""

_BLOCK = {
    "block": _COUNT,
    "max_abs_t": "[0, inf)",
    "over_t3": _COUNT,
    "units": _WHOLE,
    "median_abs_d": "[0, inf)",
}

_CLAIMS = {"substituted_words": _WHOLE}

_LIKE = "the other files of this folder show how."


def read_cards(folder: Path) -> list[Published]:
    """Every card under ``folder``, in order of file name.

    Raises:
        InputError: a file is no card; names file, line, field and fix.
    """
    return [read_card(path) for path in sorted(folder.glob("*.yaml"))]


def read_published(root: Path, probe: str) -> list[Published]:
    """The cards of ``probe`` under ``reports/published/``, in order of file name."""
    return [card for card in read_cards(root / places.PUBLISHED) if card.probe == probe]


def read_card(path: Path) -> Published:
    """One card, every number in the interval that its meaning leaves it.

    Raises:
        InputError: it is no card; names file, line, field and fix.
    """
    source = read_yaml(path)
    data = source.printed()
    if not isinstance(data, dict):
        raise source.error("this is no card.", fix=_LIKE)
    names = ("card", "probe", "model", "contrast", "analysis")
    texts = {name: _text(source, data, name) for name in names}
    printed = _mapping(source, data, "metrics")
    _check_numbers(source, printed, _METRICS, "metrics")
    claims = _mapping(source, data, "claims") if data.get("claims") else {}
    _check_numbers(source, claims, _CLAIMS, "claims")
    blocks = tuple(_blocks(source, data.get("blocks") or []))
    prompts = _text(source, data, "prompts") if "prompts" in data else ""
    return Published(**texts, printed=printed, prompts=prompts, blocks=blocks, claims=claims, source=source)


def _text(source: YamlFile, data: dict[str, Any], name: str) -> str:
    found = data.get(name)
    if not isinstance(found, str) or not found.strip():
        problem = "a card needs this field." if name not in data else "one line of text is needed here."
        raise source.error(problem, name, fix=f"add it; {_LIKE}" if name not in data else _LIKE)
    return found


def _mapping(source: YamlFile, data: dict[str, Any], name: str) -> dict[str, str]:
    found = data.get(name)
    if not isinstance(found, dict) or not found:
        problem = "a card needs this field." if name not in data else "`name: value` lines are needed here."
        raise source.error(problem, name, fix=_LIKE)
    return found


def _blocks(source: YamlFile, rows: Any) -> Iterator[dict[str, str]]:
    if not isinstance(rows, list):
        raise source.error("a list of blocks is needed here.", "blocks", fix=_LIKE)
    for index, row in enumerate(rows):
        known = row if isinstance(row, dict) else {}
        for name in ("block_kind", *_BLOCK):
            if name not in known:
                raise source.error(f"a block needs `{name}`.", "blocks", index, name, fix=f"add `{name}:` to this row.")
        if known["block_kind"] not in ("joint", "single"):
            raise source.error("this is no kind of block.", "blocks", index, "block_kind", fix="use joint or single.")
        _check_numbers(source, known, _BLOCK, "blocks", index)
        yield known


def _check_numbers(source: YamlFile, texts: dict[str, Any], intervals: dict[str, str], *keys: Key) -> None:
    """Every number of a kind that is known lies in its interval, and counts are whole."""
    for name, text in texts.items():
        interval = next((span for pattern, span in intervals.items() if fnmatchcase(name, pattern)), None)
        if interval is None:
            continue
        if not isinstance(text, str) or not _NUMBER.fullmatch(text):
            shown = repr(text) if isinstance(text, str) else "a list or mapping"
            fix = "write it with digits and a decimal point alone: 8263, 0.506."
            raise source.error(f"{shown} is not a number.", *keys, name, fix=fix)
        value = float(text)
        if not within(value, interval):
            raise source.error(f"{text} lies outside {interval}.", *keys, name, fix="use what the card prints.")
        if interval in (_COUNT, _WHOLE) and not value.is_integer():
            raise source.error(f"{text} is not a whole number.", *keys, name, fix="use what the card prints.")


def beside(result: Result) -> list[tuple[Published, Analysis, list[BesideRow]]]:
    """Every card with the analysis that repeats its protocol, and rows of the result, then of its untrained versions.

    Cards without such an analysis are left out.
    """
    found = []
    for card in read_published(result.root, result.probe):
        analysis = result.analysis(card.contrast, card.analysis)
        if analysis:
            analyses = [analysis, *_twins(result, analysis)]
            found.append((card, analysis, [_row(card, name, analyses) for name in _shared(card, [analysis])]))
    return found


def untrained_names(result: Result) -> list[str]:
    """The untrained versions of the result's model that were asked the same."""
    return list(result.verdict.untrained) if result.verdict else []


def _twins(result: Result, analysis: Analysis) -> list[Analysis]:
    """``analysis`` with the numbers of each untrained version; only the numbers are known of those."""
    told = result.verdict.untrained.values() if result.verdict else []
    known = [{"metrics": metrics.get(analysis.contrast, {}), "null": None} for metrics in told]
    return [replace(analysis, summary=analysis.summary.model_copy(update=numbers)) for numbers in known]


@dataclass(frozen=True)
class Abreast:
    """One card beside every model that was asked the same question by the same protocol."""

    card: Published
    probe: str
    models: list[Result]
    rows: list[BesideRow]


def abreast(results: Sequence[Result]) -> list[Abreast]:
    """Every card of the results' probes beside the results; cards whose protocol no result repeats are left out."""
    found = []
    for probe in dict.fromkeys(result.probe for result in results):
        same = [result for result in results if result.probe == probe]
        for card in read_published(same[0].root, probe):
            models = [(result, a) for result in same if (a := result.analysis(card.contrast, card.analysis))]
            if models:
                analyses = [analysis for _, analysis in models]
                rows = [_row(card, name, analyses) for name in _shared(card, analyses)]
                found.append(Abreast(card, probe, [result for result, _ in models], rows))
    return found


def _shared(card: Published, analyses: Sequence[Analysis]) -> list[str]:
    known = {row.name for analysis in analyses for row in metric_rows(analysis)}
    return [name for name in card.metrics if name in known]


def _row(card: Published, name: str, analyses: Sequence[Analysis]) -> BesideRow:
    labels = [next((row.label for row in metric_rows(one) if row.name == name), "") for one in analyses]
    return BesideRow(next(filter(None, labels)), _said(card, name), [_here(card, name, one) for one in analyses])


def _said(card: Published, name: str) -> str:
    value, share = wording.number(card.metrics[name], 4), card.metrics.get(f"{name}_fraction")
    return f"{value} ({wording.percent(share)})" if share else value


def _here(card: Published, name: str, analysis: Analysis) -> str:
    value = next((row.value for row in metric_rows(analysis) if row.name == name), wording.DASH)
    share, ours = card.metrics.get(f"{name}_fraction"), analysis.metrics.get(f"{name}_fraction")
    return f"{value} ({wording.percent(ours)})" if share and ours is not None else value
