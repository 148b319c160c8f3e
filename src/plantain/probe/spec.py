"""The probe file as types: conditions, contrasts, and the items that its pairs vary over."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from plantain.base.yaml import YamlFile, read_yaml
from plantain.probe import node as templates
from plantain.probe.node import Field, Node

ITEM_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

MOST_ITEMS = 10_000
"""Items of a probe. The default 10,000 sign flips of more of them do not fit the memory that flips may take."""

MOST_RECORDS = 100_000
"""Items times conditions. Each is a pass: at three a second these are nine hours."""

FEWEST_ITEMS = 2
"""Items below which nothing can be said of a difference: a single one has no spread."""

MOST_WORDINGS = 64
"""Wordings of both sides of a contrast together. A relabelling of them is held in 64 bits."""

RESERVED = ("item", "condition", "prompt", "reference", "sha256")
"""Columns of the expanded table that an item's field may not be named after."""


@dataclass(frozen=True)
class Item:
    """What the pairs vary over."""

    id: str
    fields: dict[str, Field]

    @property
    def values(self) -> dict[str, Field]:
        """What a template may name: the fields, and the id."""
        return {"id": self.id, **self.fields}


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


class Role(StrEnum):
    """What a contrast is for: the published pair, the question itself, or a control."""

    published = "published"
    target = "target"
    control = "control"


class Decides(StrEnum):
    """What a control keeps of the target, so that its outcome tells the idea from its words."""

    words = "words"
    """The target's own words, where they change no picture: it has to fail."""
    picture = "picture"
    """The target's change of the picture, without its words: it has to pass."""


NEUTRAL: Final = "neutral"
"""The role of a condition that belongs to no side: what heads of either side are put into."""


@dataclass(frozen=True)
class Reference:
    """A conditioning image: generated from ``prompt``, or read from ``file``. Name and both may be templates."""

    name: str
    prompt: str | None
    file: str | None


@dataclass(frozen=True)
class Condition:
    """One wording. ``reference`` holds alternatives, crossed like noise seeds; empty where there is no image."""

    name: str
    prompt: str
    reference: tuple[str, ...]
    stratum: str | None
    frame: str | None = None
    """Wordings of both sides with one frame are one sentence with a phrase exchanged."""
    neutral: bool = False
    """Whether it belongs to no side."""


@dataclass(frozen=True)
class Contrast:
    """Side ``a`` minus side ``b``, each a list of conditions. ``flip_blocks`` names an item field."""

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    role: Role
    flip_blocks: str | None
    decides: Decides | None = None


@dataclass(frozen=True)
class Probe:
    """One question. The mappings are keyed by name, in file order."""

    name: str
    title: str
    hypothesis: str
    references: dict[str, Reference]
    conditions: dict[str, Condition]
    contrasts: dict[str, Contrast]
    items: dict[str, Item]
    source: YamlFile | None = field(default=None, compare=False, repr=False)
    """Where the probe was read from, so that later errors can name the line."""


def read_source(path: Path) -> YamlFile:
    """The YAML of a probe, its lists no longer than a probe's may be.

    Raises:
        InputError: see `plantain.base.yaml.read_yaml`.
    """
    return read_yaml(path, longest=MOST_ITEMS)


def read_probe(path: Path) -> Probe:
    """Read ``prompts/<probe>.yaml``.

    Raises:
        InputError: anything wrong in the file, or a name that is not the file's.
    """
    source = read_source(path)
    probe = parse_probe(source)
    if probe.name != path.stem:
        fix = f"write `probe: {path.stem}`, or rename the file to {probe.name}.yaml."
        raise source.error(f"the probe is called '{probe.name}' and its file '{path.name}'.", "probe", fix=fix)
    return probe


def parse_probe(source: YamlFile) -> Probe:
    """The probe that ``source`` holds, whatever its file is called."""
    top = Node(source, (), source.data).record(
        ("probe", "conditions", "contrasts", "items"), ("title", "hypothesis", "references")
    )
    name = top["probe"].name()
    probe = Probe(
        name=name,
        title=top["title"].text() if "title" in top else name,
        hypothesis=top["hypothesis"].text() if "hypothesis" in top else "",
        references=_references(top["references"]) if "references" in top else {},
        conditions=_conditions(top["conditions"]),
        contrasts=_contrasts(top["contrasts"], top["conditions"]),
        items=read_items(top["items"]),
        source=source,
    )
    _check_size(probe, top["items"])
    _check_fields(probe, top)
    _check_neutral(probe, top["conditions"])
    return probe


