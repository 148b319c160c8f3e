"""The table that the index opens with: a row a result, in the words of the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from plantain.base.params import WordingMeasure
from plantain.records.verdict import NAMES, ControlRecord, Weighed
from plantain.report import words as wording
from plantain.report.by_measure import by_measure
from plantain.report.result import Result

_OUTCOMES = {
    Weighed.differs: "words alone excluded",
    Weighed.lexical: "lexical: its words do as much",
    Weighed.alike: "words not excluded",
    Weighed.passes: "same picture in other words: passes",
    Weighed.fails: "same picture in other words: fails",
}


@dataclass(frozen=True)
class Twin:
    """The untrained version of a model, or that there is none."""

    said: str
    address: str = ""
    """The result that it is; empty where it is not on the page."""


@dataclass(frozen=True)
class VerdictRow:
    """What one result may claim."""

    result: Result
    rung: str
    name: str
    """Of the rung."""
    passed: bool
    """Whether wordings were told apart: rung 3 or more."""
    heads: str
    """By magnitude."""
    direction: str
    """Heads by direction, and the rung that is reached by it."""
    delta: str
    controls: list[str]
    twins: list[Twin]
    text: str
    """What a search looks through."""


def verdict_rows(results: Sequence[Result]) -> list[VerdictRow]:
    """A row a result, in their order."""
    return [_row(result, results) for result in results]


def _row(result: Result, results: Sequence[Result]) -> VerdictRow:
    climb = result.standing
    rung = climb.rung if climb else 0
    return VerdictRow(
        result=result,
        rung=wording.rung_phrase(climb),
        name=NAMES[rung - 1] if rung else "",
        passed=rung >= 3,
        heads=wording.bound_phrase(result.main.metrics.get("selective_heads_lower_bound")),
        direction=_direction(result),
        delta=wording.fixed(climb.metrics.get("delta") if climb else None),
        controls=[_control(one) for one in climb.controls] if climb else [],
        twins=_twins(result, results),
        text=" ".join((result.address, result.title, str(result.declared.get("hypothesis") or ""),
                       wording.claim(result), *result.summary.contrasts)).casefold(),
    )  # fmt: skip


def _direction(result: Result) -> str:
    shown = next((one for one in by_measure(result) if one.measure is WordingMeasure.direction), None)
    if shown is None:
        return wording.DASH
    bound = wording.bound_phrase(shown.metrics["selective_heads_lower_bound"])
    return f"{bound}; {shown.rung}" if shown.climb else bound


def _control(one: ControlRecord) -> str:
    return f"{one.contrast}: {_OUTCOMES.get(one.outcome, one.outcome.value)}"


def _twins(result: Result, results: Sequence[Result]) -> list[Twin]:
    """Of a trained model its untrained versions that were asked the same, with their rungs."""
    if result.lock.of:
        return [Twin(f"is untrained {result.lock.of}")]
    if wording.is_untrained(result.lock):
        return [Twin("is itself untrained")]
    asked = [one for one in results if (one.probe, one.rev) == (result.probe, result.rev)]
    same = [one for one in asked if one.lock.of == result.model]
    found = [Twin(f"{wording.rung_phrase(one.standing)} ({one.model})", one.address) for one in same]
    return found or [Twin("none on this page")]
