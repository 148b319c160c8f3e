"""``plantain published``: do the figures of the public model cards agree with one another, and what are ours?

A figure is read as it is printed: 0.74 stands for anything that rounds to 0.74, so that a derived number agrees if it
does so too.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from plantain.base import places
from plantain.base.errors import CheckFailed, InputError
from plantain.commands.opening import group
from plantain.probe.authoring.check import design
from plantain.probe.authoring.diff import load_expansion, probe_path
from plantain.probe.records import ExpandedContrast, Expansion
from plantain.records.cells import read_cells
from plantain.report import words as wording
from plantain.report.columns import WIDTH, wrapped
from plantain.report.published import Abreast, Published, abreast, read_cards
from plantain.report.result import Result, load_result

app = group("Look at the figures of the published cards.")

JOINT_UNITS, SINGLE_UNITS = 192, 768
"""16-channel groups of an attention output projection in a joint and in a single block of FLUX.2 Klein 4B."""
JOINT_BLOCKS, SINGLE_BLOCKS = 5, 20
UNITS = JOINT_BLOCKS * JOINT_UNITS + SINGLE_BLOCKS * SINGLE_UNITS
PROBED = "FLUX.2 Klein 4B"
"""The model of which they are."""


class Answer(StrEnum):
    """What became of one figure."""

    agrees = "agrees"
    disagrees = "disagrees"
    unchecked = "cannot be checked"


@dataclass(frozen=True)
class Finding:
    """One figure of a card beside what follows from the card's others, or from its prompts."""

    card: str
    figure: str
    printed: str
    derived: str
    answer: Answer


