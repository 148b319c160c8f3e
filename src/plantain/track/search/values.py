"""Who reports a number: the workspace first, then the published cards, then what earlier ledgers held."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from plantain.base.errors import InputError
from plantain.track.search.numbers import Number, current, earlier, merged, of_cards
from plantain.track.search.typed import Typed, typed

_NEAREST: Final = 3


@dataclass(frozen=True)
class Answer:
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


def by_value(root: Path, question: str) -> Answer:
    """Results that report a number: ``VALUE``, or ``NAME=VALUE`` where NAME is a metric, or one with its analysis.

    Raises:
        InputError: the value is none, or nothing was ever called NAME.
    """
    name, _, text = question.rpartition("=")
    if "=" in question and not name.strip():
        raise InputError(f"'{question}' is not a metric and its value.", fix="write NAME=VALUE, or VALUE alone.")
    value, name = typed(text), name.strip()
    here, cards, before = (list(found) for found in (current(root), of_cards(root), earlier(root)))
    every = (*here, *cards, *before)
    if name and every and not any(name in one.names for one in every):
        raise _unknown(name, every)
    now, told, then = (_matching(found, name, value) for found in (here, cards, before))
    known = {(one.place, one.value) for one in now}
    then = [one for one in then if (one.place, one.value) not in known]
    nearest = () if now or told or then else _nearest(every, name, value)
    wide = tuple(one for one in here if _called(one, name) and value.rounds_to(one))
    return Answer(question, tuple(now), tuple(told), tuple(then), nearest, wide)


def _matching(numbers: Iterable[Number], name: str, value: Typed) -> list[Number]:
    return merged((one for one in numbers if _called(one, name) and value.matches(one)), by_prompts=False)


def _called(one: Number, name: str) -> bool:
    return not name or name in one.names


def _nearest(numbers: Iterable[Number], name: str, value: Typed) -> tuple[Number, ...]:
    """The closest numbers that differ from one another; of equal ones the first, which is the workspace's."""
    found = heapq.nsmallest(_NEAREST, _different(numbers, name, value), key=itemgetter(0))
    return tuple(one for _, one in found)


def _different(numbers: Iterable[Number], name: str, value: Typed) -> Iterator[tuple[float, Number]]:
    seen: set[float] = set()
    for one in numbers:
        far = value.distance(one) if one.value not in seen and _called(one, name) else None
        if far is not None:
            seen.add(one.value)
            yield far, one


def _unknown(name: str, numbers: Iterable[Number]) -> InputError:
    metrics = dict.fromkeys(chain.from_iterable(one.names for one in numbers))
    close = get_close_matches(name, metrics, n=3, cutoff=0.5)
    fix = f"did you mean {' or '.join(close)}?" if close else "`plantain audit PROBE@MODEL` names every metric."
    return InputError(f"no number is called '{name}'.", fix=fix)
