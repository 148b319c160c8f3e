"""``plantain published``: do the figures of the public model cards agree with one another?

A figure is read as it is printed: 0.74 stands for anything that rounds to 0.74, so that a derived number agrees if it
does so too.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from plantain.commands.group import group
from plantain.errors import CheckFailed, InputError
from plantain.probe.design import design
from plantain.probe.revision import load

app = group("Look at the figures of the published cards.")

JOINT_UNITS, SINGLE_UNITS = 192, 768
"""16-channel groups of an attention output projection in a joint and in a single block of FLUX.2 Klein 4B."""
JOINT_BLOCKS, SINGLE_BLOCKS = 5, 20


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


@dataclass(frozen=True)
class Card:
    """A card's figures as printed."""

    name: str
    probe: str
    contrast: str
    metrics: dict[str, str]
    blocks: tuple[dict[str, str], ...]
    claims: dict[str, str]

    def number(self, name: str) -> float | None:
        """A metric, or None where the card does not give it."""
        return float(self.metrics[name]) if name in self.metrics else None


@app.command()
def check(
    probes: Annotated[list[str] | None, typer.Argument(help="Cards of these probes; all where none is named.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Re-derive every percentage and ratio of the published cards; exit 1 if one disagrees with the others."""
    cards = [card for card in read_cards(Path("reports/published")) if not probes or card.probe in probes]
    found = [finding for card in cards for finding in findings(card)]
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))
    if any(finding.answer is Answer.disagrees for finding in found):
        raise typer.Exit(CheckFailed.exit_code)


def read_cards(folder: Path) -> list[Card]:
    """Every card under ``folder``, numbers as text, since how precisely a figure is printed is part of it."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise InputError("there is no published card.", file=folder, fix="restore reports/published with git.")
    return [_card(path) for path in paths]


def findings(card: Card) -> Iterator[Finding]:
    """Everything that can be said of a card's figures."""
    for derive in (_fractions, _ratios, _order, _reliability, _blocks, _claims):
        yield from derive(card)


def agrees(printed: str, derived: float) -> bool:
    """Whether ``derived`` rounds to ``printed``, to the digits that are printed."""
    exponent = Decimal(printed).as_tuple().exponent
    step = Decimal(1).scaleb(int(exponent))
    return abs(Decimal(repr(derived)) - Decimal(printed)) <= step / 2


def _card(path: Path) -> Card:
    data: dict[str, Any] = YAML(typ="base").load(path.read_text(encoding="utf-8"))
    try:
        metrics, blocks = dict(data["metrics"]), tuple(dict(row) for row in data.get("blocks") or ())
        return Card(data["card"], data["probe"], data["contrast"], metrics, blocks, dict(data.get("claims") or {}))
    except (KeyError, TypeError) as error:
        fix = "the other files of this folder show what a card needs."
        raise InputError(f"not a card ({error}).", file=path, fix=fix) from None


def _fractions(card: Card) -> Iterator[Finding]:
    """A share is its count over all units."""
    units = card.number("units")
    for name, printed in card.metrics.items():
        count = card.number(name.removesuffix("_fraction"))
        if name.endswith("_fraction") and count is not None and units:
            yield _against(card, name, printed, count / units, f"{count:.0f} / {units:.0f}")


def _ratios(card: Card) -> Iterator[Finding]:
    """A ratio is its count over the null's p99, where the card gives that."""
    for name, printed in card.metrics.items():
        if not name.startswith("observed_over_null_p99_"):
            continue
        threshold = name.rpartition("_")[2]
        count, p99 = card.number(f"heads_over_{threshold}"), card.number(f"null_p99_{threshold}")
        if count is not None and p99:
            yield _against(card, name, printed, count / p99, f"{count:.0f} / {p99:.0f}")
        elif count is not None:
            low, high = (count / bound for bound in reversed(_interval(printed)))
            implied = f"the null's p99 is not given; it would lie between {low:.5g} and {high:.5g}"
            whole = math.floor(high) >= math.ceil(low)
            yield Finding(card.name, name, printed, implied, Answer.unchecked if whole else Answer.disagrees)


def _order(card: Card) -> Iterator[Finding]:
    """Counts fall as thresholds rise; |d| over 0.8 is |t| over 0.8 root n."""
    pairs, counts = card.number("pairs"), _counts(card)
    for (low, more), (high, fewer) in pairwise(counts):
        figure = f"heads over |t| {low:.3g} and {high:.3g}"
        answer = Answer.agrees if more >= fewer else Answer.disagrees
        yield Finding(card.name, figure, f"{more:.0f}, {fewer:.0f}", "the second is no larger", answer)
    largest = card.number("max_abs_t")
    if largest is not None and pairs:
        derived = f"largest |d| {largest / math.sqrt(pairs):.2f}; nothing to hold it against"
        blocks = [float(row["max_abs_t"]) for row in card.blocks]
        if blocks:
            answer = Answer.agrees if max(blocks) == largest else Answer.disagrees
            yield Finding(card.name, "max_abs_t", f"{largest:g}", f"largest of the blocks {max(blocks):g}", answer)
        else:
            yield Finding(card.name, "max_abs_t", f"{largest:g}", derived, Answer.unchecked)
    for name in ("null_mean_t3", "null_mean_t5"):
        if name in card.metrics:
            yield Finding(card.name, name, card.metrics[name], "needs the differences of every pair", Answer.unchecked)


def _counts(card: Card) -> list[tuple[float, float]]:
    """Threshold on |t| and count, in ascending order of the threshold."""
    pairs = card.number("pairs") or math.nan
    thresholds = {"heads_over_t3": 3.0, "heads_over_t5": 5.0, "heads_over_d08": 0.8 * math.sqrt(pairs)}
    known = [(threshold, card.number(name)) for name, threshold in thresholds.items()]
    return sorted((threshold, count) for threshold, count in known if count is not None)


def _reliability(card: Card) -> Iterator[Finding]:
    """A median lies between its quartiles."""
    low, middle, high = (card.number(f"split_half_r{end}") for end in ("_q25", "", "_q75"))
    if low is not None and middle is not None and high is not None:
        answer = Answer.agrees if low <= middle <= high else Answer.disagrees
        yield Finding(card.name, "split_half_r", f"{middle:g}", f"between {low:g} and {high:g}", answer)


def _blocks(card: Card) -> Iterator[Finding]:
    """What a table of blocks says about itself and about the whole."""
    units = JOINT_BLOCKS * JOINT_UNITS + SINGLE_BLOCKS * SINGLE_UNITS
    if "units" in card.metrics:
        derived = f"{JOINT_BLOCKS} x {JOINT_UNITS} + {SINGLE_BLOCKS} x {SINGLE_UNITS} groups of 16 channels"
        yield _against(card, "units", card.metrics["units"], units, derived)
    for row in card.blocks:
        yield from _block(card, row)


def _block(card: Card, row: dict[str, str]) -> Iterator[Finding]:
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
    yield Finding(card.name, f"{name} over_t3", f"{row['over_t3']} of {row['units']} ({share:.0%})", derived, answer)


def _claims(card: Card) -> Iterator[Finding]:
    """What a card says of its prompts, held against the prompts."""
    if "substituted_words" not in card.claims:
        return
    expansion = load(card.probe, Path())
    contrast = next(one for one in expansion.contrasts if one.name == card.contrast)
    changed = design(contrast, expansion.records).changed_words
    if changed is None:
        return
    claimed, (a, b) = int(card.claims["substituted_words"]), (changed.only_a[0], changed.only_b[0])
    exact = changed.only_a == changed.only_b == (claimed, claimed)
    derived = f"{a} words against {b}" + ("" if changed.matched else ", so the two prompts are not equally long")
    printed = f"a matched substitution of {claimed} words"
    yield Finding(card.name, "prompts", printed, derived, Answer.agrees if exact else Answer.disagrees)


def _against(card: Card, figure: str, printed: str, derived: float, how: str) -> Finding:
    answer = Answer.agrees if agrees(printed, derived) else Answer.disagrees
    return Finding(card.name, figure, printed, f"{how} = {derived:.6g}", answer)


def _interval(printed: str) -> tuple[float, float]:
    """The numbers that round to ``printed``."""
    exponent = Decimal(printed).as_tuple().exponent
    half = Decimal(1).scaleb(int(exponent)) / 2
    return float(Decimal(printed) - half), float(Decimal(printed) + half)


def _lines(found: list[Finding]) -> Iterator[str]:
    tally = Counter(finding.answer for finding in found)
    for finding in found:
        yield f"{finding.answer.value:<17}  {finding.card}  {finding.figure}: {finding.printed}  ({finding.derived})"
    yield ""
    yield f"{len(found)} figures: " + ", ".join(f"{tally[answer]} {_plural(answer)}" for answer in Answer) + "."


def _plural(answer: Answer) -> str:
    return {Answer.agrees: "agree", Answer.disagrees: "disagree", Answer.unchecked: "cannot be checked"}[answer]
