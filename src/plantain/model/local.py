"""Local models: a pipeline folder of the user's, watched by size, time and content (needs no torch)."""

import json
from pathlib import Path

from plantain.base.errors import InputError
from plantain.base.files import readable_json, sha256_bytes, sha256_file, write_atomic
from plantain.base.places import home, state_dir
from plantain.model.layout import components, read_index
from plantain.records.lock import Component


def folder(path: str) -> Path:
    """The folder that ``path`` of a model entry names; relative paths start at the repository root.

    Raises:
        InputError: there is no such folder.
    """
    found = home() / Path(path).expanduser()
    if not found.is_dir():
        raise InputError("no such folder.", file=found, fix="correct `path` of the model in params.yaml.")
    return found


def inspect(where: Path, *, skip_weights: str = "") -> dict[str, Component]:
    """Parts of a pipeline folder; a weight file is hashed only where its size or time changed."""
    return components(where, read_index(where), _Remembered(where), skip_weights=skip_weights)


class _Remembered:
    """SHA-256 of files, remembered by path, size and modification time in ``.plantain/local/``."""

    def __init__(self, where: Path) -> None:
        self._store = state_dir() / "local" / f"{sha256_bytes(str(where.resolve()).encode())}.json"

    def __call__(self, path: Path) -> str:
        status = path.stat()
        seen = f"{status.st_size} {status.st_mtime_ns}"
        known = json.loads(self._store.read_bytes()) if self._store.exists() else {}
        key = f"{path.parent.name}/{path.name}"
        if known.get(key, {}).get("seen") != seen:
            known[key] = {"seen": seen, "sha256": sha256_file(path)}
            write_atomic(self._store, readable_json(known))
        return str(known[key]["sha256"])
