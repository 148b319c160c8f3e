"""What a public model card reports for a probe, beside what was measured here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
)
from pydantic_core import CoreSchema, core_schema

from plantain.base import places
from plantain.base.yaml import YamlFile, read_yaml
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

    name: str
    label: str
    card: str
    models: list[str]
    """In the order in which the models are named beside it; a dash where a model has no such number."""


@dataclass(frozen=True)
class Printed:
    """Text that prints a number of ``kind``; it stays text, since 0.740 is not 0.74."""

    kind: Any

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        number = TypeAdapter(self.kind)

        def check(text: str) -> str:
            number.validate_python(float(text))
            return text

        return core_schema.no_info_after_validator_function(check, core_schema.str_schema(pattern=_NUMBER))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return TypeAdapter(self.kind).json_schema()


_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_Finite = Annotated[float, Field(allow_inf_nan=False, examples=[22.45])]

Text = Annotated[str, StringConstraints(pattern=r"\S")]
PrintedNumber = Annotated[str, Printed(_Finite)]
Size = Annotated[str, Printed(Annotated[_Finite, Field(ge=0)])]
Share = Annotated[str, Printed(Annotated[_Finite, Field(ge=0, le=1, examples=[0.506])])]
Correlation = Annotated[str, Printed(Annotated[_Finite, Field(ge=-1, le=1, examples=[0.863])])]
Count = Annotated[str, Printed(Annotated[_Finite, Field(ge=0, le=1e15, multiple_of=1, examples=[8263])])]
Whole = Annotated[str, Printed(Annotated[_Finite, Field(ge=1, le=1e15, multiple_of=1, examples=[25])])]


class _Block(BaseModel):
    """A row of the card's table of blocks; what else it holds is kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    block_kind: Literal["joint", "single"]
    block: Count
    max_abs_t: Size
    over_t3: Count
    units: Whole
    median_abs_d: Size


class _Card(BaseModel):
    """The file of a card, as far as it is read here; what ``metrics`` and ``claims`` hold is checked name by name."""

    model_config = ConfigDict(frozen=True)

    card: Text
    probe: Text
    model: Text
    contrast: Text
    analysis: Text
    metrics: Annotated[dict[str, Any], Field(min_length=1)]
    prompts: Text = ""
    blocks: Annotated[list[_Block], BeforeValidator(lambda found: found or [])] = []
    claims: Annotated[dict[str, Any], BeforeValidator(lambda found: found or {})] = {}


_CARD = TypeAdapter(_Card)

_METRICS: dict[str, TypeAdapter[str]] = {
    "pairs": TypeAdapter(Whole),
    "units": TypeAdapter(Whole),
    "*_fraction": TypeAdapter(Share),
    "heads_over_*": TypeAdapter(Count),
    "observed_over_null_*": TypeAdapter(Size),
    "null_*": TypeAdapter(Size),
    "max_abs_t": TypeAdapter(Size),
    "split_half_r*": TypeAdapter(Correlation),
    "*": TypeAdapter(PrintedNumber),
}
"""What every metric may be; the first pattern that fits holds. Counts are whole numbers."""

_CLAIMS: dict[str, TypeAdapter[str]] = {"substituted_words": TypeAdapter(Whole)}

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
    read = source.typed(_CARD, data)
    _check(source, read.metrics, _METRICS, "metrics")
    _check(source, read.claims, _CLAIMS, "claims")
    return Published(
        **read.model_dump(include={"card", "probe", "model", "contrast", "analysis", "prompts", "claims"}),
        printed=read.metrics,
        blocks=tuple(block.model_dump() for block in read.blocks),
        source=source,
    )


def _check(source: YamlFile, texts: dict[str, Any], kinds: dict[str, TypeAdapter[str]], section: str) -> None:
    """Every number of a kind that is known is one."""
    for name, text in texts.items():
        kind = next((kind for pattern, kind in kinds.items() if fnmatchcase(name, pattern)), None)
        if kind is not None:
            source.typed(kind, text, section, name)


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
    asked: dict[str, list[Result]] = {}
    for result in results:
        asked.setdefault(result.probe, []).append(result)
    # Read once: many probes with a card each would read as many files as pairs of them.
    cards = {root: read_cards(root / places.PUBLISHED) for root in {result.root for result in results}}
    for probe, same in asked.items():
        for card in (one for one in cards[same[0].root] if one.probe == probe):
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
    return BesideRow(name, next(filter(None, labels)), _said(card, name), [_here(card, name, one) for one in analyses])


def _said(card: Published, name: str) -> str:
    value, share = wording.number(card.metrics[name], 4), card.metrics.get(f"{name}_fraction")
    return f"{value} ({wording.percent(share)})" if share else value


def _here(card: Published, name: str, analysis: Analysis) -> str:
    value = next((row.value for row in metric_rows(analysis) if row.name == name), wording.DASH)
    share, ours = card.metrics.get(f"{name}_fraction"), analysis.metrics.get(f"{name}_fraction")
    return f"{value} ({wording.percent(ours)})" if share and ours is not None else value
