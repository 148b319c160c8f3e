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
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

from plantain.base.errors import CheckFailed, InputError
from plantain.base.files import canonical_json, naming, sha256_bytes
from plantain.base.places import state_dir
from plantain.base.secrets import redacted

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
            folder: where the store is instead of ``.plantain/<kind>``, or of what ``PLANTAIN_STORE`` says.
        """
        shared = os.environ.get("PLANTAIN_STORE", "") if folder is None else ""
        local = folder or state_dir() / kind
        self._held: Keeping = SharedFolder(f"{shared.rstrip('/')}/{kind}") if shared else LocalFolder(local)
        self._report = report

    def path(self, key: str) -> Path:
        """The file that the entry of ``key`` is or would be, in a store that is a folder."""
        return Path(self._held.where(key))

    def holds(self, key: str) -> bool:
        """Whether there is an entry, damaged or not."""
        return self._held.holds(key)

    def drop(self, key: str) -> None:
        """Remove the entry of ``key``, where there is one."""
        self._held.drop(key)

    def read(self, key: str) -> Arrays | None:
        """The entry of ``key``; None where there is none, or where it is damaged (reported, then removed)."""
        try:
            tensors = unpacked(self._held.read(key), key)
        except FileNotFoundError:
            return None
        except Damaged as problem:
            self._report(f"{self._held.where(key)} is damaged ({problem}); it is computed again.")
            self._held.drop(key)
            return None
        self._held.touch(key)
        return tensors

    def write(self, key: str, tensors: Arrays) -> None:
        """Store an entry, whole or not at all. Not flushed to disk: a loss of power is caught by the digest."""
        self._held.write(key, _pack(key, tensors))

    def __str__(self) -> str:
        return self._held.where("")


class Keeping(Protocol):
    """Where a store keeps its entries."""

    def where(self, key: str) -> str:
        """The place of an entry, in words of the file system; of the whole store for an empty key."""

    def holds(self, key: str) -> bool:
        """Whether there is such an entry."""

    def read(self, key: str) -> bytes:
        """The bytes of an entry; FileNotFoundError where there is none."""

    def touch(self, key: str) -> None:
        """Note that an entry was used."""

    def write(self, key: str, data: bytes) -> None:
        """Keep an entry, whole or not at all."""

    def drop(self, key: str) -> None:
        """Remove an entry, where there is one."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or one that it shares with others."""

    folder: Path

    def where(self, key: str) -> str:
        """As a path."""
        return str(self._file(key) if key else self.folder)

    def holds(self, key: str) -> bool:
        """Whether the file is there."""
        return self._file(key).exists()

    def read(self, key: str) -> bytes:
        """The file's bytes."""
        return self._file(key).read_bytes()

    def touch(self, key: str) -> None:
        """Set the time by which `plantain cache` prunes."""
        # Whoever pruned it meanwhile took nothing that is still needed.
        with suppress(FileNotFoundError):
            os.utime(self._file(key))

    def write(self, key: str, data: bytes) -> None:
        """By rename."""
        path = self._file(key)
        for attempt in (1, 2, 3):
            try:
                _place(path, data)
                return
            except FileNotFoundError:
                # The first of its folder, or somebody cleared the folder between writing and renaming.
                if attempt == 3:
                    raise
                path.parent.mkdir(parents=True, exist_ok=True)

    def drop(self, key: str) -> None:
        """Remove the file."""
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


class SharedFolder:
    """A place that fsspec knows, such as a bucket, for machines without a folder in common."""

    def __init__(self, url: str) -> None:
        """Open it.

        Raises:
            InputError: there is no such kind of place, or what speaks to it is not installed.
        """
        import fsspec

        self._url = url
        try:
            self._system, self._root = fsspec.url_to_fs(url)
        except (ImportError, ValueError, OSError) as error:
            fix = "use a URL that fsspec knows, and install what it names (s3fs for s3://, gcsfs for gs://)."
            raise InputError(
                f"'{redacted(url)}' cannot be opened ({error}).", field="PLANTAIN_STORE", fix=fix
            ) from None

    def where(self, key: str) -> str:
        """As a URL."""
        return redacted(f"{self._url}/{key[:2]}/{key}.safetensors" if key else self._url)

    def holds(self, key: str) -> bool:
        """Asked anew: others write there meanwhile."""
        self._system.invalidate_cache()
        return bool(self._system.exists(self._file(key)))

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        found: bytes = self._system.cat_file(self._file(key))
        return found

    def touch(self, key: str) -> None:
        """Such places keep their own account of use."""

    def write(self, key: str, data: bytes) -> None:
        """An object appears whole; a folder behind a URL gets it under another name first."""
        path = self._file(key)
        if "file" not in str(self._system.protocol):
            self._system.pipe_file(path, data)
            return
        LocalFolder(Path(self._root)).write(key, data)

    def drop(self, key: str) -> None:
        """Remove the object."""
        with suppress(FileNotFoundError):
            self._system.rm_file(self._file(key))

    def _file(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key}.safetensors"


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
    return unpacked(path.read_bytes(), key)


def unpacked(data: bytes, key: str) -> Arrays:
    """Verify the bytes of one entry.

    Raises:
        Damaged: they are not those that were written under ``key``.
    """
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
