"""Reading what is needed next while something else is computed."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import Generic, TypeVar

Read = TypeVar("Read")


class Ahead(Generic[Read]):
    """Named things in a known order, each read by a thread before it is asked for."""

    def __init__(self, read: Callable[[str], Read], order: Sequence[str], depth: int) -> None:
        """Nothing is read before the first is asked for.

        Args:
            read: gives the thing of a name; called by another thread.
            order: names as they will be asked for; one that follows itself counts once.
            depth: how many are read beyond the one that is asked for.
        """
        self._read, self._depth = read, depth
        self._order = [name for name, _ in groupby(order)]
        self._place = 0
        self._open: dict[str, Future[Read]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="plantain-read")

    def __call__(self, name: str) -> Read:
        """What ``read`` gives for a name, or raises."""
        self._place = self._found(name)
        wanted = dict.fromkeys([name, *self._order[self._place : self._place + self._depth + 1]])
        self._open = {one: self._open.get(one) or self._thread.submit(self._read, one) for one in wanted}
        return self._open[name].result()

    def close(self) -> None:
        """Read nothing more."""
        self._thread.shutdown(cancel_futures=True)

    def _found(self, name: str) -> int:
        """Where a name stands from the last one on; that place itself for one that is not expected."""
        for start in (self._place, 0):
            if name in self._order[start:]:
                return self._order.index(name, start)
        return self._place
