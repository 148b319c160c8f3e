"""Who does what next where several processes compute one cell: whole items, draw by draw, nothing lost.

An item stays together, so that all its wordings meet one device, and hardware is no condition. Doing a job twice is
harmless, since equal keys give equal bytes: an idle process therefore takes up what another has not finished, and no
lost machine can hold up the end.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from plantain.base.errors import CheckFailed
from plantain.capture.grams import Job

MOST_LOSSES: Final = 5
"""Processes that may be lost over one item before it is given up."""

Group = tuple[Job, ...]
"""The jobs of one item in one draw."""


def grouped(jobs: Sequence[Job]) -> list[Group]:
    """Jobs by draw and by the item of their first pass, in the order in which they first come."""
    found: dict[tuple[int, str], list[Job]] = {}
    for job in jobs:
        found.setdefault((job.draw, job.batch[0].item), []).append(job)
    return [tuple(some) for some in found.values()]


class Turns:
    """Groups to be handed out, and what became of them."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)
        self._waiting: dict[int, deque[int]] = {}
        for index, group in enumerate(groups):
            self._waiting.setdefault(group[0].draw, deque()).append(index)
        self._open = dict.fromkeys(range(len(groups)))
        self._held: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()

    @property
    def finished(self) -> bool:
        """Whether every group is done."""
        return not self._open

    def next(self, draw: int | None) -> int | None:
        """The group that a process should take, one of the ``draw`` that it has loaded where there is one.

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
        """Note that a group was done; whether it was for the first time."""
        self._held[index] -= 1
        return self._open.pop(index, 0) is None

    def lost(self, index: int) -> None:
        """Note that the process that held a group is gone.

        Raises:
            CheckFailed: too many were lost over this one.
        """
        self._held[index] -= 1
        self._losses[index] += 1
        if index in self._open and self._losses[index] >= MOST_LOSSES:
            item = self.groups[index][0].batch[0].item
            problem = f"{MOST_LOSSES} processes were lost while they computed item '{item}'."
            raise CheckFailed(f"{problem} Fix: look into their logs for memory; what others finished is kept.")
        if index in self._open and not self._held[index]:
            self._waiting[self.groups[index][0].draw].appendleft(index)
