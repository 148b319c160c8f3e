"""Several probes on one model: which claims survive that so many were asked (Holm 1979)."""

from collections.abc import Mapping

import numpy as np

from plantain.base.files import six_digits
from plantain.base.params import VerdictParams
from plantain.ladder.sentence import sentence
from plantain.records.verdict import NAMES, REPORTED, HolmRecord, RungRecord, Status, Verdict
from plantain.stats.multiplicity import holm


def corrected(verdicts: Mapping[str, Verdict], rules: VerdictParams) -> dict[str, Verdict]:
    """The verdicts of one model, by probe, with what becomes of each claim among those of all probes.

    A probe counts if its design can be tested at rung 3, which is known before any number. Its p is the largest of the
    rungs from 3 on that its claim rests on: all that it passed, or rung 3 where that failed; 1 where the climb ended
    before rung 3.
    """
    resting = {name: resting_on(verdict) for name, verdict in verdicts.items() if testable(verdict, rules)}
    p = np.array([max((rung.p or 0.0 for rung in rungs), default=1.0) for rungs in resting.values()])
    raised = dict(zip(resting, map(float, holm(p)), strict=True))
    kept = _kept(verdicts, list(resting), rules)
    return {
        name: _with(verdict, resting[name], (raised[name], kept[name], len(kept)), rules)
        if name in resting
        else verdict
        for name, verdict in verdicts.items()
    }


def _kept(verdicts: Mapping[str, Verdict], names: list[str], rules: VerdictParams) -> dict[str, int]:
    """The highest rung at which each claim survives: the weaker claim of a lower rung needs no rung above it."""
    found = dict.fromkeys(names, 0)
    for level in range(REPORTED + 1, len(NAMES) + 1):
        resting = [[rung for rung in resting_on(verdicts[name]) if rung.rung <= level] for name in names]
        p = np.array([max((rung.p or 0.0 for rung in rungs), default=1.0) for rungs in resting])
        for name, raised in zip(names, holm(p), strict=True):
            if verdicts[name].rung >= level and raised <= rules.alpha:
                found[name] = level
    return found


def testable(verdict: Verdict, rules: VerdictParams) -> bool:
    """Whether the design can pass rung 3."""
    floor = verdict.design.floor if verdict.design else None
    return floor is not None and floor <= rules.alpha


def resting_on(verdict: Verdict) -> list[RungRecord]:
    """The rungs from 3 on that a claim rests on; none where the climb ended before rung 3 was tested."""
    passed = [rung for rung in verdict.rungs if REPORTED < rung.rung <= verdict.rung]
    third = verdict.rungs[2]
    return passed or ([third] if third.status is Status.failed and third.p is not None else [])


def _with(verdict: Verdict, rungs: list[RungRecord], among: tuple[float, int, int], rules: VerdictParams) -> Verdict:
    """The verdict with its corrected p, the rung that survives, and the number of probes."""
    p_holm, kept, probes = among
    p = max((rung.p or 0.0 for rung in rungs), default=1.0)
    survives = p_holm <= rules.alpha
    record = HolmRecord(
        probes=probes,
        p=six_digits(p),
        p_holm=six_digits(p_holm),
        survives=survives,
        rung=kept,
        reason=_hopeless(rungs, probes, rules),
    )
    metrics = verdict.metrics | {"claim_p": record.p, "p_holm": record.p_holm}
    found = verdict.model_copy(update={"holm": record, "metrics": metrics})
    return found.model_copy(update={"sentence": sentence(found)})


def _hopeless(rungs: list[RungRecord], probes: int, rules: VerdictParams) -> str:
    """That a design is too small for so many probes; empty where it is not."""
    worst = max((rung for rung in rungs if rung.floor is not None), key=lambda rung: rung.floor or 0.0, default=None)
    if worst is None or worst.floor is None or worst.floor * probes <= rules.alpha:
        return ""
    return (
        f"cannot survive Holm over {probes} probes by itself: rung {worst.rung} gives no p below {worst.floor:.3g}, "
        f"and {rules.alpha / probes:.2g} would be needed"
    )
