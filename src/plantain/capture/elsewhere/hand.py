"""A process elsewhere that computes passes of one cell, or draws for it: on another core, device or machine.

It is told everything by an errand, puts what it finishes into the store that all reach, and gives back counts, never
tensors. It starts over from nothing but the errand, so that it may die at any moment.
"""

import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import torch

from plantain.base.errors import InputError, PlantainError
from plantain.base.files import write_atomic
from plantain.base.places import state_dir
from plantain.capture.bench import Bench
from plantain.capture.elsewhere.turns import Group, Piece
from plantain.capture.pictures.imagery import Easel, draw_into_store
from plantain.capture.progress import Silent
from plantain.capture.shards import Store
from plantain.capture.work import CellWork, OutOfMemory, Stores, embeddings_of
from plantain.capture.workers import set_threads_for
from plantain.probe.records import ReferenceRecord
from plantain.records.keys import CAPTURE_VERSION
from plantain.records.lock import ModelLock

T = TypeVar("T")

MIXED: Final = "PLANTAIN_MIXED_DEVICES"
"""The variable that allows one cell to be computed on several kinds of device."""

TOGETHER: Final = 32
"""Prompts that a hand encodes at a time."""

IMAGES: Final = 8
"""Images that a hand draws at a time, having loaded the pipeline once."""

PACKAGES: Final = ("plantain-probes", "torch", "diffusers", "transformers")
"""What must be the same wherever a cell is computed."""


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PLANTAIN_STORE", "HF_HOME", "HF_HUB_CACHE") if name in os.environ}
    return {"PLANTAIN_CACHE": str(state_dir().resolve()), "PLANTAIN_WORKERS": "1"} | kept


@dataclass(frozen=True)
class Errand:
    """All that a hand needs to know."""

    lock: ModelLock
    device: str
    environment: Mapping[str, str] = field(default_factory=_environment)
    """Variables that say where the store is."""
    folder: str = field(default_factory=lambda: str(Path.cwd()))
    """The workspace, for models that are named by a relative path."""
    cell: CellWork | None = None
    """Whose passes are computed; none where images are drawn."""
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    """The reference images, by name: their files need not be where the hand is."""

    @classmethod
    def of(cls, cell: CellWork) -> "Errand":
        """The errand of a cell."""
        pictures = {name: path.read_bytes() for name, path in cell.images.items()}
        bare = replace(cell, progress=Silent(), crew=None, images={})
        return cls(cell.lock, cell.device, cell=bare, pictures=pictures)


class Seen(NamedTuple):
    """What a hand works with."""

    device: str
    """Kind of device, as far as it may change the last bits of a value."""
    versions: dict[str, str]
    where: str
    """Name of the machine."""


class Delivery(NamedTuple):
    """What became of a piece of work."""

    made: int = 0
    """Passes, prompts or images."""
    refused: PlantainError | None = None
    memory: bool = False
    """Whether a batch did not fit."""


class Hand:
    """One process that works for a model; made where it works."""

    def __init__(self, errand: Errand) -> None:
        os.environ.update(errand.environment)
        if Path(errand.folder).is_dir():
            os.chdir(errand.folder)
        self._errand = errand
        self._kept = tempfile.TemporaryDirectory(prefix="plantain-")
        set_threads_for(errand.lock.components["transformer"], errand.device)
        self._bench: Bench | None = None

    def look(self) -> Seen:
        """What is here."""
        return seen(self._errand.device)

    def encode(self, prompts: Sequence[str]) -> Delivery:
        """Encode what the store lacks of some prompts."""
        try:
            embeddings_of(self._errand.lock, self._errand.device, Silent()).ensure(prompts, trusted=True)
        except PlantainError as error:
            return Delivery(refused=error)
        return Delivery(len(prompts))

    def draw(self, easel: Easel, records: Sequence[ReferenceRecord]) -> Delivery:
        """Draw what the store lacks of some reference images."""
        try:
            draw_into_store(easel, records, Silent())
        except PlantainError as error:
            return Delivery(refused=error)
        return Delivery(len(records))

    def compute(self, group: Group) -> Delivery:
        """Compute what the store lacks of a group."""
        try:
            bench = self._bench or self._made()
            missing = [job for job in group if not self._stores.hold(job)]
            bench.expect(missing)
            for job in missing:
                bench.do(job)
            bench.finish()
        except OutOfMemory:
            return Delivery(memory=True)
        except PlantainError as error:
            return Delivery(refused=error)
        return Delivery(sum(len(job.batch) for job in group))

    def _made(self) -> Bench:
        quiet, errand = Silent(), self._errand
        assert errand.cell is not None  # who computes was sent with a cell
        cell = replace(errand.cell, images=_written(errand.pictures, Path(self._kept.name)))
        self._stores = Stores(Store("shards", quiet.note), Store("vectors", quiet.note))
        self._bench = Bench(cell, self._stores, embeddings_of(errand.lock, errand.device, quiet))
        return self._bench


def encoding(prompts: Sequence[str]) -> list[Piece]:
    """Prompts as pieces of work."""
    return [Piece("encode", (some,), f"prompt {some[0]!r}") for some in _parcels(prompts, TOGETHER)]


def drawing(easel: Easel, records: Sequence[ReferenceRecord]) -> list[Piece]:
    """Reference images as pieces of work."""
    return [Piece("draw", (easel, some), f"image '{some[0].name}'") for some in _parcels(records, IMAGES)]


def _parcels(things: Sequence[T], size: int) -> list[Sequence[T]]:
    return [things[first : first + size] for first in range(0, len(things), size)]


def seen(device: str) -> Seen:
    """What this process works with."""
    if device.startswith("cuda"):
        kind = torch.cuda.get_device_name(torch.device(device))
    else:
        kind = f"{device}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    versions = {name: version(name) for name in PACKAGES} | {"capture": str(CAPTURE_VERSION)}
    return Seen(kind, versions, platform.node())


def refuse_unlike(hands: Sequence[Seen], own: Mapping[str, str], *, mixed: bool) -> list[str]:
    """The kinds of device of some hands, refused where they differ, or where versions differ from ours.

    Raises:
        InputError: another version of a package that computes; or several kinds of device and ``mixed`` is not set.
    """
    for hand in hands:
        other = [name for name in own if hand.versions.get(name) != own[name]]
        if other:
            name = other[0]
            found = f"{hand.where} has {name} {hand.versions.get(name)}, this machine {own[name]}"
            raise InputError(f"{found}; a cell is computed by one version.", fix="install the same there.")
    kinds = sorted({hand.device for hand in hands})
    if len(kinds) > 1 and not mixed:
        found = f"one cell would be computed on {len(kinds)} kinds of device: {'; '.join(kinds)}."
        fix = "start the cluster with one kind, or say `--mixed-devices`, which the receipt then records."
        raise InputError(found, fix=fix)
    return kinds


def accepted(outcome: Delivery) -> int:
    """The count of what was done.

    Raises:
        PlantainError: what the hand refused.
        OutOfMemory: a batch did not fit.
    """
    if outcome.memory:
        raise OutOfMemory
    if outcome.refused is not None:
        raise outcome.refused
    return outcome.made


def _written(pictures: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    found = {}
    for name, data in pictures.items():
        found[name] = folder / f"{name}.png"
        write_atomic(found[name], data)
    return found
