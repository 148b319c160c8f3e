"""Work on a Ray cluster: an actor a GPU, or a core for a small model, that pulls whole items.

Ray places the actors, restarts those that die and takes up machines that join. The process here hands out items, counts
what comes back, and alone assembles what the store then holds.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from plantain.base.errors import InputError
from plantain.capture.elsewhere.hand import (
    MIXED,
    Errand,
    Hand,
    Seen,
    accepted,
    drawing,
    encoding,
    refuse_unlike,
    seen,
)
from plantain.capture.elsewhere.turns import Turns, computing
from plantain.capture.grams import Job
from plantain.capture.pictures.imagery import Easel
from plantain.capture.progress import Progress
from plantain.capture.work import CellWork
from plantain.capture.workers import is_small
from plantain.probe.records import ReferenceRecord
from plantain.records.lock import ModelLock

PATIENCE: Final = 60.0
"""Seconds without a word from any actor after which it is said that the cluster is waited for."""
_LOCAL: Final = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}


@lru_cache(maxsize=1)
def crew_at(address: str) -> "Crew":
    """The cluster at an address, joined once a process.

    Args:
        address: of a running cluster, ``auto`` for the one that this machine belongs to, ``local`` for a new one here.

    Raises:
        InputError: Ray is not installed, or there is no cluster there.
    """
    try:
        import ray
    except ImportError:
        fix = "install it with `pip install 'plantain-probes[ray]'`."
        raise InputError("Ray is not installed here.", field="--ray", fix=fix) from None
    options: dict[str, Any] = {"namespace": "plantain", "log_to_driver": False, "ignore_reinit_error": True}
    try:
        _knock(address)
        ray.init(**options, **(_LOCAL if address == "local" else {"address": address}))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        fix = "start one with `ray start --head`, give its address, or say `--ray local`."
        raise InputError(f"no Ray cluster at '{address}' ({reason}).", field="--ray", fix=fix) from None
    return Crew(ray)


def _knock(address: str) -> None:
    """Whether anybody listens: Ray itself would wait long, and then end the process.

    Raises:
        OSError: nobody does.
        ValueError: the address names no port.
    """
    host, mark, port = address.rpartition(":")
    if mark:
        socket.create_connection((host, int(port)), timeout=5).close()


class Crew:
    """A cluster that was joined."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        self.kinds: set[str] = set()
        """Kinds of device that computed for this process."""

    def leave(self) -> None:
        """Part from the cluster; a later process may join again."""
        self.ray.shutdown()
        crew_at.cache_clear()

    def device(self, lock: ModelLock) -> str:
        """The kind of device that a model is computed on there.

        Raises:
            InputError: the declared one is not there.
        """
        gpus = int(self.ray.cluster_resources().get("GPU", 0))
        wanted = lock.device.split(":", maxsplit=1)[0]
        if wanted == "cuda" and not gpus:
            raise InputError("the cluster has no GPU, and the model declares one.", fix="set `device: auto` or cpu.")
        if wanted == "mps":
            raise InputError("a cluster has no device 'mps'.", field=f"models.{lock.name}.device", fix="use auto.")
        return "cuda" if gpus and wanted != "cpu" else "cpu"

    def work(self, cell: CellWork, jobs: Sequence[Job], prompts: Sequence[str]) -> None:
        """Compute jobs into the store.

        Args:
            cell: whose jobs they are.
            jobs: what the store lacks.
            prompts: that are to be encoded first.

        Raises:
            InputError: as :class:`plantain.capture.bench.Bench`; hands of unlike kinds or versions.
            OutOfMemory: a batch did not fit.
            CheckFailed: one piece of work lost too many actors.
        """
        pieces = computing(jobs)
        with self._hired(Errand.of(cell), len(pieces), cell.progress) as hands:
            self._encode(cell.lock, hands, prompts, cell.progress)
            cell.progress.phase(f"{cell.lock.name}: capture", sum(len(job.batch) for job in jobs), "passes")
            _Pull(self.ray, hands, Turns(pieces), cell.progress).run()

    def draw(
        self, easel: Easel, records: Sequence[ReferenceRecord], prompts: Sequence[str], progress: Progress
    ) -> None:
        """Draw reference images into the store, prompts encoded first.

        Raises:
            InputError: what an actor refused; hands of unlike kinds or versions.
            CheckFailed: one piece of work lost too many actors.
        """
        pieces = drawing(easel, records)
        with self._hired(Errand(easel.lock, easel.device), len(pieces), progress) as hands:
            self._encode(easel.lock, hands, prompts, progress)
            progress.phase(f"{easel.lock.name}: generate references", len(records), "images")
            _Pull(self.ray, hands, Turns(pieces), progress).run()

    @contextmanager
    def _hired(self, errand: Errand, pieces: int, progress: Progress) -> Iterator[list[Any]]:
        """Actors that have been looked at."""
        count = min(pieces, self._places(errand.lock, errand.device))
        needs = {"num_gpus": 1} if errand.device == "cuda" else {"num_cpus": 1}
        actor = self.ray.remote(Hand).options(max_restarts=-1, max_task_retries=0, **needs)
        told = self.ray.put(errand)
        hands = [actor.remote(told) for _ in range(count)]
        try:
            looks: list[Seen] = self.ray.get([hand.look.options(max_task_retries=-1).remote() for hand in hands])
            self.kinds |= set(refuse_unlike(looks, seen("cpu").versions, mixed=bool(os.environ.get(MIXED))))
            where = len({one.where for one in looks})
            progress.note(f"{errand.lock.name}: {len(hands)} actors on {where} machines.")
            yield hands
        finally:
            for hand in hands:
                self.ray.kill(hand)

    def _places(self, lock: ModelLock, device: str) -> int:
        """How many actors there is room for: GPUs, cores for a small model, machines for a large one on processors."""
        there = self.ray.cluster_resources()
        if device == "cuda":
            return max(1, int(there.get("GPU", 0)))
        small = is_small(lock.components["transformer"], device)
        machines = sum(1 for node in self.ray.nodes() if node["Alive"])
        room = max(1, int(there.get("CPU", 1)) if small else machines)
        declared = os.environ.get("PLANTAIN_WORKERS", "")
        return min(room, int(declared)) if declared.isdigit() and int(declared) else room

    def _encode(self, lock: ModelLock, hands: Sequence[Any], prompts: Sequence[str], progress: Progress) -> None:
        if prompts:
            progress.phase(f"{lock.name}: encode", len(prompts), "prompts")
            _Pull(self.ray, hands, Turns(encoding(prompts)), progress).run()


