"""YAML read strictly, with the line of every key, so that errors can point at it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from plantain.base.errors import InputError, reading
from plantain.base.refusal import refusal

Key = str | int
Typed = TypeVar("Typed")


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
            if not isinstance(node, CommentedBase) or not _has(node, key):
                break
            line = _key_line(node, key)
            node = node[key]  # type: ignore[index]
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


def read_yaml(path: Path) -> YamlFile:
    """Parse ``path``. Duplicate keys, bad UTF-8 and bad syntax raise :class:`InputError`."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError("no such file.", file=path, fix="check the name, or create the file.") from None
    except OSError as error:
        fix = "put a readable YAML file in its place."
        raise InputError(f"it cannot be read ({error.strerror}).", file=path, fix=fix) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        fix = "save the file as UTF-8."
        raise InputError(f"byte {error.start} is not valid UTF-8.", file=path, line=line, fix=fix) from None
    parser = YAML(typ="rt")
    try:
        tree = parser.load(text)
    except DuplicateKeyError as error:
        raise _marked(path, error, "the key occurs twice", "keep one of the two.") from None
    except MarkedYAMLError as error:
        raise _marked(path, error, f"not valid YAML ({error.problem})", "correct the syntax at this line.") from None
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"not valid YAML ({reason}).", file=path, fix="remove the offending character.") from None
    except ValueError as error:  # a date that is none, a number of thousands of digits
        reason = str(error).split(";", maxsplit=1)[0]
        raise InputError(f"a value cannot be read ({reason}).", file=path, fix="correct it, or quote it.") from None
    return YamlFile(path, _plain(tree), tree, text)


def read_plain(path: Path) -> dict[str, Any]:
    """A mapping that a program wrote, such as a lock of DVC, by libyaml: fifty times faster, without lines.

    Raises:
        InputError: the file is no YAML mapping, as one that was cut short is not.
    """
    with reading(path, "a YAML mapping", f"bring it back with `git checkout {path}`."):
        found = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if not isinstance(found, dict):
            raise ValueError("it holds no mapping")
        return found


def _marked(path: Path, error: MarkedYAMLError, problem: str, fix: str) -> InputError:
    line = error.problem_mark.line + 1 if error.problem_mark else None
    detail = str(error.problem or "").split(" with value")[0]
    text = f"{problem}: {detail}." if isinstance(error, DuplicateKeyError) else f"{problem}."
    return InputError(text, file=path, line=line, fix=fix)


def _has(node: Any, key: Key) -> bool:
    if isinstance(node, CommentedMap):
        return key in node
    return isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node)


def _key_line(node: Any, key: Key) -> int:
    """One-based line of ``key``; a key that was merged in (``<<``) has none, and its mapping's stands for it."""
    position = (node.lc.data or {}).get(key)
    return int(position[0] if position else node.lc.line) + 1


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, str):
        return str(node)
    if isinstance(node, int) and not isinstance(node, bool):
        return int(node)
    if isinstance(node, float):
        return float(node)
    return node
