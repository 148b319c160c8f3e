"""What the locks of DVC credit each stage with: MD5 of every dependency and out."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.errors import reading
from plantain.base.yaml import plain
from plantain.records.receipt import Receipt
from plantain.track.results import Digests, Reader

LOCK: Final = places.LOCK.as_posix()


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
class DvcLocks:
    """What DVC's locks say that each stage read and wrote: one lock a probe, and one for the stages over all cells."""

    reader: Reader
    _parsed: dict[str, dict[str, tuple[Credit, ...]]] = field(default_factory=dict, compare=False)

    def credits(self, receipt: Receipt) -> tuple[Credit, ...]:
        """What the stage of ``receipt`` is credited with; nothing where no lock names it."""
        if receipt.probe and (found := self._stages(places.pipeline_lock(receipt.probe).as_posix())):
            return found.get(_name(receipt, receipt.model), ())
        cell = "-".join(part for part in (receipt.probe, receipt.model) if part)
        return self._stages(LOCK).get(_name(receipt, cell), ())

    def credit(self, receipt: Receipt, path: str) -> Credit | None:
        """What the stage of ``receipt`` is credited with at ``path``, or None."""
        return next((credit for credit in self.credits(receipt) if credit.covers(path)), None)

    def _stages(self, lock: str) -> dict[str, tuple[Credit, ...]]:
        if lock not in self._parsed:
            with reading(Path(lock), "a lock of DVC", lock_fix(lock)):
                data: dict[str, Any] = plain(self.reader.read(lock) or b"") or {}
                self._parsed[lock] = {name: _credits(entry) for name, entry in (data.get("stages") or {}).items()}
        return self._parsed[lock]


def stage_name(receipt: Receipt) -> str:
    """What DVC calls the stage that wrote ``receipt``, as ``dvc repro`` takes it."""
    name = _name(receipt, receipt.model)
    return f"{places.pipeline(receipt.probe)}:{name}" if receipt.probe else name


def _name(receipt: Receipt, item: str | None) -> str:
    """A stage of a matrix is called after its item."""
    return f"{receipt.stage}@{item}" if item else receipt.stage


def locks_of(reader: Reader) -> DvcLocks | None:
    """The locks where ``reader`` reads, or None where DVC has run nothing."""
    return DvcLocks(reader) if reader.read(LOCK) is not None else None


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
