"""The ladder of claims in words: what became of each rung, how large the concept is, what a control reaches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from plantain.records.verdict import NAMES, Climb, RungRecord, Status
from plantain.report import words as wording
from plantain.report.result import Result

SAID = (
    "some heads respond differently to these sentences",
    "the map of half the items is like that of the other half: a number, and no step of the climb",
    "the two sets of wordings differ more than wordings within a set",
    "the trained model separates them more than random weights do",
    "it holds among sentences of equal length",
    "it holds for every noise seed and reference image that was run",
    "changing the heads changes the picture",
)
"""What each rung says in plain words, in the order in which they are climbed."""

TERMS = (
    "A wording is one of the sentences that say the same thing. From rung 3 on, what a rewording changes counts as "
    "noise, and wordings of one side that share a word which the other side does without, or are copies, count as one.",
    "An untrained draw is the same network with random or shuffled weights, which knows nothing.",
    "Rungs are tested in this order, 1, 3, 4, 5, 6, 7, and the first that is not passed ends the climb; rung 2 is a "
    "number that is reported. Rung 1 counts heads over items, rung 3 over wordings and rung 5 over wordings of equal "
    "length, so their numbers need not agree.",
)


@dataclass(frozen=True)
class Amount:
    """One amount of concept information."""

    label: str
    value: str


def ladder(result: Result) -> list[RungRecord]:
    """Every rung of what stands first; where nothing was climbed, each says that it was not tested."""
    known = {rung.rung: rung for rung in (result.standing.rungs if result.standing else [])}
    return [
        known.get(place, RungRecord(rung=place, name=name, status=Status.untested, guarantee=said))
        for place, (name, said) in enumerate(zip(NAMES, SAID, strict=True), start=1)
    ]


def information(result: Result) -> list[Amount]:
    """Concept information beside that of the prompts and of untrained draws; empty where not measured."""
    if result.verdict is None or result.exploratory or result.verdict.information.model is None:
        return []
    told = result.verdict.information
    rows = (
        ("this model", told.model),
        ("prompt embeddings, before the first block", told.text),
        ("re-initialised draws, mean", told.reinit),
        ("shuffled draws, mean", told.shuffle),
    )
    return [Amount(said, wording.number(value)) for said, value in rows if value is not None]


def design_sentences(result: Result) -> list[str]:
    """What was compared from rung 3 on, in sentences; empty where it is not written down."""
    told = result.standing.design if result.standing else None
    if told is None:
        return []
    ties = [f"{_listed(tie.wordings)}: {_TIES[tie.reason].format(tie.shared)}." for tie in told.ties]
    if told.problem:
        return [f"Nothing could be compared: {told.problem}.", *ties]
    first, second = told.rows
    rows = {
        "frames": f"{first} frames of both sides; the sides are exchanged within each",
        "clusters": f"{first} + {second} clusters of {' + '.join(map(str, told.wordings))} wordings, exchanged freely",
        "control": f"{first} frames of this contrast with {second} of control '{told.control}', which has its words",
    }[told.scheme]
    said = f"Compared were {rows}. The smallest p that this allows is {wording.number(told.floor, 2)}."
    return [said, *_worth(result, min(told.wordings)), *ties]


def _worth(result: Result, wordings: int) -> list[str]:
    """What the wordings of the verdict's contrast are worth where nothing was learned: copies scatter less."""
    found = None if result.exploratory or result.verdict is None else result.verdict.information.effective_wordings
    if found is None:
        return []
    worth = (
        f"In re-initialised draws the {wordings} wordings of a side scatter as {wording.fixed(found)} independent ones."
    )
    return [f"{worth} Copies that no rule knows would make it fewer, and could still fool the rungs above."]


_TIES = {
    "word": "one piece of evidence, since they share \N{LEFT SINGLE QUOTATION MARK}{0}\N{RIGHT SINGLE QUOTATION MARK}",
    "copy": "one piece of evidence, since they are nearly the same sentence",
    "frame": "one piece of evidence, since they are of the frame {0}",
}


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def beside(result: Result) -> list[str]:
    """What stands beside the rungs: deciding controls, spread, items and wordings together."""
    climb = result.standing
    return [] if climb is None else [*controls(climb), *_spread(climb), *_both(climb)]


def controls(climb: Climb) -> Iterator[str]:
    """What each deciding control says, in a sentence."""
    for one in climb.controls:
        kind = "The same words elsewhere" if one.of_words else "The same picture in other words"
        yield f"{kind}, control {one.contrast}: {one.reason}."


def _spread(climb: Climb) -> Iterator[str]:
    spread = climb.spread
    if spread is None:
        return
    ratio = "" if spread.ratio is None else f"{wording.number(spread.ratio)} times as much as the second"
    said = "; a difference in spread may be all there is" if spread.significant else ""
    p = f"(p = {wording.number(spread.p, 2)})"
    yield f"The wordings of the first side scatter {ratio or 'and those of the second do not'} {p}{said}."


def _both(climb: Climb) -> Iterator[str]:
    if climb.both is not None:
        heads = wording.bound_phrase(climb.both.number)
        yield f"Over items and wordings together (description): {heads} differ (p = {wording.number(climb.both.p, 2)})."


def trend_sentence(result: Result) -> str:
    """Whether differences follow the items' rank beyond their token count; empty where items have no rank."""
    trend = result.verdict.trend if result.verdict and not result.exploratory else None
    if trend is None:
        return ""
    if not trend.identifiable or trend.heads_over is None:
        return "Rank and token count of the items cannot be told apart here, so no trend over rank is tested."
    return (
        f"With the token count of the prompts held constant, {trend.heads_over} heads follow the items' rank "
        f"(|t| over {trend.threshold:g}; p = {wording.number(trend.p)} by permuting items). Exploratory: a trend says "
        "that sentences about some items differ more than about others, not why."
    )


def reached(result: Result, contrast: str) -> str:
    """How far a contrast got: its rung, and the heads that separate its sides more than rewording does."""
    climb = result.climb(contrast)
    if climb is None:
        return "its ladder was not climbed"
    found = result.analysis(contrast, result.main.name)
    bound = found.metrics.get("selective_heads_lower_bound") if found else None
    said = "wordings not compared" if bound is None else f"heads beyond rewording: {wording.bound_phrase(bound)}"
    return f"{wording.rung_phrase(climb)}; {said}"