class _Pull:
    """Work handed out piece by piece to whoever is idle.

    A call is made once: Ray's own repeats are counted off while a lost actor is still being started.
    """

    def __init__(self, ray: Any, hands: Sequence[Any], turns: Turns, progress: Progress) -> None:
        self._ray, self._turns, self._progress = ray, turns, progress
        self._flying: dict[Any, tuple[Any, int | None]] = {}
        """Call to its actor and the piece that it does; none where it only answers that it is back."""
        self._draw: dict[Any, int] = {}
        self._idle = list(hands)
        self._give_all()

    def run(self) -> None:
        """Until every piece is done."""
        while not self._turns.finished:
            ready, _ = self._ray.wait(list(self._flying), timeout=PATIENCE)
            if not ready:
                self._progress.note("no actor has answered for a minute: the cluster is waited for.")
            for call in ready:
                self._take(call)

    def _take(self, call: Any) -> None:
        hand, index = self._flying.pop(call)
        try:
            found = self._ray.get(call)
        except self._ray.exceptions.RayActorError as error:
            self._missed(hand, index, error)
            return
        if index is not None:
            count = accepted(found)
            if self._turns.done(index):
                self._progress.advance(count)
        self._idle.append(hand)
        self._give_all()

    def _missed(self, hand: Any, index: int | None, error: Exception) -> None:
        """Ray starts a lost actor anew; it gets work once it answers."""
        self._progress.note(f"an actor was lost ({type(error).__name__}); what it held is done by others.")
        if index is not None:
            self._turns.lost(index)
        self._draw.pop(hand, None)
        self._flying[hand.look.options(max_task_retries=-1).remote()] = hand, None
        self._give_all()

    def _give_all(self) -> None:
        """Work for whoever has none; who gets none may get some when another is lost."""
        self._idle = [hand for hand in self._idle if not self._gave(hand)]

    def _gave(self, hand: Any) -> bool:
        index = self._turns.next(self._draw.get(hand))
        if index is None:
            return False
        piece = self._turns.pieces[index]
        self._draw[hand] = piece.draw
        self._flying[getattr(hand, piece.method).remote(*piece.arguments)] = hand, index
        return True
