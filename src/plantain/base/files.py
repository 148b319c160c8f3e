"""Bytes on disk: canonical JSON, digests, and writes that are whole or not at all."""

import hashlib
import json
import math
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from plantain.base.errors import disk_errno

_CHUNK = 1 << 20


def normalise(text: str) -> str:
    """The one form in which text is hashed and run: NFC, line feeds, no blanks around it."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no insignificant space and no NaN: equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return unicodedata.normalize("NFC", text).encode()


def readable_json(value: Any) -> bytes:
    """The same value for files that people read: sorted keys, two-space indent, final newline."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in chunks."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def tree_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 over a folder: a line a file, its digest and its name from there, in the order of names."""
    return sha256_bytes("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode())


def is_source(name: str) -> bool:
    """Whether a file of a package, named from its folder, is code or data of it: what ``.dvcignore`` leaves."""
    path = PurePosixPath(name)
    return "__pycache__" not in path.parts and path.suffix != ".pyc" and not path.name.startswith(".")


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` under a temporary name beside ``path``, flush it to disk, then rename."""
    write_parts(path, [data])


def write_parts(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """The same for bytes that lie in several places, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path), temporary.open("wb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the disk raised inside says that it happened to ``path``: a failed write names no file itself."""
    try:
        yield
    except Exception as error:
        named = name_disk_error(error, path)
        if named is None:
            raise
        raise named from error


def name_disk_error(error: Exception, path: Path) -> OSError | None:
    """``error`` as one about ``path``, where it is of the disk and names no file that is to stay; else None."""
    number = disk_errno(error)
    file = getattr(error, "filename", None)
    if number is None or (file is not None and not str(file).endswith(".tmp")):
        return None
    return OSError(number, os.strerror(number), str(path))


def remembered(path: Path) -> dict[str, Any]:
    """The JSON object at ``path``, a note that can be made again; empty where it is missing, torn or no object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def six_digits(value: float) -> float:
    """``value`` to 6 significant digits, so that tracked numbers do not flicker in the last bits."""
    return float(f"{value:.6g}")


def defined(value: float | None) -> float | None:
    """``value`` to 6 significant digits; None where it is none, infinite or no number, which JSON cannot say."""
    return None if value is None or not math.isfinite(value) else six_digits(float(value))