def _check_size(probe: Probe, items: Node) -> None:
    """No more items or records than can be run and tested."""
    records = len(probe.items) * len(probe.conditions)
    if len(probe.items) > MOST_ITEMS:
        raise items.child(MOST_ITEMS).error(f"there are more than {MOST_ITEMS:,} items.", "keep fewer, or split them.")
    if records > MOST_RECORDS:
        problem = f"{len(probe.items):,} items in {len(probe.conditions)} conditions are {records:,} records"
        raise items.error(f"{problem}, and at most {MOST_RECORDS:,} are run.", "use fewer items, or fewer conditions.")


def _references(node: Node) -> dict[str, Reference]:
    return {name: _reference(name, child) for name, child in node.entries().items()}


def _reference(name: str, node: Node) -> Reference:
    Node(node.source, node.keys, name).template()
    if not templates.fields(name):
        node.check_name(name)
    parts = node.record((), ("prompt", "file"))
    if len(parts) != 1:
        raise node.error("a reference has both a prompt and a file.", "keep one of the two.")
    texts = {key: part.template() for key, part in parts.items()}
    if "file" in texts and (Path(texts["file"]).is_absolute() or ".." in Path(texts["file"]).parts):
        fix = "put the image into the repository and give its path from there."
        raise parts["file"].error("the file lies outside the repository.", fix)
    return Reference(name, texts.get("prompt"), texts.get("file"))


def _conditions(node: Node) -> dict[str, Condition]:
    return {name: _condition(name, child) for name, child in node.entries().items()}


def _condition(name: str, node: Node) -> Condition:
    node.check_name(name)
    parts = node.record(("prompt",), ("reference", "stratum", "frame", "role"))
    references = parts["reference"].one_or_more() if "reference" in parts else []
    return Condition(
        name=name,
        prompt=parts["prompt"].template(),
        reference=_distinct(references, [child.template() for child in references]),
        stratum=parts["stratum"].name() if "stratum" in parts else None,
        frame=parts["frame"].name() if "frame" in parts else None,
        neutral="role" in parts and _neutral(parts["role"]),
    )


def _neutral(node: Node) -> bool:
    if (value := node.text()) != NEUTRAL:
        fix = f"write `role: {NEUTRAL}` for a wording of no side, or leave it out; contrasts say what is on a side."
        raise node.error(f"'{value}' is not a role of a condition.", fix)
    return True


def _distinct(nodes: list[Node], names: list[str]) -> tuple[str, ...]:
    for index, (node, name) in enumerate(zip(nodes, names, strict=True)):
        if name in names[:index]:
            raise node.error(f"'{name}' is listed twice.", "list each name once.")
    return tuple(names)


def _contrasts(node: Node, conditions: Node) -> dict[str, Contrast]:
    known = tuple(conditions.entries())
    return {name: _contrast(name, child, known) for name, child in node.entries().items()}


def _contrast(name: str, node: Node, known: tuple[str, ...]) -> Contrast:
    node.check_name(name)
    parts = node.record(("a", "b", "role"), ("flip_blocks", "decides"))
    a, b = _side(parts["a"], known), _side(parts["b"], known)
    if shared := [condition for condition in a if condition in b]:
        fix = "give each side conditions of its own; a shared one would be subtracted from itself."
        raise node.error(f"both sides hold {', '.join(shared)}.", fix)
    if len(a) + len(b) > MOST_WORDINGS:
        problem = f"{len(a)} and {len(b)} wordings are more than the {MOST_WORDINGS} that a contrast may compare."
        raise node.error(problem, "take some out, or make two contrasts of it.")
    blocks = parts["flip_blocks"].name() if "flip_blocks" in parts else None
    role = _role(name, parts["role"])
    return Contrast(name, a, b, role, blocks, _decides(role, parts["decides"]) if "decides" in parts else None)


