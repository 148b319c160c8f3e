"""One value of a probe file with its place, read strictly; and the fields of a template, ``{field}``."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plantain.base.config import NAME
from plantain.base.errors import InputError
from plantain.base.files import normalise
from plantain.base.yaml import Key, YamlFile
from plantain.probe.lookalike import character_name

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class TemplateError(ValueError):
    """A template that is not plain field substitution."""


def fields(template: str) -> tuple[str, ...]:
    """The fields of ``template``, each once, in order of appearance.

    Raises:
        TemplateError: a lone brace, or braces that hold anything but a field name (no attributes, no formats).
    """
    return tuple(dict.fromkeys(piece[1:-1] for piece in _pieces(template) if _is_field(piece)))


def substitute(template: str, values: Mapping[str, object]) -> str:
    """``template`` with its fields replaced. Braces inside a value are text and are not expanded again."""
    return _PIECE.sub(lambda match: _replacement(match[0], values), template)


def _pieces(template: str) -> list[str]:
    pieces = _PIECE.findall(template)
    for piece in pieces:
        if piece in ("{", "}"):
            raise TemplateError(f"a single '{piece}' has no meaning in a template.")
        if piece not in ("{{", "}}") and not _is_field(piece):
            raise TemplateError(f"'{piece}' is not a plain field.")
    return pieces


def _is_field(piece: str) -> bool:
    return NAME.fullmatch(piece[1:-1]) is not None


def _replacement(piece: str, values: Mapping[str, object]) -> str:
    return str(values[piece[1:-1]]) if _is_field(piece) else piece[0]


Field = str | int | float
"""The value of an item's field."""

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian words and composed emoji are spelt; between other letters they do nothing."""

_JOINED = 0x0530
"""Below stand Latin, Greek and Cyrillic, whose letters are not joined."""

_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters, marks and symbols by their category, and blank: fillers of Hangul, vowels of Khmer, Braille without dots."""

_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}

_NAME_FIX = "use lower-case letters, digits and underscores, a letter first, at most 40 characters."


@dataclass(frozen=True)
class Node:
    """One value of a YAML file and the keys that lead to it."""

    source: YamlFile
    keys: tuple[Key, ...]
    value: Any

    def child(self, key: Key) -> "Node":
        """The node of one entry."""
        return Node(self.source, (*self.keys, key), self.value[key])

    def error(self, problem: str, fix: str) -> InputError:
        """An error at this place."""
        return self.source.error(problem, *self.keys, fix=fix)

    def wrong(self, wanted: str, fix: str) -> InputError:
        """An error that says what stands here in place of what is wanted."""
        found = "nothing" if self.value is None else _KINDS.get(type(self.value), f"a {type(self.value).__name__}")
        return self.error(f"{found} stands where {wanted} is needed.", fix)

    def entries(self) -> dict[str, "Node"]:
        """The children of a mapping that is not empty."""
        if not isinstance(self.value, dict):
            raise self.wrong("a mapping", "write `key: value` lines below it.")
        if not self.value:
            raise self.error("this is empty.", "add at least one entry.")
        for key in self.value:
            if not isinstance(key, str):
                raise self.child(key).error(f"the name '{key}' is not text.", "put it in quotes, or use another name.")
        return {key: self.child(key) for key in self.value}

    def elements(self) -> list["Node"]:
        """The children of a list that is not empty."""
        if not isinstance(self.value, list):
            raise self.wrong("a list", "write a list.")
        if not self.value:
            raise self.error("this is empty.", "add at least one entry.")
        return [self.child(index) for index in range(len(self.value))]

    def record(self, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, "Node"]:
        """The children of a mapping whose keys are known."""
        children = self.entries()
        for key, child in children.items():
            if key not in (*required, *optional):
                raise child.error(f"'{key}' is not a known key.", f"use: {', '.join((*required, *optional))}.")
        for key in required:
            if key not in children:
                raise self.error(f"`{key}` is missing.", f"add `{key}:`.")
        return children

    def text(self) -> str:
        """Text in its one form (NFC, line feeds, stripped), not empty and without invisible characters."""
        if not isinstance(self.value, str):
            raise self.wrong("text", "put the value in quotes.")
        text = normalise(self.value)
        if problem := text_problem(text):
            raise self.error(problem, "write visible text; a space in place of a tab.")
        return text

    def template(self) -> str:
        """Text whose only braces are plain fields."""
        text = self.text()
        try:
            fields(text)
        except TemplateError as error:
            raise self.error(str(error), "write {field} for an item's field, {{ and }} for braces.") from None
        return text

    def name(self) -> str:
        """A name, as of a probe or a condition."""
        text = self.text()
        self.check_name(text)
        return text

    def check_name(self, name: str) -> None:
        """Refuse ``name`` unless it may name a probe, a condition, a contrast, a reference or a field."""
        if not NAME.fullmatch(name):
            raise self.error(f"'{name}' is not a valid name.", _NAME_FIX)

    def field(self) -> Field:
        """The value of an item's field: text or a finite number."""
        if isinstance(self.value, str):
            return self.text()
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong("text or a number", "put the value in quotes.")
        if not abs(self.value) < 2**63:  # no float is made of it: an integer may be too large for one
            raise self.error("the number is not finite, or beyond 64 bits.", "use a number that fits, or text.")
        return self.value

    def one_or_more(self) -> list["Node"]:
        """The node itself, or the children of a list."""
        return self.elements() if isinstance(self.value, list) else [self]


def text_problem(text: str) -> str:
    """What is wrong with normalised ``text``: empty, or with invisible characters in it. Empty where nothing is."""
    if not text:
        return "the text is empty."
    if text.isprintable() and text.isascii():
        return ""
    hidden = next((one for before, one in zip("\n" + text, text, strict=False) if _invisible(before, one)), None)
    return f"the text holds the invisible character {character_name(hidden)}." if hidden else ""


def _invisible(before: str, character: str) -> bool:
    """Whether ``character`` cannot be seen where it stands, after ``before``."""
    if character in _JOINERS:
        return (
            before.isspace() or before in _JOINERS or ord(before) < _JOINED or "LATIN" in unicodedata.name(before, "")
        )
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in _FILLERS
    return hidden and character != "\n"
