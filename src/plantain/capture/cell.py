"""Capture of one cell: every pass of a probe through a model, resumable, one pass or batch at a time."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from plantain.capture import rates
from plantain.capture.activations import Activations
from plantain.capture.assembly import Finished, Measured, assemble, enter
from plantain.capture.batching import Batch, Pass, batches, passes
from plantain.capture.encode import Embeddings, release
from plantain.capture.forward import Runner, Scene, fast_runner, prepare_scene
from plantain.capture.identity import capture_digests, image_digests, reference_images, shard_frame, shard_key
from plantain.capture.memory import fitted_batch_size, is_out_of_memory, remember
from plantain.capture.pipeline_path import pipeline_runner
from plantain.capture.plan import PATCH
from plantain.capture.progress import Progress, shown
from plantain.capture.shards import Store
from plantain.capture.sigma import asked_sigma
from plantain.capture.threads import set_threads
from plantain.config import CaptureParams, CapturePath
from plantain.errors import InputError
from plantain.model.load import load_pipeline, load_scheduler, load_transformer, resolve_device
from plantain.model.lock import ModelLock
from plantain.probe.records import Record


@dataclass(frozen=True)
class CaptureResult:
    """What a capture gives its stage."""

    activations: Activations
    device: str
    """Kind of the device that computed: cpu, cuda or mps."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Facts that follow from the inputs, for the receipt: batch size, passes, noise level asked and effective."""


class _OutOfMemory(Exception):
    """A batch did not fit."""


@dataclass(frozen=True)
class _Cell:
    """What stays the same while batch sizes are tried."""

    ordered: tuple[Pass, ...]
    images: Mapping[str, Path]
    digests: Mapping[str, str]
    """SHA-256 of the image files."""
    sizes: Mapping[str, tuple[int, int]]
    lock: ModelLock
    params: CaptureParams
    device: str
    progress: Progress

    @property
    def draws(self) -> tuple[int, ...]:
        return tuple(self.lock.seeds) or (0,)

    @property
    def plain(self) -> bool:
        return self.params.path is CapturePath.pipeline

    def shape(self, one: Pass) -> tuple[int, int] | None:
        return None if one.reference is None else self.sizes[one.reference]

    def positions(self) -> int:
        pixels = max((width * height for width, height in self.sizes.values()), default=0)
        return self.lock.max_sequence_length + (pixels + self.lock.height * self.lock.width) // PATCH


def capture_cell(
    records: Sequence[Record],
    references_folder: Path,
    lock: ModelLock,
    params: CaptureParams,
    progress: Progress | None = None,
) -> CaptureResult:
    """Run every pass of ``records`` that the store does not hold, and assemble all of them.

    Args:
        records: the expanded probe.
        references_folder: holds ``<reference>.png`` for every reference that a record names.
        lock: the model.
        params: path, noise level, noise seeds, batch size, group width.
        progress: told how far it is; None for a bar on a terminal and plain lines elsewhere.

    Raises:
        InputError: a prompt that the tokenizer would change, a model that cannot be measured, no memory for one pass.
    """
    _refuse(lock, params)
    set_threads()
    device = resolve_device(lock.device)
    images = reference_images(records, references_folder)
    digests = image_digests(images)
    ordered = passes(records, params.seeds)
    with shown(progress) as told:
        cell = _Cell(ordered, images, digests, _sizes(images), lock, params, device, told)
        size, finished = _at_fitting_size(cell)
    header: dict[str, Any] = {"family": lock.family, "group_width": params.group_width}
    header |= capture_digests(records, digests, lock, params)
    activations = assemble(records, params.seeds, cell.draws, finished, header)
    return CaptureResult(activations, device.split(":", maxsplit=1)[0], _notes(cell, size))


def _refuse(lock: ModelLock, params: CaptureParams) -> None:
    if lock.is_distilled:
        fix = "use the undistilled base model."
        raise InputError(f"model '{lock.name}' is a distilled pipeline.", fix=fix)
    if lock.group_width != params.group_width:
        fix = "run `dvc repro`: the model's unit table was made for another capture.group_width."
        found = f"the lock of '{lock.name}' has groups of {lock.group_width} channels, not {params.group_width}."
        raise InputError(found, field="capture.group_width", fix=fix)
    if params.path is CapturePath.pipeline and params.batch_size not in (1, "auto"):
        fix = "set capture.batch_size: 1, or capture.path: fast."
        raise InputError("the plain pipeline path runs one prompt at a time.", field="capture.batch_size", fix=fix)


