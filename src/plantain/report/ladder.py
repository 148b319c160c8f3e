"""The ladder of claims in words: what became of each rung, how large the concept is, what a control reaches."""

from dataclasses import dataclass

from plantain.records.verdict import NAMES, RungRecord, Status
from plantain.report import words as wording
from plantain.report.result import Result

SAID = (
    "some heads respond differently to these sentences",
    "the map repeats on items that were not used to draw it",
    "the idea matters more than its wording",
    "the trained model separates it more than random weights do",
    "it holds among sentences of equal length",
    "it holds for every noise seed and reference image that was run",
    "changing the heads changes the picture",
)
"""What each rung says in plain words, in the order in which they are climbed."""

TERMS = (
    "A wording is one of the sentences that say the same thing. From rung 3 on, a row of the test is a wording: what a "
    "rewording changes counts as noise.",
    "An untrained draw is the same network with random or shuffled weights, which knows nothing.",
    "Rungs are tested in this order, and the first that is not passed ends the climb. Rung 1 counts heads over items, "
    "rung 3 over wordings and rung 5 over wordings of equal length, so their numbers need not agree.",
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
    """Concept information beside that of the prompts, of untrained draws and of chance; empty where not measured."""
    if result.verdict is None or result.exploratory or result.verdict.information.model is None:
        return []
    told = result.verdict.information
    rows = (
        ("this model", told.model),
        ("prompt embeddings, before the first block", told.text),
        ("re-initialised draws, mean", told.reinit),
        ("shuffled draws, mean", told.shuffle),
        ("by chance, for so few wordings", result.verdict.metrics.get("concept_information_chance")),
    )
    return [Amount(said, wording.number(value)) for said, value in rows if value is not None]


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
