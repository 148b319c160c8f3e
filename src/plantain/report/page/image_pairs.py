"""Image pairs: where the sides of a contrast are given other pictures, prompts alone tell nothing about them.

Small copies of the reference pictures then stand beside the prompts, inside the page as everything else is.
"""

from typing import Any, Final

from plantain.report.page.sections import Thumbnail, thumbnail
from plantain.report.result import Result

SIDE: Final = 96
"""Longer side of a small copy, in pixels."""

Given = dict[str, dict[str, list[str]]]
"""Names of the reference pictures of a wording, by condition and item."""


def given(result: Result) -> Given:
    """The pictures of every wording of a contrast whose sides are given other ones; empty where no contrast is so."""
    rows = result.records.select("item", "condition", "reference").iter_rows()
    every: Given = {}
    for item, condition, names in rows:
        every.setdefault(condition, {})[item] = list(names or [])
    shown = {
        name
        for one in result.analyses()
        if _pictures(every, one.summary.a) != _pictures(every, one.summary.b)
        for name in (*one.summary.a, *one.summary.b)
    }
    return {name: items for name, items in every.items() if name in shown}


def _pictures(every: Given, conditions: list[str]) -> set[tuple[str, str]]:
    """Each (item, picture) of a side."""
    return {(item, name) for one in conditions for item, names in every.get(one, {}).items() for name in names}


def for_script(result: Result) -> dict[str, Any]:
    """What the page's script shows beside the prompts of a pair: names by condition and item, and the pictures."""
    names = given(result)
    wanted = {name for items in names.values() for shown in items.values() for name in shown}
    pictures = {one.reference.name: one.data for one in _small(result, wanted) if one.data}
    return {"given": names, "pictures": pictures} if pictures else {}


def first_pair(result: Result) -> dict[str, list[Thumbnail]]:
    """The pictures of the first item by condition, for those that :func:`given` names."""
    item = result.records["item"][0]
    names = {condition: items[item] for condition, items in given(result).items()}
    small = {one.reference.name: one for one in _small(result, {name for shown in names.values() for name in shown})}
    return {condition: [small[name] for name in shown if name in small] for condition, shown in names.items()}


def _small(result: Result, names: set[str]) -> list[Thumbnail]:
    wanted = [one for one in result.references if one.name in names]
    return [Thumbnail(one, thumbnail(result.reference_image(one.name), SIDE)) for one in wanted]
