"""Who reports a number: the workspace first, then the published cards, then what earlier ledgers held."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from plantain.base.errors import InputError
from plantain.track.search.numbers import Number, current, earlier, merged, of_cards
from plantain.track.search.typed import TypedNumber, as_typed

_NEAREST: Final = 3
_KEPT: Final = 200


@dataclass(frozen=True)
class Located:
    """What reports a number."""

    question: str
    now: tuple[Number, ...]
    cards: tuple[Number, ...]
    earlier: tuple[Number, ...]
    """Of git's history, and in the workspace no more."""
    nearest: tuple[Number, ...]
    """Where nothing matches."""
    rounds_to_it: tuple[Number, ...]
    """Numbers of the workspace with decimals that a whole number is the nearest to: they do not match."""

    @property
    def numbers(self) -> tuple[Number, ...]:
        """All that match."""
        return (*self.now, *self.cards, *self.earlier)

    def to_json(self, workspace: str) -> dict[str, Any]:
        """For programs."""
        lists = {"numbers": self.numbers, "nearest": self.nearest, "rounds_to_it": self.rounds_to_it}
        told = {name: [one.to_json() for one in numbers] for name, numbers in lists.items()}
        return {"question": self.question, "workspace": workspace, **told}


def by_value(root: Path, question: str) -> Located:
    """Results that report a number: ``VALUE``, or ``NAME=VALUE`` where NAME is a metric, or one with its analysis.

    Raises:
        InputError: the value is none, or nothing was ever called NAME.
    """
    name, _, text = question.rpartition("=")
    if "=" in question and not name.strip():
        raise InputError(f"'{question}' is not a metric and its value.", fix="write NAME=VALUE, or VALUE alone.")
    scan = _Scan(as_typed(text), name.strip())
    here = list(current(root))
    now, told, then = (
        merged(scan.matching(found), by_prompts=False) for found in (here, of_cards(root), earlier(root))
    )
    if scan.name and scan.names and scan.name not in scan.names:
        raise _unknown(scan.name, scan.names)
    known = {(one.place, one.value) for one in now}
    then = [one for one in then if (one.place, one.value) not in known]
    nearest = () if now or told or then else scan.nearest
    wide = tuple(one for one in here if scan.called(one) and scan.value.rounds_to(one))
    return Located(question, tuple(now), tuple(told), tuple(then), nearest, wide)


@dataclass
class _Scan:
    """Reads numbers one at a time, and keeps what matches and the few that come closest."""

    value: TypedNumber
    name: str
    names: set[str] = field(default_factory=set)
    """Whatever numbers are called."""
    _near: dict[float, tuple[float, Number]] = field(default_factory=dict)
    """By value, the distance and who reports it first, which is the workspace."""

    def called(self, one: Number) -> bool:
        """Whether the question is about numbers of this name."""
        return not self.name or self.name in one.names

    def matching(self, numbers: Iterable[Number]) -> Iterator[Number]:
        """Those that match."""
        for one in numbers:
            self.names.update(one.names)
            if not self.called(one):
                continue
            if self.value.matches(one):
                yield one
            else:
                self._compare(one)

    @property
    def nearest(self) -> tuple[Number, ...]:
        """The closest of the others, no two of one value."""
        return tuple(one for _, one in heapq.nsmallest(_NEAREST, self._near.values(), key=itemgetter(0)))

    def _compare(self, one: Number) -> None:
        far = self.value.distance(one)
        if far is None or one.value in self._near:
            return
        self._near[one.value] = far, one
        if len(self._near) > _KEPT:
            kept = heapq.nsmallest(_NEAREST, self._near.values(), key=itemgetter(0))
            self._near = {other.value: (distance, other) for distance, other in kept}


def _unknown(name: str, known: Iterable[str]) -> InputError:
    close = get_close_matches(name, sorted(known, key=len), n=3, cutoff=0.5)
    fix = f"did you mean {' or '.join(close)}?" if close else "`plantain audit PROBE@MODEL` names every metric."
    return InputError(f"no number is called '{name}'.", fix=fix)
