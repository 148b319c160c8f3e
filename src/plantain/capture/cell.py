"""Capture of one cell: every pass of a probe through a model, resumable, one pass or batch at a time."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import CaptureParams, CapturePath
from plantain.capture import plan as rates
from plantain.capture.any_pipeline import IMAGE_ALWAYS, any_notes
from plantain.capture.assembly import Assembly
from plantain.capture.bench import compute
from plantain.capture.elsewhere.crews import computing_device, crew_for
from plantain.capture.encode import release
from plantain.capture.grams import Axes, Job, Reduction, assemble_grams
from plantain.capture.kernels import chosen_kernel
from plantain.capture.memory import fitted_batch_size, remember
from plantain.capture.plan import PATCH
from plantain.capture.progress import Progress, Stopwatch, shown
from plantain.capture.shards import Arrays, Store, Vanished
from plantain.capture.sigma import asked_sigma
from plantain.capture.work import CellWork, OutOfMemory, Stores
from plantain.capture.workers import set_threads_for, worker_count
from plantain.model.load import load_scheduler
from plantain.probe.pictures import cached
from plantain.probe.records import Record
from plantain.records.activations import Activations
from plantain.records.grams import Grams
from plantain.records.keys import (
    batches,
    capture_digests,
    image_digests,
    passes,
    path_of,
    reference_images,
    shard_frame,
    shard_key,
)
from plantain.records.lock import KLEIN_PIPELINE, ModelLock, stored_width


@dataclass(frozen=True)
class CaptureResult:
    """What a capture gives its stage."""

    activations: Activations
    grams: Grams
    """Without matrices where ``capture.grams`` is false."""
    device: str
    """Kind of the device that computed: cpu, cuda or mps."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Facts that follow from the inputs, for the receipt: batch size, passes, noise level asked and effective."""


def capture_cell(
    records: Sequence[Record],
    references_folder: Path,
    lock: ModelLock,
    params: CaptureParams,
    progress: Progress | None = None,
    subsets: Mapping[str, Sequence[str]] | None = None,
) -> CaptureResult:
    """Run every pass of ``records`` that the store does not hold, and assemble all of them.

    Vectors stay in the store only until they are reduced: a cell whose passes changed in part runs all of them again
    for its Gram matrices.

    Args:
        records: the expanded probe.
        references_folder: holds ``<reference>.png`` for every reference that a record names.
        lock: the model.
        params: path, noise level, noise seeds, batch size, group width, whether Gram matrices are kept.
        progress: told how far it is; None for a bar on a terminal and plain lines elsewhere.
        subsets: items that Gram matrices are averaged over, by name; None for ``all`` of them alone.

    Raises:
        InputError: a prompt that the tokenizer would change, a model that cannot be measured, no memory for one pass.
    """
    _refuse(records, lock, params)
    crew = crew_for(lock)
    device = computing_device(lock)
    set_threads_for(lock.components["transformer"], device)
    images = reference_images(records, references_folder)
    digests = image_digests(images)
    ordered = passes(records, params.seeds)
    with shown(progress) as told:
        cell = CellWork(ordered, images, digests, _sizes(images), lock, params, device, told, crew)
        kernel = chosen_kernel(lock, params, cell.positions(), device)
        cell = replace(cell, params=kernel.applied(params))
        axes = Axes.of(records, params.seeds, subsets)
        size, found = _at_fitting_size(cell, axes, lambda: Assembly(records, params.seeds, cell.draws))
    header: dict[str, Any] = {"family": lock.family, "group_width": lock.group_width}
    header |= capture_digests(records, digests, lock, params)
    activations = found.assembly.activations(header)
    grams = assemble_grams(axes, found.grams, lock.geometry, cell.draws, header)
    notes = _notes(cell, size) | kernel.notes
    if crew is not None and len(crew.kinds) > 1:
        notes["devices"] = sorted(crew.kinds)
    return CaptureResult(activations, grams, device.split(":", maxsplit=1)[0], notes)


class _Found(NamedTuple):
    """What a cell's passes gave."""

    assembly: Assembly
    grams: list[Arrays]


def _refuse(records: Sequence[Record], lock: ModelLock, params: CaptureParams) -> None:
    if not fits(lock, params.group_width):
        fix = "run `dvc repro`: the model's unit table was made for another capture.group_width."
        found = f"the lock of '{lock.name}' has groups of {lock.group_width} channels, not {params.group_width}."
        raise InputError(found, field="capture.group_width", fix=fix)
    if not lock.fast and params.kernels():
        fix = "leave attention and compile out for this model."
        raise InputError(
            f"'{lock.name}' is run by its pipeline, which computes the plain way.", field="capture", fix=fix
        )
    if not lock.takes_image and any(record.reference for record in records):
        fix = "choose a probe whose conditions have no reference, or a model that conditions on images."
        raise InputError(f"a {lock.pipeline} takes no image, and the probe's conditions have references.", fix=fix)
    if lock.pipeline in IMAGE_ALWAYS and not all(record.reference for record in records):
        fix = "choose a probe whose conditions all have references."
        raise InputError(f"a {lock.pipeline} always takes an image, and some conditions have none.", fix=fix)
    if path_of(lock, params) is CapturePath.pipeline and params.batch_size not in (1, "auto"):
        fix = "set capture.batch_size: 1, or capture.path: fast where the model allows it."
        raise InputError("the plain pipeline path runs one prompt at a time.", field="capture.batch_size", fix=fix)


