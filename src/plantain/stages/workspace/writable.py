"""Whether this user may write where a run does, asked before its first stage.

DVC finds out when the first stage of hours has ended, and says so with the error of its own writing.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.records import journal
from plantain.stages.pipelines import outs_of

_TOPS: Final = (Path("data"), Path("models"), places.RECEIPTS, places.REPORTS, places.MARKER.parent)
_NOTES: Final = tuple(Path(".dvc", "tmp", name) for name in ("lock", "rwlock"))
_CACHES: Final = (Path(".dvc", "cache"), Path(".dvc", "cache", "files", "md5"))
"""DVC's cache, where it is not somewhere else."""


def refuse_unwritable(cells: Iterable[tuple[str, str]]) -> None:
    """Refuse the run of ``cells``, (probe, model), where it would write what this user may not.

    Raises:
        InputError: a folder, a lock or a note may not be written; names the first.
    """
    for path in dict.fromkeys(map(_standing, _written(list(cells)))):
        needed = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
        if not os.access(path, needed):
            fix = "make it writable for this user (`chown -R`, or `chmod -R u+w` where it is yours), or run in a clone."
            raise InputError("a run writes there, and this user may not.", file=path, fix=fix)


def _written(cells: list[tuple[str, str]]) -> Iterator[Path]:
    """What a run writes, or puts files into."""
    models = {model for _, model in cells}
    locks = [places.LOCK, *dict.fromkeys(places.pipeline_lock(probe) for probe, _ in cells)]
    yield from (*_TOPS, *_NOTES, *locks, journal.journal_path())
    yield from (path for path in _CACHES if path.exists())
    for lock in locks:
        for out in outs_of(lock, lambda stage: "@" not in stage or stage.partition("@")[2] in models):
            # DVC removes what was there: a file from its folder, and of a folder first what is in it.
            yield from (out.parent, *([out] if out.is_dir() else []))


def _standing(path: Path) -> Path:
    """``path``, or the nearest folder above it that there is: the one that it would be made in."""
    return next(each for each in (path, *path.parents) if each.exists())
