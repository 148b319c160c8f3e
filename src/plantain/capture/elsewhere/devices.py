"""Work on several devices of one machine: a fresh process a device, that takes item after item.

Processes are spawned: a fork after CUDA has started cannot use it. Each sees one device, and so calls it by the name
that it has where it is alone.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Final

import torch

from plantain.base.errors import CheckFailed
from plantain.capture.elsewhere.hand import (
    MIXED,
    Delivery,
    Errand,
    Hand,
    accepted,
    drawing,
    encoding,
    refuse_unlike,
    seen,
)
from plantain.capture.elsewhere.turns import Piece, computing
from plantain.capture.grams import Job
from plantain.capture.pictures.imagery import Easel
from plantain.capture.progress import Progress
from plantain.capture.work import CellWork
from plantain.probe.records import ReferenceRecord
from plantain.records.lock import ModelLock

_SEES: Final = "CUDA_VISIBLE_DEVICES"

_hand: Hand | None = None
"""The one of this process, where it is one of several."""


class Devices:
    """The devices of this machine."""

    def __init__(self, count: int, kind: str = "cuda") -> None:
        """So many devices of a kind."""
        self.count, self.kind = count, kind
        self.kinds: set[str] = set()
        """Kinds of device that computed for this process."""

    def device(self, _: ModelLock) -> str:
        """What each process calls its own."""
        return self.kind

    def work(self, cell: CellWork, jobs: Sequence[Job], prompts: Sequence[str]) -> None:
        """Compute jobs into the store, prompts encoded first.

        Raises:
            InputError: what a process refused; or devices of several kinds.
            OutOfMemory: a batch did not fit.
            CheckFailed: a process died.
        """
        pieces = sorted(computing(jobs), key=lambda piece: piece.draw)
        total = sum(len(job.batch) for job in jobs)
        with self._engaged(Errand.of(cell), len(pieces)) as pool:
            _encoded(pool, cell.lock, prompts, cell.progress)
            _together(pool, pieces, (f"{cell.lock.name}: capture", total, "passes"), cell.progress)

    def draw(
        self, easel: Easel, records: Sequence[ReferenceRecord], prompts: Sequence[str], progress: Progress
    ) -> None:
        """Draw reference images into the store, prompts encoded first.

        Raises:
            InputError: what a process refused; or devices of several kinds.
            CheckFailed: a process died.
        """
        pieces = drawing(easel, records)
        with self._engaged(Errand(easel.lock, easel.device), len(pieces)) as pool:
            _encoded(pool, easel.lock, prompts, progress)
            label = f"{easel.lock.name}: generate references"
            _together(pool, pieces, (label, len(records), "images"), progress)

    @contextmanager
    def _engaged(self, errand: Errand, pieces: int) -> Iterator[ProcessPoolExecutor]:
        count = min(self.count, pieces)
        looks = [seen(f"{self.kind}:{place}" if self.kind == "cuda" else self.kind) for place in range(count)]
        self.kinds |= set(refuse_unlike(looks, looks[0].versions, mixed=bool(os.environ.get(MIXED))))
        with _processes(count, errand) as pool:
            yield pool


def devices_here(lock: ModelLock) -> Devices | None:
    """The devices that a model is computed on, where there are several; None where one process does it."""
    wanted, mark, _ = lock.device.partition(":")
    if mark or wanted not in ("auto", "cuda") or not torch.cuda.is_available():
        return None
    count = torch.cuda.device_count()
    return Devices(count) if count > 1 else None


@contextmanager
def _processes(count: int, errand: Errand) -> Iterator[ProcessPoolExecutor]:
    context = get_context("spawn")
    names = context.SimpleQueue()
    for name in _visible(count):
        names.put(name)
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(errand, names))
    try:
        yield pool
    except BrokenProcessPool:
        raise CheckFailed("a process that computed died. Fix: run again; what it finished is kept.") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _encoded(pool: ProcessPoolExecutor, lock: ModelLock, prompts: Sequence[str], progress: Progress) -> None:
    phase = (f"{lock.name}: encode", len(prompts), "prompts")
    _together(pool, encoding(prompts), phase, progress)


def _together(
    pool: ProcessPoolExecutor, pieces: Sequence[Piece], phase: tuple[str, int, str], progress: Progress
) -> None:
    if not pieces:
        return
    progress.phase(*phase)
    for future in as_completed([pool.submit(_deliver, piece) for piece in pieces]):
        progress.advance(accepted(future.result()))


def _visible(count: int) -> list[str]:
    """What the devices are called: those that this process was given, or their numbers."""
    given = [name for name in os.environ.get(_SEES, "").split(",") if name]
    return (given or [str(place) for place in range(count)])[:count]


def _begin(errand: Errand, names: Any) -> None:
    global _hand  # noqa: PLW0603 - a process of a pool keeps what it loaded
    os.environ[_SEES] = names.get()
    _hand = Hand(errand)


def _deliver(piece: Piece) -> Delivery:
    assert _hand is not None  # `_begin` made it
    found: Delivery = getattr(_hand, piece.method)(*piece.arguments)
    return found
