"""What heads did when they were swapped between wordings, in words: the tests of rung 7, and what decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plantain.records.causal import CausalTable, DonatedRow, RouteRow, SwappedSet
from plantain.records.verdict import NAMES, ControlRecord, SwapsRecord
from plantain.report import words as wording
from plantain.report.result import Result

UNKNOWN: Final = "not tested: this verdict is of a revision that swapped no heads"


@dataclass(frozen=True)
class SwapTestLine:
    """One test of rung 7."""

    name: str
    asks: str
    """What it asks, as a question."""
    answer: str
    """What was found, without p."""
    p: str
    floor: str
    """The smallest p that its design allows."""
    passed: bool


@dataclass(frozen=True)
class SetLine:
    """What sets of one kind do, as text; a range where there are several."""

    name: str
    heads: str
    shared: str
    into_a: str
    into_b: str
    sufficiency: str
    necessity: str
    redundancy: str
    off_axis: str
    dose: str


@dataclass(frozen=True)
class DonorLine:
    """The donors' statistic with other donors or another set, as text."""

    name: str
    statistic: str
    p: str
    floor: str
    apart: str


@dataclass(frozen=True)
class RouteLine:
    """Swaps at some tokens alone, as text."""

    tokens: str
    all_heads: str
    chosen: str


def swaps_of(result: Result) -> SwapsRecord | None:
    """What the verdict says of swapped heads; None where it is of an older revision."""
    return result.verdict.swaps if result.verdict else None


def swap_table(result: Result) -> CausalTable | None:
    """The interventions of this cell's inputs; None where there are none."""
    found = swaps_of(result)
    return found.table if found else None


def untested(result: Result) -> str:
    """Why no head was swapped, as a sentence; empty where heads were."""
    found = swaps_of(result)
    if found is None:
        return f"{UNKNOWN[0].upper()}{UNKNOWN[1:]}."
    return f"Not tested: {found.problem}." if found.table is None else ""


_TESTS: Final = {
    "gate": (
        "Output gate",
        "Do the sides change the one-step velocity more than rewording does?",
        "the sides change it more than rewording does",
        "that they do was not shown",
    ),
    "donors": (
        "Donor labels",
        "Put into neutral sentences, do the heads do other things from wordings of one side than of the other?",
        "what the heads do depends on the side that they come from",
        "that it matters which side they come from was not shown",
    ),
    "selection": (
        "Selection",
        "Do heads that rank first in the map carry more of the change than the same ranking on relabelled wordings?",
        "the map's order of heads follows what each carries alone",
        "that the map's order follows what each carries was not shown",
    ),
}


def tests_said(result: Result) -> list[SwapTestLine]:
    """The tests in the order in which they count; empty where no head was swapped."""
    found, table = swaps_of(result), swap_table(result)
    if found is None or table is None:
        return []
    lines = []
    for one in table.tests:
        name, asks, yes, no = _TESTS[one.name]
        passed = one.p <= found.alpha
        lines.append(SwapTestLine(name, asks, yes if passed else no, _p(one.p), _p(one.floor), passed))
    donors = wording.number(table.test("donors").statistic)
    for rank in found.ranks:
        reached = round(rank.p * (rank.draws + 1)) - 1
        count = "none reaches" if not reached else f"{reached} reach" if reached > 1 else "one reaches"
        largest = wording.number(rank.largest)
        answer = f"{count} its donors\N{RIGHT SINGLE QUOTATION MARK} statistic ({donors}; largest {largest})"
        asks = f"More so than in {rank.draws} untrained draws of {rank.family}, each with a set of heads of its own?"
        lines.append(
            SwapTestLine("Untrained draws", asks, answer, _p(rank.p), _p(1 / (rank.draws + 1)), rank.p <= found.alpha)
        )
    return lines