@app.command()
def check(
    probes: Annotated[list[str] | None, typer.Argument(help="Cards of these probes; all where none is named.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Re-derive every percentage and ratio of the published cards, and set them beside the results of the last run.

    Exit 1 if a figure disagrees with the card's others. That a card's figure is not ours is no disagreement.
    """
    cards = _chosen(probes or [])
    found = [finding for card in cards for finding in findings(card)]
    ours = abreast([result for result in _results() if result.probe in {card.probe for card in cards}])
    if as_json:
        told = {"figures": [asdict(finding) for finding in found], "beside": [_told(one) for one in ours]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))
        _print_beside(cards, ours)
    if any(finding.answer is Answer.disagrees for finding in found):
        raise typer.Exit(CheckFailed.exit_code)


def _results() -> list[Result]:
    """The results of the last run, as far as they are in the workspace."""
    cells = read_cells(places.CELLS).names if places.CELLS.exists() else []
    here = [(probe, model) for probe, model in cells if places.summary(model, probe).exists()]
    return [load_result(Path(), probe, model) for probe, model in here]


def _told(one: Abreast) -> dict[str, Any]:
    models = [result.model for result in one.models]
    rows = [{"metric": row.name, "card": row.card, "models": dict(zip(models, row.models, strict=True))}
            for row in one.rows]  # fmt: skip
    return {"card": one.card.card, "probe": one.probe, "rows": rows}


def _print_beside(cards: Sequence[Published], ours: Sequence[Abreast]) -> None:
    """A table a card, and which cards have none."""
    console = Console(highlight=False, width=WIDTH)
    for one in ours:
        models = [
            f"{result.model}, untrained" if wording.is_untrained(result.lock) else result.model for result in one.models
        ]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column(f"{one.card.card} beside ours")
        for name in ("card", *models):
            table.add_column(name, justify="right", overflow="fold")
        for row in one.rows:
            table.add_row(row.label, row.card, *row.models)
        print()
        console.print(table)
    missing = [card.card for card in cards if card.card not in {one.card.card for one in ours}]
    if missing:
        said = f"No result here repeats the protocol of {', '.join(missing)}: run the probe, or `dvc pull`."
        print("\n" + "\n".join(wrapped(said)))


def _chosen(probes: list[str]) -> list[Published]:
    """The cards of these probes, or all.

    Raises:
        InputError: there is no card, or none of a probe that was named.
    """
    folder = places.PUBLISHED
    cards = read_cards(folder)
    if not cards:
        raise InputError("there is no published card.", file=folder, fix="restore reports/published with git.")
    known = list(dict.fromkeys(card.probe for card in cards))
    for name in probes:
        if name not in known:
            raise InputError(f"no card is of probe '{name}'.", file=folder, fix=f"use one of: {', '.join(known)}.")
    return [card for card in cards if not probes or card.probe in probes]


def findings(card: Published) -> Iterator[Finding]:
    """Everything that can be said of a card's figures."""
    for derive in (_fractions, _ratios, _order, _reliability, _blocks):
        yield from derive(card)
    if card.claims or probe_path(card.probe, Path()).exists():
        yield from _claims(card, load_expansion(card.probe, Path()))


def agrees(printed: str, derived: float) -> bool:
    """Whether ``derived`` rounds to ``printed``, to the digits that are printed."""
    exponent = Decimal(printed).as_tuple().exponent
    step = Decimal(1).scaleb(int(exponent))
    return abs(Decimal(repr(derived)) - Decimal(printed)) <= step / 2


def _fractions(card: Published) -> Iterator[Finding]:
    """A share is its count over all units: those that the card prints, else those of the model that it is of."""
    units = card.number("units") or (UNITS if card.model == PROBED else None)
    for name, printed in card.printed.items():
        count = card.number(name.removesuffix("_fraction"))
        if name.endswith("_fraction") and count is not None and units:
            yield _against(card, name, printed, count / units, f"{count:.0f} / {units:.0f}")
        elif name.endswith("_fraction"):
            missing = "the count" if count is None else "the number of units"
            yield Finding(card.card, name, printed, f"{missing} is not given", Answer.unchecked)


def _ratios(card: Published) -> Iterator[Finding]:
    """A ratio is its count over the null's p99, where the card gives that."""
    for name, printed in card.printed.items():
        if not name.startswith("observed_over_null_p99_"):
            continue
        threshold = name.rpartition("_")[2]
        count, p99 = card.number(f"heads_over_{threshold}"), card.number(f"null_p99_{threshold}")
        if count is not None and p99:
            yield _against(card, name, printed, count / p99, f"{count:.0f} / {p99:.0f}")
        elif count is not None:
            yield _implied(card, name, printed, count)


def _implied(card: Published, name: str, printed: str, count: float) -> Finding:
    """The p99 that a ratio implies, which is a whole number; a ratio that rounds to 0 implies none."""
    least, most = _interval(printed)
    if least <= 0:
        return Finding(card.card, name, printed, "the null's p99 is not given", Answer.unchecked)
    low, high = count / most, count / least
    implied = f"the null's p99 is not given; it would lie between {low:.5g} and {high:.5g}"
    whole = math.floor(high) >= math.ceil(low)
    return Finding(card.card, name, printed, implied, Answer.unchecked if whole else Answer.disagrees)


def _order(card: Published) -> Iterator[Finding]:
    """Counts fall as thresholds rise; |d| over 0.8 is |t| over 0.8 root n."""
    pairs, counts = card.number("pairs"), _counts(card)
    for (low, more), (high, fewer) in pairwise(counts):
        figure = f"heads over |t| {low:.3g} and {high:.3g}"
        answer = Answer.agrees if more >= fewer else Answer.disagrees
        yield Finding(card.card, figure, f"{more:.0f}, {fewer:.0f}", "the second is no larger", answer)
    largest = card.number("max_abs_t")
    if largest is not None and pairs:
        derived = f"largest |d| {largest / math.sqrt(pairs):.2f}; nothing to hold it against"
        blocks = [float(row["max_abs_t"]) for row in card.blocks]
        if blocks:
            answer = Answer.agrees if max(blocks) == largest else Answer.disagrees
            yield Finding(card.card, "max_abs_t", f"{largest:g}", f"largest of the blocks {max(blocks):g}", answer)
        else:
            yield Finding(card.card, "max_abs_t", f"{largest:g}", derived, Answer.unchecked)
    for name in ("null_mean_t3", "null_mean_t5"):
        if name in card.printed:
            yield Finding(card.card, name, card.printed[name], "needs the differences of every pair", Answer.unchecked)


def _counts(card: Published) -> list[tuple[float, float]]:
    """Threshold on |t| and count, in ascending order of the threshold."""
    pairs = card.number("pairs")
    thresholds = {"heads_over_t3": 3.0, "heads_over_t5": 5.0}
    thresholds |= {"heads_over_d08": 0.8 * math.sqrt(pairs)} if pairs else {}
    known = [(threshold, card.number(name)) for name, threshold in thresholds.items()]
    return sorted((threshold, count) for threshold, count in known if count is not None)


def _reliability(card: Published) -> Iterator[Finding]:
    """A median lies between its quartiles."""
    low, middle, high = (card.number(f"split_half_r{end}") for end in ("_q25", "", "_q75"))
    if low is not None and middle is not None and high is not None:
        answer = Answer.agrees if low <= middle <= high else Answer.disagrees
        yield Finding(card.card, "split_half_r", f"{middle:g}", f"between {low:g} and {high:g}", answer)


def _blocks(card: Published) -> Iterator[Finding]:
    """What a table of blocks says about itself and about the whole."""
    if "units" in card.printed:
        derived = f"{JOINT_BLOCKS} x {JOINT_UNITS} + {SINGLE_BLOCKS} x {SINGLE_UNITS} groups of 16 channels"
        yield _against(card, "units", card.printed["units"], UNITS, derived)
    for row in card.blocks:
        yield from _block(card, row)


def _block(card: Published, row: dict[str, str]) -> Iterator[Finding]:
    name, pairs = f"{row['block_kind']}[{row['block']}]", card.number("pairs")
    size = JOINT_UNITS if row["block_kind"] == "joint" else SINGLE_UNITS
    yield _against(card, f"{name} units", row["units"], size, "groups of its projection")
    if pairs is None:
        return
    low, high = (bound * math.sqrt(pairs) for bound in _interval(row["median_abs_d"]))
    share = float(row["over_t3"]) / float(row["units"])
    answer = Answer.agrees if (low > 3) == (share > 0.5) else Answer.disagrees
    derived = f"median |t| {low:.2f} to {high:.2f}, so {'over' if low > 3 else 'under'} half of its units exceed 3"
    if low <= 3 <= high:
        answer, derived = Answer.unchecked, f"median |t| {low:.2f} to {high:.2f}: on either side of 3"
    yield Finding(card.card, f"{name} over_t3", f"{row['over_t3']} of {row['units']} ({share:.0%})", derived, answer)


def _claims(card: Published, expansion: Expansion) -> Iterator[Finding]:
    """What a card says of its prompts, held against the prompts."""
    contrast = _contrast(card, expansion)
    changed = design(contrast, expansion.records).changed_words
    if "substituted_words" not in card.claims or changed is None:
        return
    claimed, (a, b) = round(float(card.claims["substituted_words"])), (changed.only_a[0], changed.only_b[0])
    exact = changed.only_a == changed.only_b == (claimed, claimed)
    derived = f"{a} words against {b}" + ("" if changed.matched else ", so the two prompts are not equally long")
    printed = f"a matched substitution of {claimed} words"
    yield Finding(card.card, "prompts", printed, derived, Answer.agrees if exact else Answer.disagrees)


def _contrast(card: Published, expansion: Expansion) -> ExpandedContrast:
    known = {one.name: one for one in expansion.contrasts}
    if card.contrast not in known:
        problem, fix = f"probe '{card.probe}' has no contrast '{card.contrast}'.", f"use one of: {', '.join(known)}."
        raise card.source.error(problem, "contrast", fix=fix) if card.source else InputError(problem, fix=fix)
    return known[card.contrast]


def _against(card: Published, figure: str, printed: str, derived: float, how: str) -> Finding:
    answer = Answer.agrees if agrees(printed, derived) else Answer.disagrees
    return Finding(card.card, figure, printed, f"{how} = {derived:.6g}", answer)


def _interval(printed: str) -> tuple[float, float]:
    """The numbers that round to ``printed``."""
    exponent = Decimal(printed).as_tuple().exponent
    half = Decimal(1).scaleb(int(exponent)) / 2
    return float(Decimal(printed) - half), float(Decimal(printed) + half)


def _lines(found: list[Finding]) -> Iterator[str]:
    tally = Counter(finding.answer for finding in found)
    for finding in found:
        said = f"{finding.card}  {finding.figure}: {finding.printed}  ({finding.derived})"
        yield from wrapped(said, first=f"{finding.answer.value:<17}  ", then=" " * 21)
    yield ""
    yield f"{len(found)} figures: " + ", ".join(f"{tally[answer]} {_plural(answer)}" for answer in Answer) + "."


def _plural(answer: Answer) -> str:
    return {Answer.agrees: "agree", Answer.disagrees: "disagree", Answer.unchecked: "cannot be checked"}[answer]
