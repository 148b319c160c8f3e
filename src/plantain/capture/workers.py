"""Small models on several cores: forked workers, one thread each, that put what they finish into the store.

A forward of a small model is bound by the interpreter, so that a second thread gains little and a second process
nearly everything. Every task is done on its own and goes to the store under its own key: how many workers there are
changes no byte.
"""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context
from typing import Any, Final, TypeVar

import torch

from plantain.base.errors import InputError
from plantain.base.threads import threads_available
from plantain.capture.plan import SMALL
from plantain.capture.progress import Progress
from plantain.records.lock import Component

T = TypeVar("T")
Work = Callable[[Sequence[T], Progress], None]

_WORTH: Final = 48
"""Tasks that make a worker worth its start."""


def is_small(component: Component, device: str) -> bool:
    """Whether the interpreter, not the arithmetic, sets the pace of this component."""
    return device == "cpu" and component.bytes <= SMALL


def set_threads_for(component: Component, device: str) -> None:
    """One thread for a small model, so that its values cannot depend on the number of workers; else all allowed."""
    torch.set_num_threads(1 if is_small(component, device) else threads_available())


def worker_count(component: Component, device: str, tasks: int) -> int:
    """Processes for ``tasks``: ``PLANTAIN_WORKERS``, else one a thread; 1 for large models and off Linux.

    Elsewhere than on Linux a fork is not safe once system libraries are in use, and a fresh process would take longer
    to import torch than the passes of a small model take.
    """
    declared = os.environ.get("PLANTAIN_WORKERS", "")
    if declared and not (declared.isdigit() and int(declared) > 0):
        fix = "use 1 or more, or leave it unset."
        raise InputError(f"{declared!r} is not a number of workers.", field="PLANTAIN_WORKERS", fix=fix)
    if sys.platform != "linux" or not is_small(component, device):
        return 1
    return max(1, min(int(declared) if declared else threads_available(), tasks if declared else tasks // _WORTH))


def share(tasks: Sequence[T], workers: int, work: Work[T], progress: Progress) -> None:
    """Do ``tasks`` in forked processes, every ``workers``-th in the same one; what a failed worker left is left.

    Args:
        tasks: each is done once, by one worker.
        workers: number of processes; with 1, ``work`` runs here.
        work: does some tasks and tells its progress.
        progress: told of every step and note of every worker.
    """
    if workers == 1:
        work(tasks, progress)
        return
    # Only single prompts are tokenized; unset, the tokenizers library warns of every fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    context, readers, processes = get_context("fork"), [], []
    try:
        for index in range(workers):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_serve, args=(work, tasks[index::workers], writer), daemon=True)
            with warnings.catch_warnings():
                # A worker computes on one thread and touches none of the parent's.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            # Closed here at once, so that the next worker does not hold it open and the end of this one is seen.
            writer.close()
            readers.append(reader)
            processes.append(process)
        _listen(readers, progress)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _listen(readers: list[connection.Connection], progress: Progress) -> None:
    while readers:
        for ready in connection.wait(readers):
            reader = next(one for one in readers if one is ready)
            try:
                steps, note = reader.recv()
            except EOFError:
                readers.remove(reader)
                continue
            if note:
                progress.note(note)
            else:
                progress.advance(steps)


class _Relay:
    """Progress of a worker, told to its parent. It fails, and so ends the worker, when the parent is gone."""

    def __init__(self, writer: connection.Connection) -> None:
        self._writer = writer

    def phase(self, label: str, total: int, unit: str) -> None:
        """The parent has announced it for all workers."""

    def advance(self, steps: int = 1) -> None:
        """Tell the parent."""
        self._writer.send((steps, ""))

    def note(self, sentence: str) -> None:
        """Tell the parent."""
        self._writer.send((0, sentence))


def _serve(work: Work[Any], tasks: Sequence[Any], writer: connection.Connection) -> None:
    torch.set_num_threads(1)
    relay = _Relay(writer)
    try:
        work(tasks, relay)
    except KeyboardInterrupt:
        return
    except Exception as error:
        relay.note(f"a worker stopped ({type(error).__name__}: {error}); its work is done again without it.")
