"""The one sentence of a verdict: the weakest true claim, and what else may explain it. Details stand with the rungs."""

from collections.abc import Iterator

from plantain.records.verdict import NAMES, Climb, ControlRecord, RungRecord, Status, Weighed

MOST_WORDS = 25

_DIFFER = "at least {1} heads differ"
_UNTRAINED, _REPEATED = ", beyond untrained draws", ", some in every run"
_NEXT = {
    3: "untrained networks may do so too",
    4: "token count may explain it",
    5: "noise or images may explain it",
    6: "what they cause is untested",
    7: "not shown to be necessary",
}
"""What may explain a claim that ends at a rung: what the next rung would have excluded."""


def sentence(climb: Climb, correction: str = "") -> str:
    """What may be said, in at most `MOST_WORDS` words; ``correction`` is what becomes of it among other probes.

    What strengthens the claim is left out, last rung first, before what weakens it: the rest is true as it stands.
    """
    lead = f"Rung {climb.rung} of {len(NAMES)}: "
    said = _low(climb) if climb.rung < 3 else _high(climb, correction, len(lead.split()))
    return _singular(lead + said) + "."


def _low(climb: Climb) -> str:
    """The claim of a climb that did not pass rung 3, and that its words may explain it."""
    first, third = climb.rungs[0], climb.rungs[2]
    if climb.rung < 1:
        if first.status is Status.failed:
            return "no head was shown to differ between the two sides"
        return "whether any head differs between these sentences was not tested"
    differ = _DIFFER.replace("{1}", _count(first))
    p = "" if third.p is None else f"p = {third.p:.2g}"
    words = _overruling(climb)
    if words is not None:
        kind = "lexical, " if words.outcome is Weighed.lexical else ""
        return f"{kind}{differ}; none was shown to beyond control '{words.contrast}' (same words; {p})"
    if third.status is Status.failed:
        return f"{differ} between these sentences; rewording alone may do the same (rung 3: {p})"
    return f"{differ} between these sentences; rewording alone may do the same (rung 3 not tested)"


def _overruling(climb: Climb) -> ControlRecord | None:
    """The control that kept rung 3 from being passed, where one did."""
    if climb.rungs[2].status is not Status.failed:
        return None
    against = climb.design is not None and climb.design.control is not None
    words = [one for one in climb.controls if one.of_words and one.p is not None]
    lexical = [one for one in words if one.outcome is Weighed.lexical]
    alike = [one for one in words if against and one.outcome is not Weighed.differs]
    return next(iter(lexical or alike), None)


def _high(climb: Climb, correction: str, used: int) -> str:
    """The claim of a climb that passed rung 3, its rivals, and whether it survives the number of probes."""
    spread = " in place or spread" if climb.spread is not None and climb.spread.significant else ""
    core, rivals = _core(climb) + spread, _rivals(climb)
    weak = rivals + correction
    if not spread and not rivals:
        weak += f"; {_NEXT[climb.rung] if climb.rung != 6 else _uncaused(climb)}"
    strong = list(_strengths(climb))
    while strong and used + len(f"{core}{''.join(strong)}{weak}".split()) > MOST_WORDS:
        strong.pop()
    return f"{core}{''.join(strong)}{weak}"


def _uncaused(climb: Climb) -> str:
    """What rung 7 came to, where it was not passed."""
    return "not shown to cause it" if climb.rungs[6].status is Status.failed else _NEXT[6]


def _core(climb: Climb) -> str:
    against = climb.design.control if climb.design else None
    heads = f"at least {_count(climb.rungs[4 if climb.rung >= 5 else 2])} heads separate"
    if against is not None:
        return f"{heads} the sides beyond words ('{against}')"
    return f"{heads} wordings of equal length" if climb.rung >= 5 else f"{heads} the two sets of wordings"


def _rivals(climb: Climb) -> str:
    """What a control speaks for in place of the idea: this weakens the claim and always stands."""
    words = [one for one in climb.controls if one.of_words]
    if any(one.outcome is not Weighed.differs for one in words):
        return ", words not excluded"
    picture = next((one for one in climb.controls if one.outcome is Weighed.fails), None)
    return "" if picture is None else f", control '{picture.contrast}' fails"


def _strengths(climb: Climb) -> Iterator[str]:
    """What strengthens the claim, the most telling first."""
    if climb.rung >= 7:
        yield ", carrying the change"
    words = [one for one in climb.controls if one.of_words]
    carried = climb.design is not None and climb.design.control is not None
    if not carried and {one.outcome for one in words} == {Weighed.differs}:
        yield ", words alone excluded"
    if climb.rung >= 4:
        yield _UNTRAINED
    passing = next((one for one in climb.controls if one.outcome is Weighed.passes), None)
    if passing is not None:
        yield f", control '{passing.contrast}' passes"
    if climb.rung >= 6:
        yield _REPEATED


def _count(rung: RungRecord) -> str:
    return f"{int(rung.number or 0)}"


def _singular(claim: str) -> str:
    for verb, one in (("differ", "differs"), ("separate", "separates")):
        claim = claim.replace(f"at least 1 heads {verb}", f"at least 1 head {one}")
    return claim