def _sizes(images: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
    sizes = {}
    for name, path in images.items():
        with Image.open(path) as image:
            sizes[name] = image.size
    return sizes


def _at_fitting_size(cell: _Cell) -> tuple[int, Finished]:
    size = 1 if cell.plain else fitted_batch_size(cell.lock, cell.params, cell.positions(), cell.device)
    while (finished := _attempt(cell, size)) is None:
        release(cell.device, cell.lock.components["transformer"])
        if size == 1:
            fix = "use a smaller height and width, a shorter max_sequence_length, or a larger device."
            raise InputError(f"one pass of '{cell.lock.name}' does not fit into memory.", fix=fix)
        cell.progress.note(f"a batch of {size} does not fit into memory: the cell starts again with {size // 2}.")
        size //= 2
        if cell.params.batch_size == "auto":
            remember(cell.lock, cell.positions(), cell.device, size)
    return size, finished


def _attempt(cell: _Cell, size: int) -> Finished | None:
    try:
        return _capture(cell, size)
    except _OutOfMemory:
        return None


def _capture(cell: _Cell, size: int) -> Finished:
    store = Store("shards", cell.progress.note)
    plan = batches(cell.ordered, size, cell.shape)
    finished: Finished = {}
    missing: dict[int, list[tuple[str, Batch]]] = {}
    for draw in range(len(cell.draws)):
        frame = shard_frame(cell.lock, cell.params, size, draw, cell.device)
        for batch in plan:
            key = shard_key(frame, batch, cell.digests)
            entry = store.read(key)
            if entry is None:
                missing.setdefault(draw, []).append((key, batch))
            else:
                enter(finished, draw, batch, (entry["mean_square"], entry["token_count"]))
    if missing:
        _compute(cell, store, missing, finished)
    return finished


def _compute(cell: _Cell, store: Store, missing: Mapping[int, Sequence[tuple[str, Batch]]], finished: Finished) -> None:
    todo = [(draw, batch) for draw, jobs in missing.items() for _, batch in jobs]
    embeddings = Embeddings(cell.lock, cell.device, cell.progress)
    embeddings.ensure(one.prompt for _, batch in todo for one in batch)
    used = {one.reference for _, batch in todo for one in batch}
    images = {name: path for name, path in cell.images.items() if name in used}
    scene = prepare_scene(images, cell.lock, cell.params.sigma, cell.device, cell.progress)
    total, done = sum(len(batch) for _, batch in todo), 0
    cell.progress.phase(f"{cell.lock.name}: capture", total, "passes")
    began = time.perf_counter()
    try:
        for draw, jobs in missing.items():
            for (key, batch), measured in zip(jobs, _measured(cell, draw, jobs, scene, embeddings), strict=True):
                store.write(key, {"mean_square": measured[0], "token_count": measured[1]})
                enter(finished, draw, batch, measured)
                cell.progress.advance(len(batch))
                done += len(batch)
    except KeyboardInterrupt:
        cell.progress.note(f"interrupted: {done} of {total} passes are kept; run again to go on from there.")
        raise
    rates.remember(cell.lock, cell.device, cell.positions(), (time.perf_counter() - began) / total)


def _measured(
    cell: _Cell, draw: int, jobs: Sequence[tuple[str, Batch]], scene: Scene, embeddings: Embeddings
) -> Iterator[Measured]:
    try:
        run = _runner(cell, draw, scene, embeddings)
        for _, batch in jobs:
            yield run(batch)
        del run
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise _OutOfMemory from None
        raise
    release(cell.device, cell.lock.components["transformer"])


def _runner(cell: _Cell, draw: int, scene: Scene, embeddings: Embeddings) -> Runner:
    if cell.plain:
        pipeline = load_pipeline(cell.lock, cell.device, draw)
        return pipeline_runner(pipeline, scene, cell.images, cell.lock, cell.params)
    transformer = load_transformer(cell.lock, cell.device, draw)
    return fast_runner(transformer, scene, embeddings, cell.params)


def _notes(cell: _Cell, size: int) -> dict[str, Any]:
    notes: dict[str, Any] = {"batch_size": size, "passes": len(cell.ordered) * len(cell.draws)}
    if cell.params.sigma != 1.0:
        positions = cell.lock.height * cell.lock.width // PATCH
        asked = asked_sigma(load_scheduler(cell.lock), cell.params.sigma, positions)
        notes["sigma"] = {"effective": cell.params.sigma, "asked_of_scheduler": round(asked, 6)}
    return notes
