"""What ``dvc.lock`` credits each stage with: MD5 of every dependency and out."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml  # libyaml: fifty times faster than a parser in Python

from plantain.base.errors import reading
from plantain.records.receipt import Receipt
from plantain.track.results import Digests, Reader

LOCK: Final = "dvc.lock"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Credit:
    """One entry of a stage in dvc.lock."""

    path: str
    md5: str

    @property
    def is_folder(self) -> bool:
        """Whether the entry stands for every file below ``path``."""
        return self.md5.endswith(".dir")

    def covers(self, path: str) -> bool:
        """Whether ``path`` is the entry, or lies below it."""
        return path == self.path or path.startswith(f"{self.path}/")


@dataclass(frozen=True)
class DvcLock:
    """The stages of dvc.lock with what they read and wrote."""

    stages: dict[str, tuple[Credit, ...]]

    def credit(self, receipt: Receipt, path: str) -> Credit | None:
        """What the stage of ``receipt`` is credited with at ``path``, or None."""
        return next((credit for credit in self.stages.get(stage_name(receipt), ()) if credit.covers(path)), None)


def stage_name(receipt: Receipt) -> str:
    """DVC's name of the stage that wrote ``receipt``: a matrix joins its values with a hyphen."""
    cell = "-".join(part for part in (receipt.probe, receipt.model) if part)
    return f"{receipt.stage}@{cell}" if cell else receipt.stage


def read_lock(reader: Reader) -> DvcLock | None:
    """The lock file where ``reader`` reads, or None where there is none.

    Raises:
        InputError: it is damaged.
    """
    content = reader.read(LOCK)
    if content is None:
        return None
    with reading(Path(LOCK), "a lock of DVC", lock_fix(LOCK)):
        data: dict[str, Any] = yaml.load(content, Loader=_LOADER) or {}
        return DvcLock({name: _credits(entry) for name, entry in (data.get("stages") or {}).items()})


def lock_fix(path: str) -> str:
    """How a lock of DVC comes back."""
    return f"`plantain doctor --fix` puts back the copy of the last run; else `git checkout {path}`, then `dvc repro`."


def _credits(entry: dict[str, Any]) -> tuple[Credit, ...]:
    listed = [*(entry.get("deps") or []), *(entry.get("outs") or [])]
    return tuple(Credit(one["path"], one["md5"]) for one in listed if "md5" in one)


def md5_of(reader: Reader, credit: Credit) -> str | None:
    """The MD5 that DVC would record for ``credit`` now; None where nothing is there.

    A folder's is that of the JSON list of its files, sorted by path (dvc-data, ``HashFile`` tree objects).
    """
    if not credit.is_folder:
        found = reader.digests(credit.path)
        return found.md5 if found else None
    below = reader.names(credit.path)
    files = [(name.removeprefix(f"{credit.path}/"), reader.digests(name)) for name in below]
    tree = [_entry(name, found) for name, found in sorted(files, key=lambda pair: pair[0]) if found]
    return hashlib.md5(json.dumps(tree, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _entry(name: str, found: Digests) -> dict[str, str]:
    return {"md5": found.md5, "relpath": name}
