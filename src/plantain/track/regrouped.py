"""What differs between two prompt sets, by what a person edits: a condition's template or an item's fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plantain.track.sides import Side

_OWN = ("item", "condition", "prompt", "reference", "sha256")
"""Columns of the records that are no item fields."""


@dataclass(frozen=True)
class PromptChange:
    """A record that was added, removed or edited; None on the side where it is not."""

    record: str
    """``item/condition``."""
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ConditionChange:
    """A condition that was added, removed or edited, whatever its items."""

    condition: str
    before: str | None
    """The template, None where there is no such condition; a prompt as an example where the template is not known."""
    after: str | None
    prompts: int
    """How many records differ by it."""
    example: bool = False
    """Whether the texts are prompts of one item instead of templates."""


@dataclass(frozen=True)
class ItemChange:
    """An item that was added, removed or edited; None on the side where it is not."""

    item: str
    before: dict[str, Any] | None
    """Its fields; of an edited item those that differ."""
    after: dict[str, Any] | None


Regrouped = tuple[list[PromptChange], list[ConditionChange], list[ItemChange]]


def regrouped(before: Side, after: Side) -> Regrouped:
    """The records that differ, then the same by condition and by item."""
    old, new = before.records, after.records
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not names:
        return [], [], []
    texts = tuple(_texts(side) for side in (before, after))
    prompts = [
        PromptChange(
            name,
            texts[0].get(name, old[name]) if name in old else None,
            texts[1].get(name, new[name]) if name in new else None,
        )
        for name in names
    ]
    items = _items(before, after)
    return prompts, list(_conditions(before, after, prompts, {one.item for one in items})), items


def _conditions(before: Side, after: Side, prompts: list[PromptChange], items: set[str]) -> Iterator[ConditionChange]:
    """Conditions that came, went or have another template; and those whose prompts differ for no reason of an item."""
    grouped: dict[str, list[PromptChange]] = {}
    for one in prompts:
        grouped.setdefault(_condition(one.record), []).append(one)
    known = tuple({_condition(name) for name in side.records} for side in (before, after))
    for condition, changed in grouped.items():
        old, new = (_template(side, condition) for side in (before, after))
        here = tuple(condition in names for names in known)
        own = [one for one in changed if _item(one.record) not in items]
        if not all(here):
            yield _come_or_gone(condition, (old, new), here, changed)
        elif old is not None and new is not None and old != new:
            yield ConditionChange(condition, old, new, len(changed))
        elif own:
            yield ConditionChange(condition, own[0].before, own[0].after, len(own), example=True)


def _come_or_gone(
    condition: str, templates: tuple[str | None, ...], here: tuple[bool, ...], changed: list[PromptChange]
) -> ConditionChange:
    known = next((text for text in templates if text is not None), None)
    text = known or changed[0].before or changed[0].after
    before, after = (text if there else None for there in here)
    return ConditionChange(condition, before, after, len(changed), example=known is None)


def _items(before: Side, after: Side) -> list[ItemChange]:
    old, new = _fields(before), _fields(after)
    moved = (item for item in {**old, **new} if old.get(item) != new.get(item))
    return [_item_change(item, old.get(item), new.get(item)) for item in moved]


def _item_change(item: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> ItemChange:
    if before is None or after is None:
        return ItemChange(item, before, after)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ItemChange(item, {name: before.get(name) for name in names}, {name: after.get(name) for name in names})


def _fields(side: Side) -> dict[str, dict[str, Any]]:
    """Fields by item; empty ones where they are not known."""
    found: dict[str, dict[str, Any]] = {_item(name): {} for name in side.records}
    if side.probe is not None:
        return {item.id: dict(item.fields) for item in side.probe.items.values() if item.id in found}
    if side.table is not None:
        for row in side.table.drop(_OWN[1:]).iter_rows(named=True):
            if row["item"] in found:
                found[row["item"]] = {name: value for name, value in row.items() if name != "item"}
    return found


def _template(side: Side, condition: str) -> str | None:
    known = side.probe.conditions.get(condition) if side.probe else None
    return known.prompt if known else None


def _texts(side: Side) -> dict[str, str]:
    """Prompts by record, where they can be read."""
    if side.table is None:
        return {}
    rows = side.table.select("item", "condition", "prompt").iter_rows()
    return {f"{item}/{condition}": prompt for item, condition, prompt in rows}


def _item(record: str) -> str:
    return record.rpartition("/")[0]


def _condition(record: str) -> str:
    return record.rpartition("/")[2]
