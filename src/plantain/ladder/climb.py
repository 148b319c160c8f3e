"""The verdict: how far up the ladder the evidence reaches, and the one sentence that says so and claims no more.

Rungs are tested in a fixed order, each at the same level, and the climb ends at the first one that is not passed. Such
a fixed sequence passes any true null with at most that probability, without a correction (Maurer, Hothorn and
Lehmacher 1995). That holds for one probe on one model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from plantain.base.files import six_digits
from plantain.base.params import VerdictParams
from plantain.ladder.evidence import Evidence, Rung
from plantain.ladder.rungs import RUNGS, compare_templates
from plantain.records.verdict import NAMES, Climb, RungRecord, Status
from plantain.stats.effects import hedges_factor
from plantain.stats.template import null_concept_information

_CLAIMS = (
    "No head was shown to differ between the two sides.",
    "At least {1} heads differ between these sentences; that the same heads would on other items is not shown.",
    "These sentences differ, in the same heads on other items; so do two wordings of one idea, "
    "and more than that is not shown.",
    "At least {3} heads separate the two sets of wordings more than rewording does, in output magnitude; "
    "that training brought this about is not shown.",
    "At least {3} heads separate the two sets of wordings more than rewording does, and the model has more heads that "
    "do than untrained draws have (rank p = {p4}); that this is more than token count is not shown.",
    "At least {5} heads separate the two sets of wordings more than rewording does among sentences of equal length, "
    "and more do than in untrained draws (rank p = {p4}); that it recurs with other noise or images is not shown.",
    "At least {5} heads separate the two sets of wordings more than rewording does among sentences of equal length, "
    "and more do than in untrained draws (rank p = {p4}); some do again in every further run; "
    "what they cause is not tested.",
)

_COUNTED = (1, 3, 5)
"""Rungs whose number is a count of heads."""


def sentence(rungs: Sequence[Rung], reached: int) -> str:
    """The claim of rung ``reached`` with its numbers, and what ended the climb.

    Args:
        rungs: all seven.
        reached: the highest rung up to which none is missing.
    """
    numbers = {str(r.rung): str(int(r.number)) for r in rungs if r.rung in _COUNTED and r.number is not None}
    numbers |= {f"p{rung.rung}": f"{rung.p:.2g}" for rung in rungs if rung.p is not None}
    claim = _CLAIMS[min(reached, len(_CLAIMS) - 1)]
    for place, number in numbers.items():
        claim = claim.replace(f"{{{place}}}", number)
    return f"Rung {reached} of {len(rungs)}. {_singular(claim)} {_ending(rungs, reached)}".strip()


def _singular(claim: str) -> str:
    for verb, one in (("differ", "differs"), ("separate", "separates")):
        claim = claim.replace(f"At least 1 heads {verb}", f"At least 1 head {one}")
    return claim


def _ending(rungs: Sequence[Rung], reached: int) -> str:
    """Why the climb ended where it did; nothing where only the untestable rung is left."""
    if reached >= len(rungs) - 1:
        return ""
    stop = rungs[reached]
    verb = "failed" if stop.status is Status.failed else "was not tested"
    return f"Rung {stop.rung} ({stop.name}) {verb}: {stop.reason}."


@dataclass(frozen=True)
class Effect:
    """How large a change of concept is beside changes of wording, over all heads."""

    delta: float
    """Median over heads of the absolute concept shift in between-wording standard deviations (Hedges corrected)."""
    delta_chance: float
    """What `delta` is on average for normal wordings without a concept."""
    delta_q90: float
    """Ninth decile over heads."""
    concept_information: float
    """Nats a head, see `plantain.stats.template.concept_information`."""
    concept_information_chance: float
    """What it is on average for normal wordings without a concept."""
    heads: int
    """Heads over the threshold."""
    alive: int


@dataclass(frozen=True)
class Ladder:
    """One climb."""

    rungs: tuple[Rung, ...]
    """All seven; those above the first that was not passed are not tested."""
    effect: Effect | None
    """None where a side has too few wordings."""

    @property
    def rung(self) -> int:
        """The highest rung up to which none is missing; 0 where the first was not passed."""
        passed = [rung.status is Status.passed for rung in self.rungs]
        return passed.index(False) if False in passed else len(passed)

    @property
    def sentence(self) -> str:
        """What may be said, and no more."""
        return sentence(self.rungs, self.rung)

    @property
    def selective(self) -> int:
        """With the confidence of the rules, at least so many heads are selective; 0 unless rung 3 was passed."""
        number = self.rungs[2].number
        return int(number) if self.rung >= 3 and number is not None else 0

    def metrics(self) -> dict[str, float]:
        """The numbers for tables, to 6 significant digits; what was not measured is absent."""
        numbers: dict[str, float] = {"verdict_rung": self.rung, "selective_heads_lower_bound": self.selective}
        if self.effect is not None:
            effect = self.effect
            numbers |= {
                "delta": effect.delta,
                "delta_chance": effect.delta_chance,
                "delta_q90": effect.delta_q90,
                "concept_information": effect.concept_information,
                "concept_information_chance": effect.concept_information_chance,
            }
        return {name: six_digits(value) for name, value in numbers.items() if np.isfinite(value)}

    def record(self) -> Climb:
        """The climb as it is written down."""
        rungs = [rung_record(rung) for rung in self.rungs]
        return Climb(rung=self.rung, sentence=self.sentence, rungs=rungs, metrics=self.metrics())


def climb(evidence: Evidence, rules: VerdictParams) -> Ladder:
    """Test rung after rung until one is not passed.

    Args:
        evidence: Item-level differences, wording-level means, untrained draws, further seeds and references.
        rules: Levels, bounds and least numbers, fixed before looking.
    """
    rungs: list[Rung] = []
    stopped = 0
    for test in RUNGS:
        found = unreached(len(rungs) + 1, stopped) if stopped else test(evidence, rules)
        rungs.append(found)
        if not stopped and found.status is not Status.passed:
            stopped = found.rung
    return Ladder(tuple(rungs), measure_effect(evidence, rules))


def measure_effect(evidence: Evidence, rules: VerdictParams) -> Effect | None:
    """Effect sizes over wordings; None where a side has fewer than the rules ask for."""
    if min(len(evidence.a), len(evidence.b)) < rules.min_templates:
        return None
    test = compare_templates(evidence.a, evidence.b, None, rules)
    size = np.abs(test.delta[np.isfinite(test.delta)])
    root = float(np.sqrt(1 / len(evidence.a) + 1 / len(evidence.b)))
    return Effect(
        delta=float(np.median(size)) if size.size else float("nan"),
        delta_chance=float(stdtrit(test.df, 0.75)) * root * hedges_factor(test.df),
        delta_q90=float(np.quantile(size, 0.9)) if size.size else float("nan"),
        concept_information=test.concept_information,
        concept_information_chance=null_concept_information(test.df),
        heads=test.count,
        alive=int(test.alive.sum()),
    )


def unreached(rung: int, stopped: int) -> Rung:
    """A rung above the one that stopped the climb."""
    return Rung(rung, NAMES[rung - 1], Status.untested, reason=f"the climb ends at rung {stopped}")


def rung_record(rung: Rung) -> RungRecord:
    """A rung as it is written down, numbers to 6 significant digits."""
    return RungRecord(
        rung=rung.rung,
        name=rung.name,
        status=rung.status,
        measures=rung.measures,
        number=_rounded(rung.number),
        p=_rounded(rung.p),
        floor=_rounded(rung.floor),
        reason=rung.reason,
        guarantee=rung.guarantee,
        not_claimed=rung.not_claimed,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else six_digits(value)
