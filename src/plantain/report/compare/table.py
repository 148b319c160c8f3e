"""The comparison as a table for programs: a row a result, as CSV and as JSON."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from plantain.base.files import readable_json, write_atomic
from plantain.base.params import WordingMeasure
from plantain.records.holm import HolmRecord
from plantain.records.verdict import NAMES, Climb
from plantain.report import words as wording
from plantain.report.by_measure import by_measure
from plantain.report.compare.contents import EqualN, equal_n, unfair_within
from plantain.report.compare.effects import EqualEffect, effect_at
from plantain.report.result import Result

SCHEMA: Final = "plantain.compare/1"


@dataclass(frozen=True)
class DecidedBy:
    """What one deciding control did."""

    control: str
    decides: str
    outcome: str


@dataclass(frozen=True)
class TwinRow:
    """An untrained version of the row's model that was asked the same."""

    model: str
    rung: int | None
    effect: EqualEffect | None


@dataclass(frozen=True)
class ClaimRow:
    """What one result may claim, in numbers."""

    result: str
    probe: str
    title: str
    model: str
    untrained: bool
    of: str | None
    """Of an untrained version the model that it is one of."""
    contrast: str
    exploratory: bool
    """Whether the verdict of the cell rests on another contrast."""
    rung: int | None
    rung_name: str
    claim: str
    pairs: int
    effect: EqualEffect | None
    """At the number of pairs that all results of the table have."""
    effect_unit: str
    heads: int | None
    """Those that have any difference."""
    over_t3_at_equal_n: EqualN | None
    heads_beyond_rewording: int | None
    """By magnitude, 95% lower bound."""
    heads_by_direction: int | None
    rung_by_direction: int | None
    delta: float | None
    """Median over heads, in standard deviations between wordings."""
    controls: tuple[DecidedBy, ...]
    holm: HolmRecord | None
    """The claim among those of all probes that were put to the model."""
    twins: tuple[TwinRow, ...]
    page: str | None
    """The page of the cell, from where the table is."""
    prompts_sha256: str


def claim_rows(results: Sequence[Result], pages: Mapping[str, str] | None = None) -> list[ClaimRow]:
    """A row a result, in their order; ``pages`` says where the page of a result is, by address."""
    fewest = min((int(result.main.metrics["pairs"]) for result in results), default=0)
    effects = {result.address: effect_at(result, fewest) for result in results}
    return [_claim(result, results, effects, (pages or {}).get(result.address), fewest) for result in results]


def _claim(
    result: Result, results: Sequence[Result], effects: Mapping[str, EqualEffect | None], page: str | None, fewest: int
) -> ClaimRow:
    climb, metrics = result.standing, result.main.metrics
    direction = next((one for one in by_measure(result) if one.measure is WordingMeasure.direction), None)
    return ClaimRow(
        result=result.address,
        probe=result.probe,
        title=result.title,
        model=result.model,
        untrained=wording.is_untrained(result.lock),
        of=result.lock.of,
        contrast=result.main.contrast,
        exploratory=result.exploratory,
        rung=climb.rung if climb else None,
        rung_name=NAMES[climb.rung - 1] if climb and climb.rung else "",
        claim=wording.claim(result),
        pairs=int(metrics["pairs"]),
        effect=effects[result.address],
        effect_unit=wording.MEASURES.get(result.main.summary.measure, result.main.summary.measure),
        heads=_whole(metrics.get("alive_units")),
        over_t3_at_equal_n=equal_n(result.main, fewest),
        heads_beyond_rewording=_whole(metrics.get("selective_heads_lower_bound")),
        heads_by_direction=_whole(direction.metrics["selective_heads_lower_bound"]) if direction else None,
        rung_by_direction=direction.climb.rung if direction and direction.climb else None,
        delta=climb.metrics.get("delta") if climb else None,
        controls=_controls(climb),
        holm=result.holm,
        twins=tuple(TwinRow(*_rung(one), effects[one.address]) for one in twins_of(result, results)),
        page=page,
        prompts_sha256=result.prompts_sha256,
    )


