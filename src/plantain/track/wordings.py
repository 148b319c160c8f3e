"""Wordings that entered or left a contrast, and those that left it after numbers with them were published.

A wording is known by its text and reference, not by its name: a renamed one is still there, and one that was given
another text is gone.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import normalise
from plantain.base.git import git_objects
from plantain.probe.authoring.diff import parse_bytes
from plantain.probe.expand import expand_with
from plantain.probe.spec import Condition, Probe, parse_probe
from plantain.records.ledger import LEDGER
from plantain.track.asked import AskedSet, questions_of
from plantain.track.history import RevisionReader, states
from plantain.track.results import Cell, Reader

SIDES: Final = ("a", "b")
_Place = tuple[str, str]
"""Contrast and side."""
_Text = tuple[str, tuple[str, ...]]
"""A normalised template and its references: what tells wordings apart."""


@dataclass(frozen=True)
class Wording:
    """A condition by name and text."""

    name: str
    prompt: str

    def __str__(self) -> str:
        return f'{self.name} "{self.prompt}"'


@dataclass(frozen=True)
class SideChange:
    """How one side of a contrast differs."""

    contrast: str
    side: str
    """``a`` or ``b``."""
    dropped: tuple[Wording, ...]
    added: tuple[Wording, ...]


@dataclass(frozen=True)
class Dropped:
    """Wordings of a set whose numbers were published that are in their contrast no more."""

    prompts_sha256: str
    """The set as it was asked then."""
    commit: str
    """The oldest whose ledger holds the numbers."""
    sides: tuple[SideChange, ...]

    def __str__(self) -> str:
        gone = "; ".join(f"{one.contrast} {one.side}: {', '.join(map(str, one.dropped))}" for one in self.sides)
        of = f"set {self.prompts_sha256[:12]} whose numbers were published (commit {self.commit[:10]})"
        return f"wordings dropped since {of}: {gone}"


def changes(before: Probe, after: Probe) -> tuple[SideChange, ...]:
    """Sides that do not hold the same wordings; where one of the two has no such contrast, its sides count as empty."""
    old, new = _sides(before), _sides(after)
    found = []
    for contrast, side in {**old, **new}:
        left, right = old.get((contrast, side), {}), new.get((contrast, side), {})
        gone = tuple(wording for text, wording in left.items() if text not in right)
        come = tuple(wording for text, wording in right.items() if text not in left)
        if gone or come:
            found.append(SideChange(contrast, side, gone, come))
    return tuple(found)


def probe_at(reader: Reader, name: str) -> Probe | None:
    """The probe file where ``reader`` reads; None where it is missing or no probe."""
    path = places.probe_file(name).as_posix()
    content = reader.read(path)
    return None if content is None else _probe(content, path)


def is_published(ledger: bytes | None, cell: Cell) -> bool:
    """Whether a ledger has numbers of the cell's set of prompts on its model."""
    return cell.prompts is not None and _question(cell, cell.prompts.set_sha256) in (questions_of(ledger or b"") or ())


def dropped(root: Path, cell: Cell, now: Probe, until: str | None = None) -> list[Dropped]:
    """Wordings that published results of ``cell`` were asked with and ``now`` is not; oldest first.

    Of every ref, experiments included; with ``until`` of that commit and its ancestors.
    """
    path = places.probe_file(cell.probe).as_posix()
    found: dict[tuple[SideChange, ...], Dropped] = {}
    for state in states(root, LEDGER, path, until=until):
        ledger, file = state.blobs
        then = _probe_of(root, file, path) if ledger and file else None
        gone = _gone(then, now) if then else ()
        if then and ledger and gone and gone not in found:
            sha256 = _set_digest(root, state.commit, then)
            if sha256 and _question(cell, sha256) in _questions_at(root, ledger):
                found[gone] = Dropped(sha256, state.commit, gone)
    return list(found.values())


def _sides(probe: Probe) -> dict[_Place, dict[_Text, Wording]]:
    return {
        (contrast.name, side): dict(_wording(probe.conditions[name]) for name in getattr(contrast, side))
        for contrast in probe.contrasts.values()
        for side in SIDES
    }


def _wording(condition: Condition) -> tuple[_Text, Wording]:
    text = normalise(condition.prompt)
    return (text, condition.reference), Wording(condition.name, text)


def _gone(then: Probe, now: Probe) -> tuple[SideChange, ...]:
    return tuple(replace(one, added=()) for one in changes(then, now) if one.dropped)


def _question(cell: Cell, prompts_sha256: str) -> AskedSet:
    return AskedSet(cell.model, cell.probe, prompts_sha256)


def _set_digest(root: Path, commit: str, probe: Probe) -> str | None:
    """The digest of the set that a probe file gave at a commit; None where a picture that it names is missing there.

    Where it is not what the ledger of that commit names, the file had been edited and not been run.
    """
    reader = RevisionReader(root, commit)

    def picture(file: str) -> str:
        held = reader.digests(file)
        if held is None:
            raise FileNotFoundError(file)
        return held.sha256

    try:
        return expand_with(probe, picture).set_sha256
    except InputError:
        return None


@cache
def _questions_at(root: Path, blob: str) -> frozenset[AskedSet]:
    """What the ledger of this object id says was asked; cells share it."""
    return frozenset(questions_of(_content(root, blob)) or ())


@cache
def _probe_of(root: Path, blob: str, path: str) -> Probe | None:
    return _probe(_content(root, blob), path)


def _content(root: Path, blob: str) -> bytes:
    found = next(git_objects(root, [blob]))
    return found[1] if found else b""


def _probe(content: bytes, path: str) -> Probe | None:
    try:
        return parse_probe(parse_bytes(content, path))
    except InputError:
        return None
