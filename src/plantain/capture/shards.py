"""A content-addressed store of finished work: shards of passes, Gram matrices, embeddings, reference images, swaps.

An entry is a safetensors file named by the digest of everything that made it. It is written by rename, so that a kill
leaves it whole or absent, and carries the digest of its own content, so that a damaged one is noticed on reading.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

from plantain.base.errors import CheckFailed
from plantain.base.files import canonical_json, naming, sha256_bytes
from plantain.base.places import state_dir

KINDS = ("shards", "vectors", "grams", "embeddings", "references", "causal")
"""Folders of the store under ``.plantain/``. Vectors are kept only until the Gram matrices of their cell are made."""


Arrays = Mapping[str, NDArray[Any]]


_UNSIGNED = "0" * 64
"""Where the digest of the content goes once it is known: as long, so that nothing moves."""


class Damaged(Exception):
    """A stored file whose content does not match its digest."""


class Vanished(CheckFailed):
    """An entry was removed or damaged between its writing and its use; it can be computed again."""


class Store:
    """One folder of entries, addressed by key."""

    def __init__(self, kind: str, report: Callable[[str], None], folder: Path | None = None) -> None:
        """Open the store.

        Args:
            kind: one of :data:`KINDS`.
            report: told, in a sentence, of every damaged entry.
            folder: where the store is instead of ``.plantain/<kind>``.
        """
        self.folder = folder or state_dir() / kind
        self._report = report

    def path(self, key: str) -> Path:
        """Where the entry of ``key`` is or would be."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def read(self, key: str) -> Arrays | None:
        """The entry of ``key``; None where there is none, or where it is damaged (reported, then removed)."""
        path = self.path(key)
        try:
            tensors = load(path, key)
        except FileNotFoundError:
            return None
        except Damaged as problem:
            self._report(f"{path} is damaged ({problem}); it is computed again.")
            path.unlink(missing_ok=True)
            return None
        # Whoever pruned it meanwhile took nothing that is still needed.
        with suppress(FileNotFoundError):
            os.utime(path)
        return tensors

    def write(self, key: str, tensors: Arrays) -> None:
        """Store an entry by rename. Not flushed to disk: a loss of power is caught by the digest."""
        path, data = self.path(key), _pack(key, tensors)
        for attempt in (1, 2, 3):
            try:
                _place(path, data)
                return
            except FileNotFoundError:
                # The first of its folder, or somebody cleared the folder between writing and renaming.
                if attempt == 3:
                    raise
                path.parent.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Entry:
    """A stored file, as ``plantain cache`` shows it."""

    kind: str
    path: Path
    size: int
    """Bytes."""
    used: float
    """When it was last written or read, seconds since the epoch."""
    files: int = 1
    """How many files it consists of."""

    @property
    def temporary(self) -> bool:
        """Whether somebody is writing it, or was killed while doing so."""
        return self.path.name.startswith(".")


def entries(kind: str, folder: Path | None = None) -> Iterator[Entry]:
    """Every file of one kind, what is being written included, in a stable order; what vanishes is left out."""
    for path in sorted((folder or state_dir() / kind).glob("*/*")):
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield Entry(kind, path, status.st_size, status.st_mtime)


def load(path: Path, key: str) -> Arrays:
    """Read and verify one entry.

    Raises:
        FileNotFoundError: there is none.
        Damaged: its bytes are not those that were written under ``key``.
    """
    data = path.read_bytes()
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        label = json.loads(header.pop("__metadata__")["plantain"])
        tensors = unpack(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise Damaged(str(error) or type(error).__name__) from None
    if label != {"key": key, "sha256": _digest(header, data[8 + length :])}:
        raise Damaged("its digest does not match")
    return tensors


def _place(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _pack(key: str, tensors: Arrays) -> bytes:
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    packed = pack(arrays, {"plantain": canonical_json({"key": key, "sha256": _UNSIGNED}).decode()})
    length = int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8 : 8 + length])
    del header["__metadata__"]
    head, _, tail = packed[: 8 + length].rpartition(_UNSIGNED.encode())
    return head + _digest(header, packed[8 + length :]).encode() + tail + packed[8 + length :]


def _digest(header: Mapping[str, Any], body: bytes) -> str:
    return sha256_bytes(canonical_json(header) + b"\0" + body)
