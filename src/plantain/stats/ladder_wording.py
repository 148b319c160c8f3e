"""A verdict in one plain sentence, which claims what the highest unbroken rung guarantees and nothing above it."""

from collections.abc import Sequence

from plantain.stats.ladder_evidence import Rung, Status

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
