"""The last good copy of every lock of DVC, under ``.plantain/lock-copies/``, and the way back from it.

DVC rewrites its lock after each stage; a full disk or a pulled plug can leave half of one. What the lock said is then
needed more than ever: it names the outs that the cache still holds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plantain.base import places
from plantain.base.errors import InputError, PlantainError, reading
from plantain.base.files import write_atomic
from plantain.base.yaml import plain
from plantain.track.dvclock import LOCK, lock_fix


def locks(root: Path) -> Iterator[str]:
    """Every lock of DVC below ``root``, by path: the one at the top, and one a pipeline."""
    for path in (root / LOCK, *sorted(root.glob(f"{places.PIPELINES}/*/{LOCK}"))):
        if path.is_file():
            yield path.relative_to(root).as_posix()


def damage(root: Path, path: str) -> InputError | None:
    """What is wrong with the lock at ``path``, or None."""
    content, copy = (root / path).read_bytes(), _copy(root, path)
    if copy.is_file() and copy.read_bytes() == content:
        return None  # only a good lock is copied
    try:
        _check(path, content)
    except InputError as error:
        return error
    return None


def keep(root: Path) -> None:
    """Copy every good lock. A lock that is the beginning of its copy, as one cut between two stages is, is left out."""
    for path in locks(root):
        content, copy = (root / path).read_bytes(), _copy(root, path)
        held = copy.read_bytes() if copy.is_file() else b""
        if not held.startswith(content) and damage(root, path) is None:
            write_atomic(copy, content)


def restore(root: Path) -> list[str]:
    """Put the copies of damaged locks in their place; the paths that are good again."""
    found = [path for path in locks(root) if damage(root, path) and has_copy(root, path)]
    for path in found:
        write_atomic(root / path, _copy(root, path).read_bytes())
    return found


def has_copy(root: Path, path: str) -> bool:
    """Whether a good copy of the lock at ``path`` is there."""
    copy = _copy(root, path)
    try:
        _check(path, copy.read_bytes())
    except (OSError, PlantainError):
        return False
    return True


def _copy(root: Path, path: str) -> Path:
    # Not where PLANTAIN_CACHE points: several checkouts may share that, and each has locks of its own.
    return root / ".plantain" / "lock-copies" / path


def _check(path: str, content: bytes) -> None:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA

    with reading(Path(path), "a lock of DVC", lock_fix(path)):
        data: Any = plain(content)
        if not data:
            raise ValueError("it is empty")
        if not content.endswith(b"\n"):
            raise ValueError("it ends in the middle of a line")
        COMPILED_LOCKFILE_SCHEMA(data)
