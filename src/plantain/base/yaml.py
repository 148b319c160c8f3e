"""YAML read strictly and within bounds, with the line of every key, so that errors can point at it."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, MaxDepthExceededError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, SequenceNode

from plantain.base.errors import InputError, reading, refuse_pointer
from plantain.base.refusal import refusal

Key = str | int
Typed = TypeVar("Typed")

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes of a YAML file. What a person writes stays far below; a parser in Python takes half a minute for this."""

DEEPEST = 50
"""Levels of nesting. A probe has four; beyond a few hundred Python's own stack ends."""

MOST_ALIASED = 100_000
"""Values that all aliases of a file may stand for together: nine aliases of nine, nine levels deep, are 387 million."""


@dataclass(frozen=True)
class YamlFile:
    """A parsed YAML file: plain Python data, and where each key stands."""

    path: Path
    data: Any
    _tree: Any
    _text: str = ""

    def line(self, *keys: Key) -> int:
        """One-based line of the deepest of ``keys`` that exists (1 where nothing does)."""
        node, line = self._tree, 1
        for key in keys:
            found = _child(node, key)
            if found is None:
                break
            line, node = found
        return line

    def printed(self) -> Any:
        """The same data with every scalar as the text that stands in the file: 0.740 is not 0.74."""
        return YAML(typ="base").load(self._text)

    def error(self, problem: str, *keys: Key, fix: str = "") -> InputError:
        """An :class:`InputError` that names this file, the line and the field of ``keys``."""
        field = ".".join(str(key) for key in keys)
        return InputError(problem, fix=fix, file=self.path, line=self.line(*keys), field=field)

    def typed(self, kind: TypeAdapter[Typed], data: Any, *keys: Key) -> Typed:
        """``data``, which stands at ``keys`` of this file, as a value of ``kind``.

        Raises:
            InputError: it is none; names file, line, field and fix of the first thing that is wrong.
        """
        try:
            return kind.validate_python(data)
        except ValidationError as error:
            wrong = refusal(error, kind.json_schema(), data)
            raise self.error(wrong.problem, *keys, *wrong.keys, fix=wrong.fix) from None


def read_yaml(path: Path, longest: int | None = None) -> YamlFile:
    """Parse ``path``.

    Args:
        path: The file.
        longest: Entries that a list may hold; more are refused before they are read. None for any number.

    Raises:
        InputError: duplicate keys, bad UTF-8, bad syntax, or a file beyond `LARGEST_FILE`, `DEEPEST` or
            `MOST_ALIASED`; names the line.
    """
    text = _text(path)
    try:
        tree, data = _parsed(text, longest)
    except YAMLError as error:
        raise _explained(path, error) from None
    except _Unreadable as error:
        raise InputError(str(error), file=path, line=error.line, fix=error.fix) from None
    return YamlFile(path, data, tree, text)


def _parsed(text: str, longest: int | None) -> tuple[Any, Any]:
    """The nodes of ``text``, and its data."""
    parser = YAML(typ="safe", pure=True)
    parser.max_depth = DEEPEST
    parser.Composer = _Bounded
    constructor, _ = parser.get_constructor_parser(text)
    parser.composer.longest = longest
    try:
        with warnings.catch_warnings():
            # An anchor may be given again, and stands for the later value from there on.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            tree = parser.composer.get_single_node()
    except IndexError:  # a directive before any document
        raise _Unreadable("the text holds a directive and no document.", 1, "take out the lines with '%'.") from None
    return tree, None if tree is None else _constructed(constructor, tree)


class _Unreadable(Exception):
    """A value that is no such value; the message is a sentence."""

    def __init__(self, problem: str, line: int, fix: str) -> None:
        super().__init__(problem)
        self.line = line
        self.fix = fix


def _constructed(constructor: Any, tree: Any) -> Any:
    """The data of ``tree``. What Python's own parsers raise says no line, and gets that of the value."""
    try:
        return constructor.construct_document(tree)
    except (ValueError, OverflowError) as error:  # 2026-13-01, or a number of five thousand digits
        problem, fix = f"a number or a date cannot be read ({error}).", "put the value in quotes."
        raise _Unreadable(problem, _begun(constructor, tree), fix) from None
    except (LookupError, TypeError, AttributeError):  # `!!bool x`, or a list for a key
        problem, fix = "a value or a key is not of the kind that it is written as.", "write it out as plain text."
        raise _Unreadable(problem, _begun(constructor, tree), fix) from None


def _begun(constructor: Any, tree: Any) -> int:
    """One-based line of the innermost value whose construction has begun."""
    node = next(reversed(constructor.recursive_objects), tree)
    return int(node.start_mark.line) + 1


