"""``plantain diff``: what differs between two results, runs or revisions, and what can have caused it."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Params
from plantain.track.address import Found, everything, find, parse
from plantain.track.difference import Change, Difference, Side, compare

WORKSPACE = "workspace"
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SHOWN = 20

Before = Annotated[str, typer.Argument(help="PROBE@MODEL[@REV][:CONTRAST], a run id, or a revision.")]
After = Annotated[str, typer.Argument(help="The same; `workspace` is what stands here.")]
Json = Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")]
Every = Annotated[bool, typer.Option("--every", help="List every number, not only the first 20 of a result.")]


def diff(before: Before = "HEAD", after: After = WORKSPACE, *, every: Every = False, as_json: Json = False) -> None:
    """Prompts, parameters, code and environment that differ, each number's change, and its possible causes."""
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
    yield f"{found.before} -> {found.after}"
    if found.empty:
        yield "  nothing differs"
        return
    for prompt in found.prompts:
        word = "added" if prompt.before is None else "removed" if prompt.after is None else "edited"
        yield f"  prompt {word}: {prompt.record}"
        yield from (f"    - {prompt.before}",) if prompt.before is not None else ()
        yield from (f"    + {prompt.after}",) if prompt.after is not None else ()
    yield from _wordings(found)
    for change in found.changes:
        yield f"  {_change(change)}"
    if found.numbers and found.same_activations:
        yield "  The activations are the same bytes: nothing before the analysis caused a change."
    yield from _numbers(found, most)


def _wordings(found: Difference) -> Iterator[str]:
    for side in found.wordings:
        for word, wordings in (("dropped", side.dropped), ("added", side.added)):
            if wordings:
                yield f"  wording {word}, {side.contrast} {side.side}: {', '.join(map(str, wordings))}"
    if any(side.dropped for side in found.wordings):
        had = "had been published" if found.published else "are in no ledger there"
        yield f"  Numbers of the set with what was dropped {had} ({found.before})."


def _change(change: Change) -> str:
    left, right = (_short(value) for value in (change.before, change.after))
    return f"{change.kind} {change.name}: {left} -> {right}  (read by {', '.join(change.stages)})"


def _numbers(found: Difference, most: int | None) -> Iterator[str]:
    causes: dict[tuple[str, ...], list[str]] = {}
    for number in found.numbers:
        line = f"    {number.name}: {_value(number.before)} -> {_value(number.after)}"
        causes.setdefault(number.causes, []).append(line)
    for names, lines in causes.items():
        yield f"  {len(lines)} numbers moved; possible causes: {', '.join(names) or 'none of what the receipts record'}"
        yield from lines[:most]
        if most is not None and len(lines) > most:
            yield f"    and {len(lines) - most} more (--every lists them)"


def _value(value: float | None) -> str:
    return "absent" if value is None else f"{value:g}"


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value[:12] if re.fullmatch(r"[0-9a-f]{64}", value) else value
