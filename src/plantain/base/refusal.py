"""What a pydantic model refuses, as one sentence and a fix; intervals and usual values are those of its fields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

Keys = tuple[str | int, ...]
Schema = dict[str, Any]

_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of names to values",
}


@dataclass(frozen=True)
class Refusal:
    """The first thing that a model refuses."""

    keys: Keys
    """Where it stands in the data."""
    problem: str
    fix: str


def refusal(error: ValidationError, schema: Schema, data: Any) -> Refusal:
    """The first thing that is wrong with ``data``.

    Args:
        error: what pydantic said of ``data``.
        schema: JSON schema of the type that was asked for.
        data: what was validated.
    """
    found = error.errors(include_url=False)
    keys, value = _place(found[0], data)
    # Of a number or a word both are said to be wrong; a number outside of its interval was meant to be the number.
    same = [one for one in found if _place(one, data)[0] == keys]
    first = next((one for one in same if one["type"] in _BOUNDS), found[0])
    name = first["loc"][-1] if first["loc"] else ""
    if first["type"] == "missing":
        return Refusal((*keys, name), f"this needs `{name}`.", f"add `{name}:` there.")
    if first["type"] == "extra_forbidden":
        known = ", ".join(Node.at(schema, keys[:-1]).names)
        return Refusal(keys, f"there is no key '{name}' here.", f"leave it out, or use one of: {known}.")
    if name == "[key]" or first["type"] == "invalid_key":
        return Refusal(keys, f"{_shown(keys[-1])} is not a name.", "put it in quotes.")
    problem, fix = _wrong(first, Node.at(schema, keys), value)
    return Refusal(keys, f"{problem}.", f"use {fix}.")


def interval(number: Schema) -> str:
    """The interval of a number in a JSON schema, a parenthesis leaving its end out: ``(0, 1]``."""
    low = f"[{_end(number['minimum'])}" if "minimum" in number else f"({_end(number.get('exclusiveMinimum', '-inf'))}"
    high = f"{_end(number['maximum'])}]" if "maximum" in number else f"{_end(number.get('exclusiveMaximum', 'inf'))})"
    return f"{low}, {high}"


@dataclass(frozen=True)
class Node:
    """The part of a JSON schema that speaks of one value."""

    said: Schema
    options: tuple[Schema, ...]
    """The kinds of value that it may be, apart from none at all."""

    @classmethod
    def at(cls, schema: Schema, keys: Sequence[str | int]) -> "Node":
        """What ``schema`` says of the value at ``keys``; nothing where it does not know them."""
        said = schema
        for key in keys:
            below = (_below(option, key) for option in _options(schema, said))
            said = next((found for found in below if found), {})
        return cls(said, tuple(_options(schema, said)))

    @property
    def number(self) -> Schema:
        """The number that it may be; empty where it may be none."""
        return next((option for option in self.options if option.get("type") in ("integer", "number")), {})

    @property
    def number_kind(self) -> str:
        """``a whole number`` where no other will do."""
        return _WORDS["integer"] if "multipleOf" in self.number else _kind(self.number)

    @property
    def usual(self) -> Any:
        """What to use where nothing speaks against it."""
        return (self.said.get("examples") or self.number.get("examples") or [self.said.get("default")])[0]

    @property
    def names(self) -> list[str]:
        """The keys that are known below it."""
        return [name for option in self.options for name in option.get("properties", {})]

    @property
    def kinds(self) -> str:
        """What it may be."""
        return " or ".join(_kind(option) for option in self.options)

    @property
    def wanted(self) -> str:
        """What a person should write there."""
        return " or ".join(self._wanted(option) for option in self.options)

    def _wanted(self, option: Schema) -> str:
        if option is self.number:
            return f"{self.number_kind} in {interval(option)}, such as {self.usual}"
        return "text, in quotes where it looks like a number" if _kind(option) == _WORDS["string"] else _kind(option)


def _wrong(error: ErrorDetails, node: Node, value: Any) -> tuple[str, str]:
    """What is wrong with a value that is not what its field takes, and what to use."""
    kind, number = error["type"], node.number
    # pydantic calls a whole number that no float can hold no float; bool is a kind of int.
    too_large = kind == "float_type" and isinstance(value, int) and not isinstance(value, bool)
    if number and (kind in _BOUNDS or too_large):
        return f"{value} lies outside {interval(number)}", f"{node.number_kind} in that interval, such as {node.usual}"
    if kind == "multiple_of":
        return f"{value} is not a whole number", node.wanted
    if kind.endswith(("_type", "_error", "enum", "mismatch")) and node.options:
        return f"{_shown(value)} is not {node.kinds}", node.wanted
    return error["msg"].removeprefix("Value error, "), node.wanted or "another value"


def _place(error: ErrorDetails, data: Any) -> tuple[Keys, Any]:
    """The keys of an error that exist in the data, and the value there: pydantic also names the kinds of a union."""
    keys: list[str | int] = []
    for key in error["loc"]:
        if not (key in data if isinstance(data, dict) else isinstance(data, list) and key in range(len(data))):
            break
        data = data[key]
        keys.append(key)
    return tuple(keys), data


def _options(schema: Schema, said: Schema) -> Iterator[Schema]:
    """The alternatives of a part of ``schema``, references followed."""
    if "$ref" in said:
        said = schema["$defs"][said["$ref"].rsplit("/", 1)[-1]]
    for option in said.get("anyOf", ()):
        yield from _options(schema, option)
    if "anyOf" not in said and said.get("type") not in (None, "null"):
        yield said


def _below(option: Schema, key: str | int) -> Schema | None:
    if isinstance(key, int) and "items" in option:
        return dict(option["items"])
    further = option.get("additionalProperties")
    found = option.get("properties", {}).get(key, further)
    return found if isinstance(found, dict) else None


def _kind(option: Schema) -> str:
    if "enum" in option:
        return f"one of [{', '.join(option['enum'])}]"
    return str(option.get("const", _WORDS[option["type"]]))


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None:
        return "an empty value"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _end(value: float | str) -> str:
    return f"{value:g}".replace("e+", "e") if isinstance(value, float) else str(value)
