"""The files that plantain and DVC own, looked at before they are needed: one that was cut short says so by its name.

A damaged file otherwise shows as whatever its reader stumbles over, far from where the damage is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from plantain.base.environment import ENVIRONMENT, declared_versions
from plantain.base.errors import InputError, reading
from plantain.base.git import run_git
from plantain.records import journal
from plantain.records.ledger import LEDGER, read_ledger
from plantain.track import lockcopy
from plantain.track.results import FolderReader, cell_names, parse_receipt

_CONFIG: Final = ".dvc/config"
_SETTINGS: Final = ("params.yaml", ENVIRONMENT.as_posix(), _CONFIG)
"""Files that people write: their syntax is checked where they are read, with its line."""


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be."""

    error: InputError
    """A sentence that names the file and the way back."""
    heals: bool = False
    """Whether `dvc repro` makes the file anew by itself."""
    setting: bool = False
    """Whether people write it: input, and no link of a chain."""


def refuse_damaged(root: Path) -> list[str]:
    """What is damaged and made anew by the run that follows, in sentences.

    Raises:
        InputError: a file is damaged that no run makes anew.
    """
    found = list(damages(root))
    for damage in found:
        if not damage.heals:
            raise damage.error
    return [str(damage.error) for damage in found]


def damages(root: Path) -> Iterator[Damage]:
    """Every damaged file below ``root``: settings first, then locks, then what stages wrote."""
    reader = FolderReader(root)
    for path in _SETTINGS:
        yield from _tried(partial(_setting, root, path), setting=True)
    yield from (Damage(error) for path in lockcopy.locks(root) if (error := lockcopy.damage(root, path)))
    yield from _tried(partial(cell_names, reader), heals=True)
    if (content := reader.read(LEDGER)) is not None:
        yield from _tried(partial(read_ledger, content), heals=True)
    for path in reader.names("receipts"):
        if path.endswith(".json"):
            yield from _tried(partial(parse_receipt, path, reader.read(path) or b""), heals=True)


def torn_journal() -> str | None:
    """A sentence on lines of the journal that cannot be read, or None."""
    torn = journal.torn_lines()
    if not torn:
        return None
    lost = "when and where their receipts were made is not known"
    return f"{torn} lines of {journal.journal_path()} are torn, and are left out: {lost}"


def _tried(check: Callable[[], object], *, heals: bool = False, setting: bool = False) -> Iterator[Damage]:
    try:
        check()
    except InputError as error:
        yield Damage(error, heals, setting)


def _setting(root: Path, path: str) -> None:
    """Refuse a settings file that is empty, holds bytes that are no text, or is the beginning of the committed one."""
    place = root / path
    if not place.is_file():
        return
    content, fix = place.read_bytes(), f"`git checkout {path}` brings back the committed file."
    with reading(Path(path), "settings", fix):
        if "\0" in content.decode():
            raise ValueError("it holds bytes that are no text")
        beginning = not content.endswith(b"\n") and _is_beginning(root, path, content)
        if not content.strip() and (beginning or path != _CONFIG):
            raise ValueError("it is empty")
        if beginning:
            raise ValueError("it ends in the middle of a line of the committed file")
        if path == _CONFIG and content != run_git(root, "show", f"HEAD:./{path}"):
            _dvc_config(place)
    if path == ENVIRONMENT.as_posix():
        declared_versions(place)


def _is_beginning(root: Path, path: str, content: bytes) -> bool:
    committed = run_git(root, "show", f"HEAD:./{path}")
    return len(content) < len(committed) and committed.startswith(content)


def _dvc_config(place: Path) -> None:
    from dvc.config import Config

    Config.validate(Config.load_file(str(place)))
