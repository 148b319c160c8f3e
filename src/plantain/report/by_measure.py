"""What wordings show by each measure: magnitude, direction, profile, and over text tokens as a description."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from plantain.base.params import WordingMeasure
from plantain.records.verdict import Climb, Weighed
from plantain.report import words as wording
from plantain.report.columns import GLUE
from plantain.report.result import Result
from plantain.report.vectors import vector_analyses

NAMES: Final = {
    WordingMeasure.log_rms: "magnitude",
    WordingMeasure.direction: "direction",
    WordingMeasure.profile: "profile",
    WordingMeasure.text_direction: "text direction",
}
"""What people read."""

ROLES: Final = ("confirmatory", "exploratory", "description")

NO_GRAMS: Final = (
    "Wordings were compared by magnitude alone: the capture kept no Gram matrices (capture.grams), which direction and "
    "profile are made from."
)


@dataclass(frozen=True)
class MeasureShown:
    """What the contrast that stands first shows over wordings by one measure."""

    measure: WordingMeasure
    role: str
    """One of ``ROLES``; empty where no verdict was made."""
    metrics: Mapping[str, float]
    climb: Climb | None
    """None where its ladder was not climbed by this measure."""

    @property
    def name(self) -> str:
        """``direction``, as people read it."""
        return NAMES[self.measure]

    @property
    def said(self) -> str:
        """Its name with what is looked at."""
        return f"{self.name} (log RMS)" if self.measure is WordingMeasure.log_rms else self.name

    @property
    def heads(self) -> str:
        """``≥ 68 of 75``: a lower bound at 95% and how many heads there are; ``none shown of 75``."""
        bound, alive = self.metrics["selective_heads_lower_bound"], wording.number(self.metrics.get("alive_units"))
        least = f"\N{GREATER-THAN OR EQUAL TO} {wording.number(bound)}" if bound else "none shown"
        return f"{least} of {alive}"

    @property
    def rung(self) -> str:
        """How far up the ladder, and what the same words elsewhere say where they end it; a dash where none is climbed.

        Over text tokens none is, and by another measure than the verdict's only that of the target.
        """
        if self.climb is None and self.role:
            return wording.DASH
        return wording.rung_phrase(self.climb) + (f" ({self._words})" if self._words else "")

    @property
    def _words(self) -> str:
        """Why heads that separate the sides are not enough; empty where the words are not why."""
        if self.climb is None or self.climb.rung >= 3 or not self.metrics["selective_heads_lower_bound"]:
            return ""
        ended = (Weighed.lexical, Weighed.alike)
        return next(
            (f"words: {one.outcome}" for one in self.climb.controls if one.of_words and one.outcome in ended), ""
        )

    @property
    def p(self) -> str:
        """Of no head at all, by Simes."""
        return wording.number(self.metrics.get("template_simes_p"), 2)

    @property
    def delta(self) -> str:
        """Median over heads."""
        return wording.fixed(self.metrics.get("delta"))

    @property
    def information(self) -> str:
        """Concept information, nats a head."""
        return wording.number(self.metrics.get("concept_information"))


def by_measure(result: Result) -> list[MeasureShown]:
    """Every measure that the wordings of what stands first were compared by; empty where there are too few of them."""
    contrast, magnitude = result.main.contrast, result.main.metrics
    if "selective_heads_lower_bound" not in magnitude:
        return []
    found = {WordingMeasure.log_rms: magnitude}
    found |= {one.measure: one.metrics for one in vector_analyses(result, contrast)}
    return [MeasureShown(one, _role(result, one), numbers, _climb(result, one)) for one, numbers in found.items()]


def rests_on(result: Result) -> MeasureShown | None:
    """The measure that the verdict rests on, magnitude where there is none; None where wordings were not compared."""
    chosen = result.verdict.measure if result.verdict else WordingMeasure.log_rms
    shown = by_measure(result)
    return next((one for one in shown if one.measure is chosen), next(iter(shown), None))


def alone(result: Result) -> str:
    """Why there is nothing but magnitude, as a sentence; empty where there is more, or nothing at all."""
    return NO_GRAMS if len(by_measure(result)) == 1 else ""


def lines(result: Result) -> Iterator[str]:
    """A line a measure beside magnitude: its heads, their p, its rung; one sentence where there is none."""
    if alone(result):
        yield alone(result)
    for one in by_measure(result)[1:]:
        end = one.role if one.rung == wording.DASH else ", ".join(filter(None, (one.rung, one.role)))
        said = (f"{one.heads} heads (p = {one.p})", end)
        yield f"by {one.name}: " + "; ".join(part.replace(" ", GLUE) for part in said)


def _role(result: Result, measure: WordingMeasure) -> str:
    if measure is WordingMeasure.text_direction:
        return "description"
    if result.verdict is None:
        return ""
    return "confirmatory" if measure is result.verdict.measure and not result.exploratory else "exploratory"


def _climb(result: Result, measure: WordingMeasure) -> Climb | None:
    if measure is WordingMeasure.text_direction:
        return None
    if result.verdict is None or measure is result.verdict.measure:
        return result.standing
    return None if result.exploratory else result.verdict.measures.get(measure)