def _explained(path: Path, error: YAMLError) -> InputError:
    if isinstance(error, DuplicateKeyError):
        return _marked(path, error, "the key occurs twice", "keep one of the two.")
    if isinstance(error, MaxDepthExceededError):
        problem = f"values are nested more than {DEEPEST} levels deep"
        return _marked(path, error, problem, "write it flatter; a probe needs four levels.")
    if isinstance(error, _OutOfBounds):
        return _marked(path, error, str(error.problem), str(error.note))
    if isinstance(error, MarkedYAMLError):
        return _marked(path, error, f"not valid YAML ({error.problem})", "correct the syntax at this line.")
    reason = " ".join(str(error).split())
    return InputError(f"not valid YAML ({reason}).", file=path, fix="remove the offending character.")


def _text(path: Path) -> str:
    """What stands in ``path``, if it is UTF-8 and not too much."""
    try:
        size = path.stat().st_size
        data = b"" if size > LARGEST_FILE else path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file.", file=path, fix="check the name, or create the file.") from None
    except OSError as error:
        fix = "put a readable YAML file in its place."
        raise InputError(f"it cannot be read ({error.strerror}).", file=path, fix=fix) from None
    if size > LARGEST_FILE:
        problem = f"the file has {size:,} bytes, and at most {LARGEST_FILE:,} are read."
        raise InputError(problem, file=path, line=1, fix="split it into several files.")
    refuse_pointer(data, path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fix = "save the file as UTF-8."
        raise InputError(f"byte {error.start} is not valid UTF-8.", file=path, line=line, fix=fix) from None


class _OutOfBounds(MarkedYAMLError):
    """More than is read; the note is what to do about it."""


class _Bounded(Composer):
    """Composes nodes and counts what the aliases stand for, so that a bomb is refused where it is written."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self.longest: int | None = None
        self._sizes: dict[int, int] = {}
        self._values = self._aliased = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if self.longest is not None and isinstance(index, int) and index >= self.longest:
            problem = f"the list has more than {self.longest:,} entries"
            raise _OutOfBounds(None, None, problem, event.start_mark, "keep fewer, or split the file.")
        before = self._values
        node = super().compose_node(parent, index)
        if isinstance(event, AliasEvent):
            self._expand(node, event)
        else:
            self._values += 1
            if event.anchor is not None:
                self._sizes[id(node)] = self._values - before
        return node

    def _expand(self, node: Any, event: AliasEvent) -> None:
        """Count the values behind an alias; an anchor that is still open stands around its own alias."""
        name, size = event.anchor, self._sizes.get(id(node))
        if size is None:
            problem = f"the alias '*{name}' stands inside its own anchor"
            raise _OutOfBounds(None, None, problem, event.start_mark, "write the value out.")
        self._values += size
        self._aliased += size
        if self._aliased > MOST_ALIASED:
            problem = f"with the alias '*{name}' aliases stand for more than {MOST_ALIASED:,} values"
            raise _OutOfBounds(None, None, problem, event.start_mark, "write out what is meant, without aliases.")


def plain(content: bytes) -> Any:
    """What a program wrote, such as a lock of DVC, by libyaml: fifty times faster than `read_yaml`, without lines."""
    return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_plain(path: Path) -> dict[str, Any]:
    """A mapping that a program wrote.

    Raises:
        InputError: the file is no YAML mapping, as one that was cut short is not.
    """
    with reading(path, "a YAML mapping", f"bring it back with `git checkout {path}`."):
        found = plain(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it holds no mapping")
        return found


def _marked(path: Path, error: MarkedYAMLError, problem: str, fix: str) -> InputError:
    line = error.problem_mark.line + 1 if error.problem_mark else None
    detail = str(error.problem or "").split(" with value")[0]
    text = f"{problem}: {detail}." if isinstance(error, DuplicateKeyError) else f"{problem}."
    return InputError(text, file=path, line=line, fix=fix)


def _child(node: Any, key: Key) -> tuple[int, Any] | None:
    """One-based line and node of an entry; an entry that was merged in (``<<``) stands where it was written."""
    if isinstance(node, SequenceNode) and isinstance(key, int) and 0 <= key < len(node.value):
        child = node.value[key]
        return child.start_mark.line + 1, child
    if isinstance(node, MappingNode):
        # What the mapping says itself stands behind what was merged into it, and counts.
        for name, child in reversed(node.value):
            if name.value == str(key):
                return name.start_mark.line + 1, child
    return None