def fits(lock: ModelLock, group_width: int) -> bool:
    """Whether the groups of a lock are the widest up to ``group_width`` that divide its heads and MLPs."""
    return lock.group_width == stored_width(lock.geometry.kinds, group_width)


def _sizes(images: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
    return {name: cached(path).size for name, path in images.items()}


def _at_fitting_size(cell: CellWork, axes: Axes, empty: Callable[[], Assembly]) -> tuple[int, _Found]:
    if cell.crew is not None and cell.params.batch_size == "auto":
        fix = "set a number: the memory of another process's device is not known here."
        raise InputError("several devices take no batch size 'auto'.", field="capture.batch_size", fix=fix)
    size = 1 if cell.plain else fitted_batch_size(cell.lock, cell.params, cell.positions(), cell.device)
    while (found := _attempt(cell, axes, size, empty())) is None:
        release(cell.device, cell.lock.components["transformer"])
        if size == 1:
            fix = "use a smaller height and width, a shorter max_sequence_length, or a larger device."
            raise InputError(f"one pass of '{cell.lock.name}' does not fit into memory.", fix=fix)
        cell.progress.note(f"a batch of {size} does not fit into memory: the cell starts again with {size // 2}.")
        size //= 2
        if cell.params.batch_size == "auto":
            remember(cell.lock, cell.positions(), cell.device, size)
    return size, found


def _attempt(cell: CellWork, axes: Axes, size: int, assembly: Assembly) -> _Found | None:
    jobs, note = _jobs(cell, size), cell.progress.note
    stores = Stores(Store("shards", note), Store("vectors", note))
    # With no jobs to reduce, it asks for no vectors and makes nothing.
    reduction = Reduction(axes, jobs if cell.params.grams else [], stores.vectors, Store("grams", note))
    try:
        _capture(cell, jobs, stores, reduction, assembly)
        return _Found(assembly, reduction.entries())
    except OutOfMemory:
        reduction.abandon()
        return None


def _capture(cell: CellWork, jobs: Sequence[Job], stores: Stores, reduction: Reduction, assembly: Assembly) -> None:
    missing = look(jobs, stores.shards, reduction, assembly)
    workers = 1 if cell.crew else worker_count(cell.lock.components["transformer"], cell.device, len(missing))
    # A second round does alone, and with its own errors, what workers left; further ones, what somebody pruned.
    for count in (workers, 1, 1):
        if missing:
            with suppress(Vanished):
                _timed(cell, missing, stores, count, reduction)
        if missing or reduction.lacking:
            reduction.settle_all()
            missing = look(jobs, stores.shards, reduction, assembly)
    if missing:
        raise CheckFailed(
            f"{len(missing)} shards vanished from {stores.shards} after they were written. Fix: run again."
        )


def _jobs(cell: CellWork, size: int) -> list[Job]:
    plan = batches(cell.ordered, size, cell.shape)
    frames = [shard_frame(cell.lock, cell.params, size, draw, cell.device) for draw in range(len(cell.draws))]
    return [
        Job(draw, shard_key(frame, batch, cell.digests), batch) for draw, frame in enumerate(frames) for batch in plan
    ]


def look(jobs: Sequence[Job], shards: Store, reduction: Reduction, assembly: Assembly) -> list[Job]:
    """Enter what the store holds and was not entered yet, a shard at a time; the jobs that are still to be computed."""
    missing = []
    for job in jobs:
        there = assembly.holds(job.draw, job.batch) or _enter(job, shards, assembly)
        vectors = reduction.needs(job)
        if not there or vectors:
            missing.append(job._replace(vectors=vectors))
    return missing


def _enter(job: Job, shards: Store, assembly: Assembly) -> bool:
    """Enter a shard, if it is there."""
    entry = shards.read(job.key)
    if entry is not None:
        assembly.enter(job.draw, job.batch, entry["mean_square"], entry["token_count"])
    return entry is not None


def _timed(cell: CellWork, missing: Sequence[Job], stores: Stores, workers: int, reduction: Reduction) -> None:
    watch = Stopwatch(cell.progress)
    compute(replace(cell, progress=watch), missing, stores, workers, reduction.settle)
    # A family makes a transformer between its draws, which is no pass: its rate is better than none, and no more.
    if cell.crew is None and (len(cell.draws) == 1 or not rates.rate(cell.lock, cell.device).measured):
        rates.remember(cell.lock, cell.device, cell.positions(), watch.steps, watch.seconds)


def _notes(cell: CellWork, size: int) -> dict[str, Any]:
    notes: dict[str, Any] = {"batch_size": size, "passes": len(cell.ordered) * len(cell.draws)}
    if cell.lock.pipeline != KLEIN_PIPELINE:
        return notes | any_notes(cell.lock, cell.params)
    if cell.params.sigma != 1.0:
        positions = cell.lock.height * cell.lock.width // PATCH
        asked = asked_sigma(load_scheduler(cell.lock), cell.params.sigma, positions)
        notes["sigma"] = {"effective": cell.params.sigma, "asked_of_scheduler": round(asked, 6)}
    return notes
