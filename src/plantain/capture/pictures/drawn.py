"""Reference images that were drawn before: found by their keys, and written with a note of how they came about.

Nothing here imports torch, which takes seconds and is not needed to copy a picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plantain.base.files import readable_json, sha256_bytes, write_atomic
from plantain.base.params import ReferenceParams, Source
from plantain.capture.progress import Progress
from plantain.capture.shards import Arrays, Store
from plantain.model.materialise import files_of_parent
from plantain.probe.records import ReferenceRecord
from plantain.records.keys import reference_key
from plantain.records.lock import ModelLock


def take_drawn(
    records: Sequence[ReferenceRecord], lock: ModelLock, params: ReferenceParams, folder: Path, progress: Progress
) -> str | None:
    """Write every image from the store; the kind of device that drew them.

    None, and nothing written, where one is not there, or where only torch can tell which device is.
    """
    if lock.device != "cpu":
        return None
    drawing = _parent(lock) if lock.source is Source.untrained else lock
    store = Store("references", progress.note)
    found = [store.read(reference_key(record, drawing, params, lock.device)) for record in records]
    if any(entry is None for entry in found):
        return None
    for record, entry in zip(records, found, strict=True):
        assert entry is not None
        write_drawn(entry, record, drawing, params, lock.device, folder)
    return lock.device


def write_drawn(
    entry: Arrays, record: ReferenceRecord, lock: ModelLock, params: ReferenceParams, device: str, folder: Path
) -> None:
    """Write an image of the store, which ``lock`` drew, and its generation record into ``folder``."""
    data = entry["png"].tobytes()
    write_atomic(folder / f"{record.name}.png", data)
    key = reference_key(record, lock, params, device)
    note = _note(record, lock, params) | {"key": key, "image_sha256": sha256_bytes(data)}
    write_atomic(folder / f"{record.name}.json", readable_json(note))


def _parent(lock: ModelLock) -> ModelLock:
    """What the key of an image takes from the lock of the model that an untrained one was made from.

    A transformer that lies in no file has no digest here, and so its images are not found.
    """
    changes: dict[str, Any] = {"components": files_of_parent(lock).components, "draws": [], "lora": None}
    return lock.model_copy(update=changes | {"quantized": None})


def _note(record: ReferenceRecord, lock: ModelLock, params: ReferenceParams) -> dict[str, Any]:
    return {
        "schema": "plantain.reference/1",
        "name": record.name,
        "prompt": record.prompt,
        "record_sha256": record.sha256,
        "steps": params.steps,
        "guidance_scale": float(params.guidance_scale),
        "seed": params.seed,
        "height": lock.height,
        "width": lock.width,
        "dtype": lock.dtype,
    }
