"""Which reference images a probe needs of a model, and who draws them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from plantain.base.errors import CheckFailed
from plantain.base.params import (
    CaptureParams,
    ModelParams,
    Params,
    ReferenceParams,
    ReportParams,
    RunParams,
    Source,
    TrackingParams,
    VerdictParams,
)
from plantain.capture.elsewhere.crews import computing_device, crew_for
from plantain.capture.encode import Embeddings
from plantain.capture.pictures.drawn import write_drawn
from plantain.capture.pictures.imagery import Easel, draw_into_store
from plantain.capture.progress import Progress
from plantain.capture.shards import Store
from plantain.capture.workers import set_threads_for, share, worker_count
from plantain.model.resolve import resolve
from plantain.probe.records import ReferenceRecord
from plantain.records.lock import ModelLock


def draw_all(
    records: Sequence[ReferenceRecord], lock: ModelLock, params: ReferenceParams, folder: Path, progress: Progress
) -> str:
    """Write image and generation record of every prompted reference; the kind of device that it ran on.

    An untrained model conditions on the images that the model it was made from generates.
    """
    lock = parent(lock) if lock.source is Source.untrained else lock
    device = computing_device(lock)
    set_threads_for(lock.components["transformer"], device)
    easel, store = Easel(lock, params, device), Store("references", progress.note)
    missing = [record for record in records if store.read(easel.key(record)) is None]
    if missing:
        _draw(easel, missing, store, progress)
    for record in records:
        entry = store.read(easel.key(record))
        if entry is None:
            raise CheckFailed(f"the stored image of '{record.name}' vanished while it was needed. Fix: run again.")
        write_drawn(entry, record, lock, params, device, folder)
    return device.split(":", maxsplit=1)[0]


def _draw(easel: Easel, missing: Sequence[ReferenceRecord], store: Store, progress: Progress) -> None:
    """On a cluster, on the devices of this machine, or here: a small model on several cores."""
    lock, prompts, crew = easel.lock, easel.prompts(missing), crew_for(easel.lock)
    if crew is not None:
        crew.draw(easel, missing, prompts, progress)
        return
    if prompts:
        Embeddings(lock, easel.device, progress).ensure(prompts)
    progress.phase(f"{lock.name}: generate references", len(missing), "images")
    steps = len(missing) * easel.params.steps
    workers = min(len(missing), worker_count(lock.components["transformer"], easel.device, steps))
    # A second round does alone, and with its own errors, what workers left.
    for count in dict.fromkeys((workers, 1)):
        left = [record for record in missing if not store.holds(easel.key(record))]
        if left:
            share(left, count, partial(draw_into_store, easel), progress)


def parent(lock: ModelLock) -> ModelLock:
    """The lock of the model that an untrained one was made from, at the untrained one's size and dtype."""
    name = lock.reference_model
    entry = ModelParams(
        source=lock.base,
        repo=lock.repo,
        revision=lock.revision,
        path=lock.path,
        device=lock.device,
        dtype=lock.dtype,
        height=lock.height,
        width=lock.width,
        max_sequence_length=lock.max_sequence_length,
        text_encoder_out_layers=list(lock.text_encoder_out_layers),
    )
    alone = Params(
        run=RunParams(),
        models={name: entry},
        reference=ReferenceParams(),
        capture=CaptureParams(group_width=lock.group_width),
        analyses={},
        verdict=VerdictParams(),
        report=ReportParams(),
        tracking=TrackingParams(),
    )
    return resolve(name, alone)[0]