def rung_line(result: Result) -> str:
    """What became of rung 7, in a sentence; empty where it was not judged."""
    rungs = result.verdict.rungs if result.verdict else []
    top = next((one for one in rungs if one.rung == len(NAMES)), None)
    if top is None:
        return ""
    return f"Rung {top.rung}, {top.name}: {top.status}{f', since {top.reason}' if top.reason else ''}."


def swaps_lines(result: Result) -> list[str]:
    """The tests in a line or two, for the terminal."""
    found = tests_said(result)
    if not found:
        return [f"swapped heads: {untested(result)[0].lower()}{untested(result)[1:]}"]
    held = "; ".join(f"{one.name.lower()} {'held' if one.passed else 'not shown'} (p = {one.p})" for one in found)
    table = swap_table(result)
    row = table.chosen if table else None
    if row is None:
        return [f"swapped heads: {held}"]
    share = f"{row.heads} heads carry {wording.percent(row.sufficiency)} of the change between the sides"
    alike = [one for one in (table.sets if table else ()) if one.how == "dose"]
    beside = f", others of like dose {_range([one.sufficiency for one in alike], percent=True)}" if alike else ""
    return [f"swapped heads: {held}", f"{share}{beside}; a description"]


def set_lines(result: Result) -> list[SetLine]:
    """What each kind of set does, the chosen one first."""
    table = swap_table(result)
    if table is None:
        return []
    kinds: dict[tuple[str, str], list[SwappedSet]] = {}
    for one in table.sets:
        kinds.setdefault((one.how, one.of), []).append(one)
    return [_set_line(rows) for rows in kinds.values()]


_SETS: Final = {
    "chosen": "the set, chosen by dose",
    "kind": "random heads of its block kinds",
    "dose": "other heads of like dose",
    "direction": "as many, first in the map by direction",
    "magnitude": "as many, first in the map by magnitude",
    "probe": "the set of {0}",
    "paraphrase": "the set, from another wording of the same side",
}


def _set_line(rows: Sequence[SwappedSet]) -> SetLine:
    first = rows[0]
    several = f" ({len(rows)} draws)" if len(rows) > 1 else ""
    needed = [one.necessity for one in rows if one.necessity is not None]
    gap = [one.redundancy for one in rows if one.redundancy is not None]
    return SetLine(
        name=_SETS[first.how].format(first.of) + several,
        heads=wording.number(first.heads),
        shared=_range([one.shared for one in rows], whole=True),
        into_a=_range([one.into_a for one in rows]),
        into_b=_range([one.into_b for one in rows]),
        sufficiency=_range([one.sufficiency for one in rows]),
        necessity=_range(needed),
        redundancy=_range(gap),
        off_axis=_range([one.off_axis for one in rows]),
        dose=_range([one.dose for one in rows]),
    )


def donor_lines(result: Result) -> list[DonorLine]:
    """The donors' test, then the same statistic otherwise."""
    table = swap_table(result)
    if table is None or not table.donors:
        return []
    main = table.test("donors")
    first = DonorLine("the set, chosen by dose", wording.number(main.statistic), _p(main.p), _p(main.floor), "1")
    controls = {one.contrast: one for one in result.verdict.controls} if result.verdict else {}
    return [first, *(_donor_line(one, controls.get(one.contrast)) for one in table.donors)]


def _donor_line(one: DonatedRow, control: ControlRecord | None) -> DonorLine:
    """A row; a control that has the same words should give nothing, one that has the same picture may give as much."""
    what = "" if control is None else " (the same words elsewhere)" if control.of_words else " (the same picture)"
    names = {
        "direction": _SETS["direction"],
        "magnitude": _SETS["magnitude"],
        "paraphrase": "the set; wordings of a side against others of the same side",
        "decoy": f"the set; donors from the control {one.contrast}{what}",
    }
    return DonorLine(
        names[one.kind], wording.number(one.statistic), _p(one.p), _p(one.floor), wording.number(one.apart, 2)
    )


_ROUTES: Final = {
    "image": "image (noise and reference)",
    "noise": "noise",
    "reference": "reference",
    "text": "text and padding",
}


