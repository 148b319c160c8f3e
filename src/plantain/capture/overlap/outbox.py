"""Results on their way into the store.

On a device that computes while its host goes on, a result is waited for, examined and written by a thread while the
next forward runs: at most one is under way when another comes. Elsewhere all of that happens at once.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Sent = TypeVar("Sent")


class Outbox(Generic[Sent]):
    """Keeps results in the order in which they are sent."""

    def __init__(self, keep: Callable[[Sent], None], done: Callable[[Sent], None], *, late: bool) -> None:
        """Nothing is started.

        Args:
            keep: waits for a result and stores it.
            done: told, in the thread that sends, of what was kept.
            late: whether another thread keeps.
        """
        self._keep, self._done = keep, done
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="plantain-keep") if late else None
        self._open: tuple[Sent, Future[None]] | None = None

    def send(self, one: Sent) -> None:
        """Hand over a result, and wait for the one before it.

        Raises:
            Exception: what ``keep`` raised, here or for the one before.
        """
        if self._thread is None:
            self._keep(one)
            self._done(one)
            return
        before, self._open = self._open, (one, self._thread.submit(self._keep, one))
        self._collect(before)

    def flush(self) -> None:
        """Wait until everything is kept.

        Raises:
            Exception: what ``keep`` raised.
        """
        before, self._open = self._open, None
        self._collect(before)

    def close(self) -> None:
        """Keep what was sent, and say nothing of what fails: something else has failed before."""
        with suppress(Exception):
            self.flush()
        if self._thread is not None:
            self._thread.shutdown()

    def _collect(self, sent: tuple[Sent, Future[None]] | None) -> None:
        if sent is not None:
            sent[1].result()
            self._done(sent[0])