def twins_of(result: Result, results: Sequence[Result]) -> list[Result]:
    """The untrained versions of a trained model that were asked the same, at the same revision."""
    asked = [one for one in results if (one.probe, one.rev) == (result.probe, result.rev)]
    return [one for one in asked if one.lock.of == result.model and one.main.contrast == result.main.contrast]


def _rung(result: Result) -> tuple[str, int | None]:
    return result.model, result.standing.rung if result.standing else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _controls(climb: Climb | None) -> tuple[DecidedBy, ...]:
    told = climb.controls if climb else []
    return tuple(DecidedBy(one.contrast, one.decides, one.outcome.value) for one in told)


def write_table(rows: Sequence[ClaimRow], results: Sequence[Result], csv: Path, json: Path) -> None:
    """Write the table as CSV, and as JSON with what makes its rows hard to compare."""
    write_atomic(csv, table_csv(rows))
    write_atomic(json, readable_json(table_data(rows, results)))


def table_data(rows: Sequence[ClaimRow], results: Sequence[Result]) -> dict[str, Any]:
    """The table as plain data."""
    told = [asdict(row) | {"holm": _among(row.holm)} for row in rows]
    pairs = min((row.pairs for row in rows), default=None)
    return {"schema": SCHEMA, "equal_pairs": pairs, "unfair": unfair_within(results), "rows": told}


def _among(holm: HolmRecord | None) -> dict[str, Any] | None:
    """Without its sentence, which is the row's claim."""
    return holm.model_dump(mode="json", exclude={"sentence"}) if holm else None


def table_csv(rows: Sequence[ClaimRow]) -> bytes:
    """The same without depth: a column a number, several controls or twins in one cell, apart by semicolons."""
    stream = io.BytesIO()
    pl.DataFrame([_flat(row) for row in rows], schema=_COLUMNS).write_csv(stream)
    return stream.getvalue()


def _flat(row: ClaimRow) -> dict[str, Any]:
    effect, count, holm = row.effect, row.over_t3_at_equal_n, row.holm
    return {name: getattr(row, name, None) for name in _COLUMNS} | {
        "equal_pairs": effect.pairs if effect else None,
        "effect": effect.value if effect else None,
        "effect_low": effect.low if effect else None,
        "effect_high": effect.high if effect else None,
        "over_t3_at_equal_n": count.mean if count else None,
        "controls": "; ".join(f"{one.control} ({one.decides}): {one.outcome}" for one in row.controls),
        "holm_probes": holm.probes if holm else None,
        "holm_p": holm.p if holm else None,
        "holm_p_corrected": holm.p_holm if holm else None,
        "holm_survives": holm.survives if holm else None,
        "holm_rung": holm.rung if holm else None,
        "twins": "; ".join(one.model for one in row.twins),
        "twin_rungs": "; ".join("" if one.rung is None else str(one.rung) for one in row.twins),
        "twin_effects": "; ".join("" if one.effect is None else f"{one.effect.value:g}" for one in row.twins),
    }


_COLUMNS: Final[dict[str, Any]] = {
    "result": pl.String, "probe": pl.String, "title": pl.String, "model": pl.String, "untrained": pl.Boolean,
    "of": pl.String, "contrast": pl.String, "exploratory": pl.Boolean, "rung": pl.Int64, "rung_name": pl.String,
    "claim": pl.String, "pairs": pl.Int64, "equal_pairs": pl.Int64, "effect": pl.Float64, "effect_low": pl.Float64,
    "effect_high": pl.Float64, "effect_unit": pl.String, "heads": pl.Int64, "over_t3_at_equal_n": pl.Float64,
    "heads_beyond_rewording": pl.Int64, "heads_by_direction": pl.Int64, "rung_by_direction": pl.Int64,
    "delta": pl.Float64, "controls": pl.String, "holm_probes": pl.Int64, "holm_p": pl.Float64,
    "holm_p_corrected": pl.Float64, "holm_survives": pl.Boolean, "holm_rung": pl.Int64, "twins": pl.String,
    "twin_rungs": pl.String, "twin_effects": pl.String, "page": pl.String, "prompts_sha256": pl.String,
}  # fmt: skip