def route_lines(result: Result) -> list[RouteLine]:
    """What all heads, and the set, carry at some tokens."""
    table = swap_table(result)
    return [_route_line(one) for one in table.routes] if table else []


def _route_line(one: RouteRow) -> RouteLine:
    return RouteLine(_ROUTES[one.tokens], wording.fixed(one.all_heads), wording.fixed(one.chosen))


def swap_facts(result: Result) -> list[str]:
    """How large the change is, how it is spread over heads, and what the run checked on itself."""
    table = swap_table(result)
    if table is None:
        return []
    change, add = wording.percent(table.output_change), wording.fixed(table.additivity)
    found = [
        f"The sides change the velocity of the one step by {change} of its size, mean over pairs of wordings.",
        f"Heads swapped one by one carry {add} in sum, over all heads; where that is not 1, they do not act "
        "independently of one another.",
    ]
    if table.areas is not None:
        cpr, cmd, *others = map(wording.fixed, table.areas.model_dump().values())
        found.append(
            f"Area under the curve of shares, over the logarithm of the number of heads (CPR): {cpr}, of random heads "
            f"{others[0]}; area of its distance from 1 (CMD): {cmd}, of random heads {others[1]}."
        )
    return [*found, _identities(table)]


def _identities(table: CausalTable) -> str:
    known = table.identities
    own, whole = known.get("self_swap", 0.0), known.get("all_heads", 1.0)
    return (
        f"Checked in this run: heads swapped with those of the same pass change the velocity by {wording.number(own)}; "
        f"all heads at image tokens carry {wording.number(whole, 6)} of the change, off its axis "
        f"{wording.number(known.get('off_axis'), 2)}; swaps in a batch differ from single ones by "
        f"{wording.number(known.get('batch'), 2)}. Every swap was seen and changed something."
    )


UNCLAIMED: Final = (
    "That these heads are necessary. Others can often do as well (the gap between what the set carries and what is "
    "lost without it), and a test of necessity alone would call an operation absent that is there twice.",
    "That the operation is localised in them, or that they are the whole circuit. Sets of like dose carry a share too, "
    "and so do sets chosen by another rule.",
    "That the idea is the cause and not its words: a word may change a picture as well. These tests claim no more than "
    "rung 3 and its deciding controls do.",
    "Anything of further steps, other noise seeds or other reference images: the change is that of one step, with one "
    "seed and one image.",
)


def design_line(result: Result) -> str:
    """What was swapped, in a sentence."""
    table = swap_table(result)
    if table is None:
        return ""
    chosen, donors = (len(table.wordings[half]) for half in ("selection", "test"))
    items = [len(table.items[half]) for half in ("selection", "test")]
    into = " and ".join(table.recipients)
    return (
        f"{len(table.heads)} of {len(table.mediation_by_head)} heads were chosen by the {table.chosen_by}, on {chosen} "
        f"wordings and {items[0]} items. All numbers here are of {donors} other wordings and {items[1]} other items. "
        f"The neutral sentences are {into}."
    )


def curve_words(result: Result) -> str:
    """The size curve in words."""
    table = swap_table(result)
    parts = [f"{one.heads} heads {wording.fixed(one.sufficiency)}" for one in (table.curve if table else ())]
    return f"Share of the change that the first heads of the map carry: {', '.join(parts)}."


def _p(value: float) -> str:
    return wording.number(value, 2)


def _two_decimals(value: float) -> str:
    """A share; one that rounds to zero has no sign."""
    return wording.fixed(round(value, 2) + 0.0)


def _range(values: Sequence[float], *, whole: bool = False, percent: bool = False) -> str:
    """One number, or the least and the largest of several."""
    if not values:
        return wording.DASH
    said = wording.percent if percent else wording.number if whole else _two_decimals
    ends = list(dict.fromkeys(said(value) for value in (min(values), max(values))))
    return " to ".join(ends)
