"""The climb: how far up the ladder the evidence reaches.

Rungs are tested in a fixed order, each at the same level, and the climb ends at the first one that is not passed. Such
a fixed sequence passes any true null with at most that probability, without a correction (Maurer, Hothorn and
Lehmacher 1995). That holds for one probe on one model; what several probes ask of it is in
:mod:`plantain.ladder.holm`. Rung 2 is a number that is reported and no step.
"""

from dataclasses import dataclass

import numpy as np

from plantain.base.files import defined, six_digits
from plantain.base.params import VerdictParams
from plantain.ladder import controls
from plantain.ladder.evidence import Evidence, Rung
from plantain.ladder.rungs import RUNGS, compare_rows
from plantain.ladder.sentence import sentence
from plantain.records.verdict import (
    NAMES,
    REPORTED,
    BothRecord,
    Climb,
    ControlRecord,
    DesignRecord,
    RungRecord,
    SpreadRecord,
    Status,
)
from plantain.stats.both import both
from plantain.stats.dispersion import dispersion_test

BOTH = "heads that differ over items and wordings together (description), lower bound"


@dataclass(frozen=True)
class Effect:
    """How large a change of concept is beside changes of wording, over all heads."""

    delta: float
    """Median over heads of the absolute concept shift in between-row standard deviations (Hedges corrected)."""
    delta_q90: float
    """Ninth decile over heads."""
    concept_information: float
    """Nats a head, see `plantain.stats.template.concept_information`. What it is without a concept depends on what the
    wordings share: untrained networks show it."""
    heads: int
    """Heads over the threshold."""
    alive: int


@dataclass(frozen=True)
class Ladder:
    """One climb."""

    rungs: tuple[Rung, ...]
    """All seven; those above the first that was not passed are not tested."""
    effect: Effect | None
    """None where the rows are too few."""
    controls: tuple[ControlRecord, ...] = ()
    spread: SpreadRecord | None = None
    both: BothRecord | None = None
    design: DesignRecord | None = None

    @property
    def rung(self) -> int:
        """The highest rung up to which none is missing, the reported one left aside; 0 where the first is missing."""
        reached = 0
        for rung in self.rungs:
            if rung.rung == REPORTED:
                continue
            if rung.status is not Status.passed:
                break
            reached = rung.rung
        return reached

    @property
    def sentence(self) -> str:
        """What may be said, and no more."""
        return self.record().sentence

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
                "delta_q90": effect.delta_q90,
                "concept_information": effect.concept_information,
            }
        if self.spread is not None:
            numbers |= {"spread_p": self.spread.p}
            numbers |= {} if self.spread.ratio is None else {"spread_ratio": self.spread.ratio}
        if self.both is not None:
            numbers |= {"both_heads_lower_bound": self.both.number, "both_p": self.both.p}
        numbers |= controls.control_metrics(self.controls)
        return {name: six_digits(value) for name, value in numbers.items() if np.isfinite(value)}

    def record(self) -> Climb:
        """The climb as it is written down."""
        climbed = Climb(
            rung=self.rung,
            rungs=[rung_record(rung) for rung in self.rungs],
            sentence="",
            metrics=self.metrics(),
            design=self.design,
            spread=self.spread,
            controls=list(self.controls),
            both=self.both,
        )
        return climbed.model_copy(update={"sentence": sentence(climbed)})


def climb(evidence: Evidence, rules: VerdictParams) -> Ladder:
    """Test rung after rung until one is not passed.

    Args:
        evidence: Item-level differences, wording-level means, untrained draws, further seeds and references.
        rules: Levels, bounds and least numbers, fixed before looking.
    """
    rungs: list[Rung] = []
    stopped = 0
    weighed = controls.weigh(evidence.controls, rules)
    for place, test in enumerate(RUNGS, start=1):
        if stopped and place != REPORTED:
            rungs.append(unreached(place, stopped))
            continue
        found = test(evidence, rules)
        rungs.append(controls.overruled(found, weighed, evidence) if place == 3 else found)
        if rungs[-1].status is not Status.passed and place != REPORTED:
            stopped = place
    return Ladder(
        tuple(rungs),
        measure_effect(evidence, rules),
        weighed,
        measure_spread(evidence, rules),
        measure_both(evidence, rules),
        evidence.design,
    )


def comparable(evidence: Evidence, rules: VerdictParams) -> bool:
    """Whether the rows can be compared at all."""
    return not evidence.few and min(len(evidence.a), len(evidence.b)) >= rules.min_templates


def measure_effect(evidence: Evidence, rules: VerdictParams) -> Effect | None:
    """Effect sizes over rows; None where a side has fewer than the rules ask for."""
    if not comparable(evidence, rules):
        return None
    test = compare_rows(evidence.rows, None, rules)
    size = np.abs(test.delta[np.isfinite(test.delta)])
    return Effect(
        delta=float(np.median(size)) if size.size else float("nan"),
        delta_q90=float(np.quantile(size, 0.9)) if size.size else float("nan"),
        concept_information=test.concept_information,
        heads=test.count,
        alive=int(test.alive.sum()),
    )


def measure_spread(evidence: Evidence, rules: VerdictParams) -> SpreadRecord | None:
    """Whether one side's rows scatter more; None where the rows cannot be compared."""
    if not comparable(evidence, rules):
        return None
    rows = evidence.rows
    found = dispersion_test(
        rows.a, rows.b, clusters=rows.clusters, frames=rows.frames, permutations=rules.permutations, seed=rules.seed
    )
    return SpreadRecord(
        ratio=defined(found.ratio),
        p=six_digits(found.p),
        floor=six_digits(found.floor_p),
        significant=found.exchange != "frames" and found.p <= rules.alpha,
    )


def measure_both(evidence: Evidence, rules: VerdictParams) -> BothRecord | None:
    """The bound over items and wordings at once; None where there are no items by wordings."""
    if evidence.crossed is None or not comparable(evidence, rules):
        return None
    a, b = evidence.crossed
    if a.shape[1] < 2 or not a.shape[2]:
        return None
    found = both(a, b, clusters=evidence.clusters, frames=evidence.frames, confidence=1 - rules.alpha, seed=rules.seed)
    return BothRecord(measures=BOTH, number=found.lower_bound, p=six_digits(found.simes_p))


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
