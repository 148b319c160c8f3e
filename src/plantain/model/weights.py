"""Weight files looked into before they are hashed: header, bounds, names and types (needs no torch)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from plantain.base.errors import InputError, refuse_pointer_at

_LARGEST_HEADER: Final = 100_000_000
"""Bytes; the bound of the safetensors format."""

_FLOATING: Final = frozenset({"F64", "F32", "F16", "BF16"})

_FIX = "fetch or save the model again; in the Hugging Face cache, remove this file first."

Shapes = dict[str, tuple[int, ...]]


def shapes(files: Iterable[Path]) -> Shapes:
    """The shape of every tensor in the safetensors files of one part, read from their headers.

    Raises:
        InputError: a file is cut short, its header is not what it says, a name occurs twice, or weights are no
            floating numbers.
    """
    found: Shapes = {}
    where: dict[str, Path] = {}
    for path in files:
        for name, entry in _header(path).items():
            if name in where:
                problem = f"the tensor {name} is in {where[name].name} too."
                raise InputError(problem, file=path, fix="keep the shards of one save alone in the folder.")
            where[name], found[name] = path, tuple(entry["shape"])
    return found


def _header(path: Path) -> dict[str, Any]:
    """The entries of one file, by name of the tensor."""
    refuse_pointer_at(path)
    text = _text(path)
    try:
        # Checks everything but names that occur twice, of which it takes one: offsets, sizes and the file's own length.
        with safe_open(path, framework="np"):
            entries: dict[str, Any] = json.loads(text, object_pairs_hook=_distinct)
    except (SafetensorError, ValueError) as error:
        reason = str(error).removeprefix("Error while deserializing header: ").splitlines()[0].rstrip(".")
        raise _damaged(path, reason[:200]) from None
    entries.pop("__metadata__", None)
    for name, entry in entries.items():
        if entry["dtype"] not in _FLOATING and entry["shape"] not in ([], [1]):
            fix = "use the weights as float32, bfloat16 or float16; quantised ones are not measured."
            raise InputError(f"the tensor {name} holds {entry['dtype']}, no weights.", file=path, fix=fix)
    return entries


def _text(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise _damaged(path, f"its header would have {length:,} bytes, the file has {size:,}")
        return stream.read(length)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice} occurs twice")
    return known


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"damaged or cut short as a safetensors file ({reason}).", file=path, fix=_FIX)
