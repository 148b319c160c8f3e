"""The table that the index opens with: a row a result, in the words of the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from plantain.base.params import WordingMeasure
from plantain.records.verdict import REPORTED, ControlRecord, Weighed
from plantain.report import words as wording
from plantain.report.by_measure import by_measure
from plantain.report.compare.effects import EqualEffect
from plantain.report.compare.table import ClaimRow, TwinRow, twins_of
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
    """What one result may claim, in words."""

    result: Result
    claim: ClaimRow
    """The same in numbers."""
    rung: str
    passed: bool
    """Whether wordings were told apart: rung 3 or more."""
    heads: str
    """By magnitude."""
    direction: str
    """Heads by direction, and the rung that is reached by it; empty where wordings were not compared by it."""
    effect: str
    controls: list[str]
    holm: str
    kept: str
    """Of Holm's correction, in a word or two; empty where nothing was corrected."""
    twins: list[Twin]
    text: str
    """What a search looks through."""

    @property
    def order(self) -> dict[str, Any]:
        """What rows can be sorted by; null goes last."""
        claim, holm = self.claim, self.claim.holm
        return {
            "probe": claim.probe,
            "model": claim.model,
            "rung": claim.rung,
            "heads": claim.heads_beyond_rewording,
            "effect": claim.effect.value if claim.effect else None,
            "holm": holm.p_holm if holm else None,
            "twin": max((one.rung for one in claim.twins if one.rung is not None), default=None),
        }


SORTS: Final = {
    "probe": "probe", "model": "model", "rung": "rung reached", "heads": "heads beyond rewording", "effect": "effect",
    "holm": "Holm p", "twin": "rung of the untrained twin",
}  # fmt: skip
"""What rows can be sorted by, as people read it."""


def verdict_rows(results: Sequence[Result], claims: Sequence[ClaimRow]) -> list[VerdictRow]:
    """A row a result, in their order; ``claims`` are theirs."""
    return [_row(result, claim, results) for result, claim in zip(results, claims, strict=True)]


def _row(result: Result, claim: ClaimRow, results: Sequence[Result]) -> VerdictRow:
    climb = result.standing
    return VerdictRow(
        result=result,
        claim=claim,
        rung=wording.rung_phrase(climb),
        passed=(claim.rung or 0) >= 3,
        heads=wording.bound_phrase(claim.heads_beyond_rewording),
        direction=_direction(result),
        effect=effect_phrase(claim.effect),
        controls=[_control(one) for one in climb.controls] if climb else [],
        holm=_holm(claim),
        kept=_kept(claim),
        twins=_twins(result, claim, results),
        text=" ".join((result.address, result.title, str(result.declared.get("hypothesis") or ""),
                       claim.claim, *result.summary.contrasts)).casefold(),
    )  # fmt: skip


def effect_phrase(effect: EqualEffect | None) -> str:
    """``0.213 [0.19 to 0.236]``; the number alone where items are too few for an interval."""
    if effect is None:
        return wording.DASH
    if effect.low is None or effect.high is None:
        return wording.number(effect.value)
    return f"{wording.number(effect.value)} [{wording.number(effect.low)} to {wording.number(effect.high)}]"


def _direction(result: Result) -> str:
    shown = next((one for one in by_measure(result) if one.measure is WordingMeasure.direction), None)
    if shown is None:
        return ""
    bound = wording.bound_phrase(shown.metrics["selective_heads_lower_bound"])
    return f"{bound}; {shown.rung}" if shown.climb else bound


def _control(one: ControlRecord) -> str:
    return f"{one.contrast}: {_OUTCOMES.get(one.outcome, one.outcome.value)}"


def _holm(claim: ClaimRow) -> str:
    if claim.holm is None:
        return wording.DASH
    return f"{_kept(claim)}: p = {wording.number(claim.holm.p_holm, 2)} over {claim.holm.probes} probes"


def _kept(claim: ClaimRow) -> str:
    holm = claim.holm
    if holm is None or (claim.rung or 0) <= REPORTED:
        return "" if holm is None else "nothing claimed"
    if holm.survives:
        return "survives"
    return f"rung {holm.rung} survives" if holm.rung > REPORTED else "does not survive"


def _twins(result: Result, claim: ClaimRow, results: Sequence[Result]) -> list[Twin]:
    """Of a trained model its untrained versions that were asked the same, with their rungs and effects."""
    if result.lock.of:
        return [Twin(f"is untrained {result.lock.of}")]
    if claim.untrained:
        return [Twin("is itself untrained")]
    pairs = zip(twins_of(result, results), claim.twins, strict=True)
    found = [Twin(_twin(one, row), one.address) for one, row in pairs]
    return found or [Twin("none on this page")]


def _twin(result: Result, row: TwinRow) -> str:
    effect = f", effect {effect_phrase(row.effect)}" if row.effect else ""
    return f"{wording.rung_phrase(result.standing)}{effect} ({row.model})"