def _decides(role: Role, node: Node) -> Decides:
    value = node.text()
    if value not in tuple(Decides):
        raise node.error(f"'{value}' is nothing that a control can decide.", f"use: {', '.join(Decides)}.")
    if role is not Role.control:
        raise node.error(f"a contrast of the role {role} decides nothing.", "say it of a control, or take it out.")
    return Decides(value)


def _side(node: Node, known: tuple[str, ...]) -> tuple[str, ...]:
    nodes = node.one_or_more()
    names = [child.text() for child in nodes]
    for child, name in zip(nodes, names, strict=True):
        if name not in known:
            raise child.error(f"there is no condition '{name}'.", f"add it, or use: {', '.join(known)}.")
    return _distinct(nodes, names)


def _role(name: str, node: Node) -> Role:
    value = node.text()
    if value not in tuple(Role):
        raise node.error(f"'{value}' is not a role.", f"use: {', '.join(Role)}.")
    role = Role(value)
    expected = Role(name) if name in ("published", "target") else Role.control
    if role is not expected:
        fix = "a contrast named published or target has that role; any other contrast has `role: control`."
        raise node.error(f"the contrast '{name}' cannot have the role {role}.", fix)
    return role


def _check_fields(probe: Probe, top: dict[str, Node]) -> None:
    """Every template must expand for every item: a pair with one side is no pair."""
    for name, reference in probe.references.items():
        names = _fields((name, reference.prompt or "", reference.file or ""))
        _check_template(probe, top["references"].child(name), top["items"], names)
    for name, condition in probe.conditions.items():
        names = _fields_of(condition)
        _check_template(probe, top["conditions"].child(name), top["items"], names)
    for name, contrast in probe.contrasts.items():
        if contrast.flip_blocks:
            _check_template(probe, top["contrasts"].child(name), top["items"], [contrast.flip_blocks])


def _check_neutral(probe: Probe, conditions: Node) -> None:
    """A neutral wording is on no side, and takes the items as the wordings of the target do."""
    neutral = [name for name, condition in probe.conditions.items() if condition.neutral]
    for contrast in probe.contrasts.values():
        for name in neutral:
            if name in (*contrast.a, *contrast.b):
                problem = f"the contrast '{contrast.name}' holds '{name}', which is neutral."
                raise (
                    conditions.child(name).child("role").error(problem, "take it out of the contrast, or of its role.")
                )
    for name in neutral:
        _check_neutral_fields(probe, conditions.child(name))


def _check_neutral_fields(probe: Probe, node: Node) -> None:
    """The fields that all wordings of the target use, and none that no wording of it uses."""
    target = probe.contrasts.get(Role.target)
    if target is None:
        raise node.child("role").error("there is no target that it could be neutral to.", "add the contrast `target`.")
    used: list[set[str]] = [set(_fields_of(probe.conditions[name])) for name in (*target.a, *target.b)]
    own = set(_fields_of(probe.conditions[str(node.keys[-1])]))
    if missing := sorted(set.intersection(*used) - own):
        problem = f"it does without '{missing[0]}', which every wording of the target uses."
        raise node.error(problem, f"use {{{missing[0]}}}: a neutral wording differs from the target's in no item.")
    if foreign := [name for name in sorted(own) if not any(name in one for one in used)]:
        raise node.error(
            f"it uses '{foreign[0]}', and no wording of the target does.", "use the target's fields alone."
        )


def _fields_of(condition: Condition) -> list[str]:
    return _fields((condition.prompt, *condition.reference))


def _fields(texts: Iterable[str]) -> list[str]:
    return [name for text in texts for name in templates.fields(text)]


def _check_template(probe: Probe, place: Node, items: Node, names: list[str]) -> None:
    known = list(dict.fromkeys(["id", *(name for item in probe.items.values() for name in item.fields)]))
    for name in names:
        if name not in known:
            raise place.error(f"no item has the field '{name}'.", f"use: {', '.join(known)}; or add it to the items.")
        for index, item in enumerate(probe.items.values()):
            if name != "id" and name not in item.fields:
                problem = f"item '{item.id}' has no '{name}', which {'.'.join(map(str, place.keys))} needs."
                raise items.child(index).error(problem, f"add `{name}:` to the item.")
