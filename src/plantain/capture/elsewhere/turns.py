"""Who does what next where several processes work for one cell: whole items, draw by draw, nothing lost.

An item stays together, so that all its wordings meet one device, and hardware is no condition. Doing a job twice is
harmless, since equal keys give equal bytes: an idle process therefore takes up what another has not finished, and no
lost machine can hold up the end.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from plantain.base.errors import CheckFailed
from plantain.capture.grams import Job

MOST_LOSSES: Final = 5
"""Processes that may be lost over one piece of work before it is given up."""

Group = tuple[Job, ...]
"""The jobs of one item in one draw."""


def grouped(jobs: Sequence[Job]) -> list[Group]:
    """Jobs by draw and by the item of their first pass, in the order in which they first come."""
    found: dict[tuple[int, str], list[Job]] = {}
    for job in jobs:
        found.setdefault((job.draw, job.batch[0].item), []).append(job)
    return [tuple(some) for some in found.values()]


class Piece(NamedTuple):
    """Work that one process does at a time: a call of its hand."""

    method: str
    arguments: tuple[Any, ...]
    what: str
    """What it works on, in words."""
    draw: int = 0
    """The draw whose transformer it needs."""


def computing(jobs: Sequence[Job]) -> list[Piece]:
    """The passes of ``jobs`` as pieces of work, one a group."""
    return [Piece("compute", (one,), f"item '{one[0].batch[0].item}'", one[0].draw) for one in grouped(jobs)]


class Turns:
    """Pieces to be handed out, and what became of them."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._waiting: dict[int, deque[int]] = {}
        for index, piece in enumerate(pieces):
            self._waiting.setdefault(piece.draw, deque()).append(index)
        self._open = dict.fromkeys(range(len(pieces)))
        self._held: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()

    @property
    def finished(self) -> bool:
        """Whether every piece is done."""
        return not self._open

    def next(self, draw: int | None) -> int | None:
        """The piece that a process should take, one of the ``draw`` that it has loaded where there is one.

        Where none waits, the oldest that just one other process holds; None where there is none either.
        """
        waiting = {place: some for place, some in self._waiting.items() if some}
        if waiting:
            chosen = draw if draw in waiting else max(waiting, key=lambda place: len(waiting[place]))
            index = waiting[chosen].popleft()
        else:
            index = next((one for one in self._open if self._held[one] == 1), -1)
        if index < 0:
            return None
        self._held[index] += 1
        return index

    def done(self, index: int) -> bool:
        """Note that a piece was done; whether it was for the first time."""
        self._held[index] -= 1
        return self._open.pop(index, 0) is None

    def lost(self, index: int) -> None:
        """Note that the process that held a piece is gone.

        Raises:
            CheckFailed: too many were lost over this one.
        """
        self._held[index] -= 1
        self._losses[index] += 1
        if index in self._open and self._losses[index] >= MOST_LOSSES:
            problem = f"{MOST_LOSSES} processes were lost over {self.pieces[index].what}."
            raise CheckFailed(f"{problem} Fix: look into their logs for memory; what others finished is kept.")
        if index in self._open and not self._held[index]:
            self._waiting[self.pieces[index].draw].appendleft(index)
