"""Several probes on one model: which claims survive that so many were asked (Holm 1979)."""

from collections.abc import Mapping

import numpy as np

from plantain.base.files import six_digits
from plantain.base.params import VerdictParams
from plantain.ladder.sentence import sentence
from plantain.records.holm import HolmRecord
from plantain.records.verdict import NAMES, REPORTED, RungRecord, Status, Verdict
from plantain.stats.multiplicity import holm


def corrected(verdicts: Mapping[str, Verdict], rules: VerdictParams) -> dict[str, HolmRecord]:
    """What becomes of the claims of one model among those of all its probes; by probe, for those that count.

    A probe counts if its design can be tested at rung 3, which is known before any number. Its p is the largest of the
    rungs from 3 on that its claim rests on: all that it passed, or rung 3 where that failed; 1 where the climb ended
    before rung 3.
    """
    counted = {name: verdict for name, verdict in verdicts.items() if testable(verdict, rules)}
    p = {name: _largest(resting_on(verdict)) for name, verdict in counted.items()}
    raised = dict(zip(p, map(float, holm(np.array(list(p.values())))), strict=True))
    kept = _kept(counted, rules)
    return {
        name: _record(verdict, (p[name], raised[name], kept[name], len(counted)), rules)
        for name, verdict in counted.items()
    }


def _kept(counted: Mapping[str, Verdict], rules: VerdictParams) -> dict[str, int]:
    """The highest rung at which each claim survives: the weaker claim of a lower rung needs no rung above it."""
    found = dict.fromkeys(counted, 0)
    for level in range(REPORTED + 1, len(NAMES) + 1):
        p = [_largest([rung for rung in resting_on(one) if rung.rung <= level]) for one in counted.values()]
        for name, raised in zip(counted, holm(np.array(p)), strict=True):
            if counted[name].rung >= level and raised <= rules.alpha:
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


def _largest(rungs: list[RungRecord]) -> float:
    return max((rung.p or 0.0 for rung in rungs), default=1.0)


def _record(verdict: Verdict, among: tuple[float, float, int, int], rules: VerdictParams) -> HolmRecord:
    """Its p, the corrected one, the rung that survives and the number of probes, as they are written down."""
    p, raised, kept, probes = among
    survives = raised <= rules.alpha
    return HolmRecord(
        probes=probes,
        p=six_digits(p),
        p_holm=six_digits(raised),
        survives=survives,
        rung=kept,
        reason=_hopeless(resting_on(verdict), probes, rules),
        sentence=sentence(verdict, "" if survives else failing(kept, probes)),
    )


def failing(rung: int, probes: int) -> str:
    """What a sentence says of a claim that does not survive; ``rung`` is the highest whose claim does, 0 if none."""
    return f" (Holm: rung {rung})" if rung > REPORTED else f" (fails Holm, {probes} probes)"


def _hopeless(rungs: list[RungRecord], probes: int, rules: VerdictParams) -> str:
    """That a design is too small for so many probes; empty where it is not."""
    worst = max((rung for rung in rungs if rung.floor is not None), key=lambda rung: rung.floor or 0.0, default=None)
    if worst is None or worst.floor is None or worst.floor * probes <= rules.alpha:
        return ""
    return (
        f"cannot survive Holm over {probes} probes by itself: rung {worst.rung} gives no p below {worst.floor:.3g}, "
        f"and {rules.alpha / probes:.2g} would be needed"
    )
