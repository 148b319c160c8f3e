"""Weights of the next draw, made while passes of this one run."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Made = TypeVar("Made")


class DrawnAhead(Generic[Made]):
    """At most one draw that is being made, or lies ready."""

    def __init__(self, make: Callable[[int], Made]) -> None:
        """``make`` gives a draw, in whatever thread it is called."""
        self._make = make
        self._next: tuple[int, Future[Made]] | None = None

    def begin(self, draw: int) -> None:
        """Start to make a draw. The thread does not keep a process alive that is done otherwise."""
        future: Future[Made] = Future()
        self._next = draw, future
        threading.Thread(target=self._run, args=(draw, future), name="plantain-draw", daemon=True).start()

    def take(self, draw: int) -> Made:
        """A draw: the one that was begun, waited for, or made now.

        Raises:
            Exception: what ``make`` raised.
        """
        begun, self._next = self._next, None
        return begun[1].result() if begun is not None and begun[0] == draw else self._make(draw)

    def _run(self, draw: int, future: "Future[Made]") -> None:
        try:
            future.set_result(self._make(draw))
        except BaseException as error:
            future.set_exception(error)
