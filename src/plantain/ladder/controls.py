"""What deciding controls say of a target: the same words elsewhere, or the same picture in other words."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from plantain.base.files import six_digits
from plantain.base.params import VerdictParams
from plantain.ladder.evidence import ControlEvidence, Evidence, Rung
from plantain.ladder.rungs import compare_rows
from plantain.probe.spec import Decides
from plantain.records.verdict import ControlRecord, Status, Weighed
from plantain.stats.control import ControlTest, control_test
from plantain.stats.template import TemplateTest


def weigh(controls: Iterable[ControlEvidence], rules: VerdictParams) -> tuple[ControlRecord, ...]:
    """The outcome of every deciding control."""
    return tuple(_of_words(one, rules) if one.decides is Decides.words else _of_picture(one, rules) for one in controls)


def _of_words(control: ControlEvidence, rules: VerdictParams) -> ControlRecord:
    own = _own(control, rules)
    record = _record(control, own)
    if control.target is None or control.control is None:
        return record.model_copy(update={"reason": f"words not excluded: {control.problem}"})
    test = control_test(
        control.target,
        control.control,
        permutations=rules.permutations,
        confidence=1 - rules.alpha,
        seed=rules.seed,
    )
    if test.floor_p > rules.alpha:
        why = f"words not excluded: the smallest p that these frames can give is {test.floor_p:.3g}"
        return record.model_copy(update={"reason": why, "floor": six_digits(test.floor_p)})
    numbers = {"p": six_digits(test.simes_p), "floor": six_digits(test.floor_p), "number": test.lower_bound}
    outcome, reason = _outcome(test, own, control, rules)
    return record.model_copy(update=numbers | {"outcome": outcome, "reason": reason})


def _outcome(
    test: ControlTest, own: TemplateTest | None, control: ControlEvidence, rules: VerdictParams
) -> tuple[Weighed, str]:
    """What a words-control that could be tested says, and in words."""
    p, rows = f"p = {test.simes_p:.3g}", f"{test.rows[0]} + {test.rows[1]} frames"
    if test.lower_bound >= 1:
        return Weighed.differs, (
            f"words alone are excluded: at least {test.lower_bound} heads separate the sides otherwise than the same "
            f"words do in '{control.name}' ({p}, {rows})"
        )
    unlike = f"no head was shown to separate them otherwise than the same words do in '{control.name}' ({p}, {rows})"
    if own is not None and own.lower_bound >= 1:
        return (
            Weighed.lexical,
            f"lexical: the control separates its own sides (p = {own.simes_p:.3g}), and {unlike}",
        )
    said = f"p = {own.simes_p:.3g}" if own is not None else control.own_problem
    return (
        Weighed.alike,
        f"words not excluded: {unlike}; nor was the control shown to separate its own sides ({said})",
    )


def _of_picture(control: ControlEvidence, rules: VerdictParams) -> ControlRecord:
    own = _own(control, rules)
    record = _record(control, own)
    if own is None or own.floor_p > rules.alpha:
        why = control.own_problem or f"the smallest p that its wordings can give is {own.floor_p if own else 1:.3g}"
        return record.model_copy(update={"reason": f"'{control.name}' was not tested: {why}"})
    numbers = {"p": six_digits(own.simes_p), "floor": six_digits(own.floor_p), "number": own.lower_bound}
    passed = own.lower_bound >= 1
    said = f"at least {own.lower_bound} heads separate" if passed else "no head was shown to separate"
    reason = f"the same change of the picture without the words: {said} its sides (p = {own.simes_p:.3g})"
    return record.model_copy(
        update=numbers | {"outcome": Weighed.passes if passed else Weighed.fails, "reason": reason}
    )


def _record(control: ControlEvidence, own: TemplateTest | None) -> ControlRecord:
    return ControlRecord(
        contrast=control.name,
        decides=str(control.decides),
        outcome=Weighed.untested,
        p=None,
        floor=None,
        number=None,
        own_p=None if own is None else six_digits(own.simes_p),
        reason="",
    )


def _own(control: ControlEvidence, rules: VerdictParams) -> TemplateTest | None:
    """Rung 3 of the control's own sides; None where it cannot be tested."""
    if control.own is None:
        return None
    found = compare_rows(control.own, None, rules)
    return found if found.floor_p <= rules.alpha else replace(found, lower_bound=0)


def overruled(rung: Rung, controls: Sequence[ControlRecord], evidence: Evidence) -> Rung:
    """Rung 3 once the words are weighed: not passed where the target is lexical, whatever its clusters say."""
    words = [one for one in controls if one.of_words]
    lexical = [one for one in words if one.outcome is Weighed.lexical]
    against = [one for one in words if evidence.against and one.outcome is not Weighed.differs]
    if not lexical and not (against and rung.status is Status.passed):
        return rung
    found = (lexical or against)[0]
    status = Status.failed if found.p is not None else Status.untested
    alone = f"; its wordings alone gave at least {rung.number:.0f} heads" if rung.status is Status.passed else ""
    measures = f"heads that tell it from control '{found.contrast}', lower bound"
    return replace(
        rung, status=status, measures=measures, number=found.number, p=found.p, floor=found.floor,
        reason=found.reason + alone, guarantee="",
    )  # fmt: skip


def control_metrics(controls: Sequence[ControlRecord]) -> dict[str, float]:
    """The numbers of the deciding controls for tables: of several of a kind, the one with the largest p."""
    numbers: dict[str, float] = {}
    for kind in Decides:
        tested = [one for one in controls if one.decides == kind and one.p is not None]
        if tested:
            worst = max(tested, key=lambda one: one.p or 0.0)
            named = {"p": worst.p, "own_p": worst.own_p, "heads_lower_bound": worst.number}
            numbers |= {f"{kind}_control_{name}": float(value) for name, value in named.items() if value is not None}
    return numbers
