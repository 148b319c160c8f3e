"""The section of a page on other noise levels: what the sweep found, as a table under its chart."""

from dataclasses import dataclass
from typing import Final

from plantain.records.sweep import ByMeasure, Levels, LevelTest
from plantain.report import words as wording
from plantain.report.figures.levels import NAMES
from plantain.report.result import Result

ABSENT: Final = "No other noise level was looked at. `plantain run --study` sweeps over those of study.sigmas."
CAVEAT: Final = (
    "A description, exploratory: the verdict does not rest on it. Each bound holds at its own level with 95% "
    "confidence; over levels, measures and contrasts nothing is corrected, so that one level that stands out says "
    "little. One noise seed and one reference image; δ is the median over heads."
)


@dataclass(frozen=True)
class LevelRow:
    """One measure at one level, as text."""

    sigma: str
    measure: str
    heads: str
    alive: str
    p: str
    floor: str
    delta: str
    information: str
    twins: tuple[str, ...]
    """Lower bound and p of each untrained twin."""


@dataclass(frozen=True)
class LevelTable:
    """One contrast at every level."""

    contrast: str
    rows: tuple[LevelRow, ...]


def levels(result: Result) -> Levels | None:
    """What the sweep says of this result; None where there was none."""
    return result.verdict.levels if result.verdict else None


def tables(result: Result) -> list[LevelTable]:
    """The contrasts that were swept, the main one first."""
    found = levels(result)
    if found is None:
        return []
    main = result.main.contrast
    return [_table(found, name) for name in sorted(found.contrasts, key=lambda name: (name != main, name))]


def problems(result: Result) -> list[str]:
    """Which contrasts have no numbers here, and why: a sentence for contrasts of one reason."""
    found, by_reason = levels(result), dict[str, list[str]]()
    for name, why in found.problems.items() if found else ():
        by_reason.setdefault(why, []).append(name)
    return [f"Not shown for {', '.join(names)}: {why}." for why, names in by_reason.items()]


def curve_sentence(result: Result) -> str:
    """The curve of the main contrast in words, measure by measure."""
    found = levels(result)
    own = found.contrasts.get(result.main.contrast, {}) if found else {}
    parts = [
        f"{NAMES[measure]} {', '.join(f'{one.heads_lower_bound} at {one.sigma:g}' for one in every)}"
        for measure, every in own.items()
    ]
    return f"Heads beyond rewording by noise level: {'; '.join(parts)}."


def _table(found: Levels, contrast: str) -> LevelTable:
    own = found.contrasts[contrast]
    twins = [by.get(contrast, {}) for by in found.twins.values()]
    ordered = [measure for measure in NAMES if measure in own]
    places = range(max(len(every) for every in own.values()))
    rows = [_row(own[measure][at], NAMES[measure], [_at(twin, measure, own[measure][at].sigma) for twin in twins])
            for at in places for measure in ordered]  # fmt: skip
    return LevelTable(contrast, tuple(rows))


def _at(twin: ByMeasure, measure: str, sigma: float) -> LevelTest | None:
    return next((one for name, every in twin.items() if name == measure for one in every if one.sigma == sigma), None)


def _row(one: LevelTest, measure: str, twins: list[LevelTest | None]) -> LevelRow:
    return LevelRow(
        sigma=f"{one.sigma:g}",
        measure=measure,
        heads=wording.bound_phrase(one.heads_lower_bound),
        alive=wording.number(one.alive),
        p=wording.number(one.p, 2),
        floor=wording.number(one.floor, 2),
        delta=wording.fixed(one.delta),
        information=wording.number(one.concept_information),
        twins=tuple(_twin(one) for one in twins),
    )


def _twin(one: LevelTest | None) -> str:
    if one is None:
        return wording.DASH
    return f"{wording.bound_phrase(one.heads_lower_bound)}, p = {wording.number(one.p, 2)}"
