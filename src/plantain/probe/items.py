"""The items of a probe file: what its pairs vary over."""

import re
from dataclasses import dataclass

from plantain.probe.node import Field, Node

ITEM_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

RESERVED = ("item", "condition", "prompt", "reference", "sha256")
"""Columns of the expanded table that an item's field may not be named after."""


@dataclass(frozen=True)
class Item:
    """What the pairs vary over."""

    id: str
    fields: dict[str, Field]


def read_items(node: Node) -> dict[str, Item]:
    """The items by id, in file order. Every field is text in all items, or a number in all."""
    items: dict[str, Item] = {}
    for child in node.elements():
        item = _item(child)
        if item.id in items:
            raise child.child("id").error(f"the id '{item.id}' occurs twice.", "give every item an id of its own.")
        items[item.id] = item
    return _one_type_a_field(node, items)


def _item(node: Node) -> Item:
    parts = node.entries()
    if "id" not in parts:
        raise node.error("the item has no id.", "add `id:`.")
    identifier = parts.pop("id")
    text = identifier.text()
    if not ITEM_ID.fullmatch(text):
        fix = "use lower-case letters, digits, dots, hyphens and underscores, at most 64 characters."
        raise identifier.error(f"'{text}' is not a valid id.", fix)
    for name, part in parts.items():
        part.check_name(name)
        if name in RESERVED:
            raise part.error(f"'{name}' is the name of a column.", "call the field something else.")
    return Item(text, {name: part.field() for name, part in parts.items()})


def _one_type_a_field(node: Node, items: dict[str, Item]) -> dict[str, Item]:
    """A field is a column: all text, or all numbers (floats where one of them is)."""
    first: dict[str, Field] = {}
    floats: set[str] = set()
    for index, item in enumerate(items.values()):
        for name, value in item.fields.items():
            if isinstance(first.setdefault(name, value), str) != isinstance(value, str):
                place = node.child(index).child(name)
                raise place.error(f"'{name}' is text in one item and a number in another.", "write one kind for all.")
            floats |= {name} if isinstance(value, float) else set()
    return {
        key: Item(key, {name: float(value) if name in floats else value for name, value in item.fields.items()})
        for key, item in items.items()
    }
