"""Safetensors files that are mapped in place of read, and written array by array: no byte of one is held twice."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from plantain.base.files import canonical_json, write_parts

_KINDS: Final = {"F32": np.dtype("<f4"), "I32": np.dtype("<i4")}
"""Names of the element types in the order in which safetensors puts them into a file."""
_ALIGNED: Final = 8


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write arrays of float32 or int32, whole or not at all; the same bytes as safetensors' own ``save``.

    Args:
        path: the file.
        tensors: by name; written as they lie in memory, without a copy of them all.
        header: kept as JSON in the metadata, read by :func:`mapped_tensors`.

    Raises:
        KeyError: an array of another type.
    """
    names = {kind: name for name, kind in _KINDS.items()}
    order, whole = list(_KINDS), {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    placed = sorted(whole, key=lambda name: (order.index(names[whole[name].dtype]), name))
    # One metadata entry: safetensors writes several in an order that changes from run to run.
    described: dict[str, Any] = {"__metadata__": {"plantain": canonical_json(header).decode()}}
    start = 0
    for name in placed:
        array = whole[name]
        ends = [start, start + array.nbytes]
        described[name] = {"dtype": names[array.dtype], "shape": list(tensors[name].shape), "data_offsets": ends}
        start += array.nbytes
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNED)
    parts = [whole[name].reshape(-1).view(np.uint8).data for name in placed]
    write_parts(path, [len(text).to_bytes(8, "little") + text, *parts])


def mapped_tensors(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header of a file and its arrays, read-only and mapped: the system reads, and may drop, what is looked at.

    Raises:
        ValueError: it is empty, or its header is no JSON or no mapping.
        KeyError: there is no header, or an array is of another type.
        SafetensorError: it is torn.
    """
    data = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    described = json.loads(data[8:start].tobytes())
    header = json.loads(described.pop("__metadata__")["plantain"])
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")
    with safe_open(path, "numpy"):
        pass  # It checks that the arrays fill the file, and looks at none of them.
    return header, {name: _array(data[start:], one) for name, one in described.items()}


def _array(data: NDArray[np.uint8], described: Mapping[str, Any]) -> NDArray[Any]:
    first, last = described["data_offsets"]
    return data[first:last].view(_KINDS[described["dtype"]]).reshape(described["shape"])
