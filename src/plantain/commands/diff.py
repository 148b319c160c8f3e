"""``plantain diff``: what differs between two results, runs or revisions, and what can have caused it."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Params
from plantain.report.columns import shortened, wrapped
from plantain.track.address import Found, everything, find, parse
from plantain.track.difference import Change, Difference, compare
from plantain.track.headlines import Headline
from plantain.track.regrouped import ConditionChange, ItemChange
from plantain.track.sides import Side

WORKSPACE = "workspace"
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SHOWN = 20
_LABEL = 60

Before = Annotated[str, typer.Argument(help="PROBE@MODEL[@REV][:CONTRAST], a run id, or a revision.")]
After = Annotated[str, typer.Argument(help="The same; `workspace` is what stands here.")]
Json = Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")]
Every = Annotated[bool, typer.Option("--every", help="List every number, not only the first 20 of a result.")]


def diff(before: Before = "HEAD", after: After = WORKSPACE, *, every: Every = False, as_json: Json = False) -> None:
    """Verdict, headline numbers, prompts, parameters, code and environment of two results, and what moved what."""
    root, params = Path(), read_params()
    old, new = _found(root, before, params), _found(root, after, params)
    pairs = _pairs(old, new)
    if not pairs:
        raise InputError(f"{before} and {after} have no result in common.", fix="name two results: PROBE@MODEL[@REV].")
    contrast = old.contrast or new.contrast
    found = [compare(left, right, _names(before, after, left, right), contrast) for left, right in pairs]
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    print("\n".join(line for one in found for line in _lines(one, None if every else _SHOWN)))


def _found(root: Path, text: str, params: Params) -> Found:
    if text == WORKSPACE:
        return everything(root)
    if "@" in text.removeprefix("HEAD@") or _RUN_ID.fullmatch(text):
        address = parse(text)
        return find(root, address, params.tracking)
    return everything(root, text)


def _pairs(old: Found, new: Found) -> list[tuple[Side, Side]]:
    """Cells of the same name; where each side is a single one, these two whatever their names."""
    if len(old.cells) == len(new.cells) == 1:
        return [(Side(old.cells[0], old.reader), Side(new.cells[0], new.reader))]
    left = {cell.name: cell for cell in old.cells}
    return [(Side(left[cell.name], old.reader), Side(cell, new.reader)) for cell in new.cells if cell.name in left]


def _names(before: str, after: str, left: Side, right: Side) -> tuple[str, str]:
    return _name(before, left), _name(after, right)


def _name(text: str, side: Side) -> str:
    is_result = text != WORKSPACE and "@" in text.removeprefix("HEAD@")
    return text if is_result else f"{side.cell.name} ({text})"


def _lines(found: Difference, most: int | None) -> Iterator[str]:
    yield from wrapped(f"{found.before} -> {found.after}")
    if found.empty:
        yield "  nothing differs"
        yield from _unread(found)
        return
    yield from _verdict(found)
    yield from _headline(found.headline)
    yield from _prompts(found)
    yield from _wordings(found)
    for change in found.changes:
        yield from _hung(_change(change))
    yield from _unread(found)
    if found.numbers and found.same_activations:
        yield "  The activations are the same bytes: nothing before the analysis caused a change."
    yield from _numbers(found, most)


def _unread(found: Difference) -> Iterator[str]:
    for name in found.unread:
        yield from _hung(
            f"The receipts of {name} are not here (`dvc fetch --all-commits` brings them where a remote holds them): "
            "its numbers and prompts are those of the ledger, and parameters, code and packages were not compared."
        )


def _hung(text: str) -> list[str]:
    return wrapped(text, first="  ", then="      ")


def _verdict(found: Difference) -> Iterator[str]:
    if found.verdict is None:
        return
    yield from _hung(f"verdict: {found.verdict}")
    for rung in found.verdict.rungs:
        why = f": {rung.reason}" if rung.reason else ""
        yield from wrapped(
            f"rung {rung.rung}, {rung.name}: {rung.before} -> {rung.after}{why}", first="    ", then="        "
        )


def _headline(rows: list[Headline]) -> Iterator[str]:
    """The numbers that stand first, side by side."""
    if not rows:
        return
    cells = [(shortened(one.name, _LABEL), _of(one.before, one.of[0]), _of(one.after, one.of[1])) for one in rows]
    name, left, right = (max(map(len, column)) for column in zip(*cells, ("", "before", "after"), strict=True))
    yield f"  {'':<{name}}  {'before':>{left}}  {'after':>{right}}"
    yield from (f"  {one:<{name}}  {old:>{left}}  {new:>{right}}" for one, old, new in cells)


def _of(value: float | None, units: float | None) -> str:
    return f"{_value(value)} of {units:g}" if value is not None and units else _value(value)


def _prompts(found: Difference) -> Iterator[str]:
    """What a person edited: a line a condition and a line an item, however many prompts that makes."""
    if not found.prompts:
        return
    yield f"  {_several(len(found.prompts), 'prompt')} differ{'s' if len(found.prompts) == 1 else ''}"
    for condition in found.conditions:
        yield from wrapped(_condition(condition), first="  ", then="      ")
    for word, items in _by_word(found.items).items():
        if word != "edited":
            yield from _hung(f"{_several(len(items), 'item')} {word}: {', '.join(one.item for one in items)}")
            continue
        for one in items:
            yield from _hung(f"item {one.item} edited: {_fields(one)}")


def _condition(change: ConditionChange) -> str:
    how = f"({_several(change.prompts, 'prompt')}){', for example' if change.example else ''}"
    if change.before is None or change.after is None:
        word = "added" if change.before is None else "removed"
        return f'condition {change.condition} {word} {how}: "{change.before or change.after}"'
    if change.before == change.after:
        return f'condition {change.condition} has the same text and another reference {how}: "{change.before}"'
    return f'condition {change.condition} edited {how}: "{change.before}" -> "{change.after}"'


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _by_word(items: list[ItemChange]) -> dict[str, list[ItemChange]]:
    found: dict[str, list[ItemChange]] = {}
    for one in items:
        word = "added" if one.before is None else "removed" if one.after is None else "edited"
        found.setdefault(word, []).append(one)
    return found


def _fields(item: ItemChange) -> str:
    before, after = item.before or {}, item.after or {}
    return ", ".join(f"{name} {_said(before.get(name))} -> {_said(after.get(name))}" for name in {**before, **after})


def _said(value: object) -> str:
    return "absent" if value is None else f'"{value}"' if isinstance(value, str) else f"{value}"


def _wordings(found: Difference) -> Iterator[str]:
    for side in found.wordings:
        for word, wordings in (("dropped", side.dropped), ("added", side.added)):
            if wordings:
                yield from _hung(f"wording {word}, {side.contrast} {side.side}: {', '.join(map(str, wordings))}")
    if any(side.dropped for side in found.wordings):
        had = "had been published" if found.published else "are in no ledger there"
        yield from _hung(f"Numbers of the set with what was dropped {had} ({found.before}).")


def _change(change: Change) -> str:
    left, right = (_short(value) for value in (change.before, change.after))
    return f"{change.kind} {change.name}: {left} -> {right}  (read by {', '.join(change.stages)})"


def _numbers(found: Difference, most: int | None) -> Iterator[str]:
    causes: dict[tuple[str, ...], list[list[str]]] = {}
    for number in found.numbers:
        line = f"{number.name}: {_value(number.before)} -> {_value(number.after)}"
        causes.setdefault(number.causes, []).append(wrapped(line, first="    ", then="        "))
    for names, lines in causes.items():
        known = "not known without the receipts" if found.unread else "none of what the receipts record"
        yield from _hung(f"{_several(len(lines), 'number')} moved; possible causes: {', '.join(names) or known}")
        yield from chain.from_iterable(lines[:most])
        if most is not None and len(lines) > most:
            yield f"    and {len(lines) - most} more (--every lists them)"


def _value(value: float | None) -> str:
    return "absent" if value is None else f"{value:g}"


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value[:12] if re.fullmatch(r"[0-9a-f]{64}", value) else value
