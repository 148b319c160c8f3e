"""What makes a piece of work what it is: the keys of embeddings, references, shards and whole captures.

A key holds everything that can change the bytes of a result and is declared or observed to be part of it: weights by
digest, declared parameters, the kind of device, the versions of the packages that compute. It holds no source code, so
that an edit to a comment costs nothing; an edit that changes bytes must raise the version below, and a test with a
golden file fails until it does. Which passes share a batch follows from their sorted ids and the batch size alone, so
that neither a resume nor the number of workers changes a byte.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from plantain.base.errors import InputError
from plantain.base.files import digest, sha256_file
from plantain.base.params import CaptureParams, CapturePath, ReferenceParams
from plantain.probe.records import Record, ReferenceRecord, set_digest
from plantain.records.lock import KLEIN_PIPELINE, ModelLock


@dataclass(frozen=True)
class Pass:
    """One transformer forward: an (item, condition), one of its reference alternatives, one noise seed."""

    item: str
    condition: str
    alternative: int
    """Position on the reference axis."""
    seed: int
    """Noise seed."""
    prompt: str
    reference: str | None
    """Name of the conditioning image."""

    @property
    def name(self) -> tuple[str, str, int, int]:
        """What passes are sorted by."""
        return self.item, self.condition, self.alternative, self.seed


Batch = tuple[Pass, ...]


def passes(records: Iterable[Record], seeds: Sequence[int]) -> tuple[Pass, ...]:
    """Every pass of a cell, sorted by item, condition, alternative and seed."""
    found = [
        Pass(record.item, record.condition, index, seed, record.prompt, reference)
        for record in records
        for index, reference in enumerate(record.reference or (None,))
        for seed in seeds
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def batches(ordered: Iterable[Pass], size: int, shape: Callable[[Pass], Hashable]) -> tuple[Batch, ...]:
    """Cut sorted passes into batches of at most ``size``.

    Rows of a batch share one token layout, so passes are first parted by ``shape``, the size of their reference
    image; the parts come in the order of their first pass.
    """
    parts: dict[Hashable, list[Pass]] = {}
    for one in ordered:
        parts.setdefault(shape(one), []).append(one)
    return tuple(tuple(part[start : start + size]) for part in parts.values() for start in range(0, len(part), size))


CAPTURE_VERSION: Final = 2
"""Raise when the bytes of a shard change for equal inputs, or what a capture leaves beside it. The second leaves
vectors; to shards of the first there are none, and so no Gram matrices: they are not taken for finished work."""

GRAM_VERSION: Final = 1
"""Raise when the bytes of Gram matrices change for equal shards."""

EMBEDDING_VERSION: Final = 1
"""Raise when the bytes of a prompt embedding change for equal inputs."""

REFERENCE_VERSION: Final = 1
"""Raise when the bytes of a reference image change for equal inputs."""

CAUSAL_VERSION: Final = 1
"""Raise when the bytes of what swaps did change for equal inputs."""

TEMPLATE_FLAGS: Final = {"add_generation_prompt": True, "enable_thinking": False}
"""How the pipeline applies the tokenizer's chat template."""

_PACKAGES = ("torch", "diffusers", "transformers")


def surroundings(device: str) -> dict[str, str]:
    """Kind of the device and public versions of the packages that compute."""
    kind = device.split(":", maxsplit=1)[0]
    return {"device": kind} | {name: version(name).split("+", maxsplit=1)[0] for name in _PACKAGES}


def text_identity(lock: ModelLock, device: str) -> dict[str, Any]:
    """What, besides the prompt, makes a prompt embedding."""
    if lock.pipeline != KLEIN_PIPELINE:
        return _text_of_any(lock, device)
    return {
        "version": EMBEDDING_VERSION,
        "encoder": _component(lock, "text_encoder"),
        "tokenizer": _component(lock, "tokenizer"),
        "flags": TEMPLATE_FLAGS,
        "layers": list(lock.text_encoder_out_layers),
        "length": lock.max_sequence_length,
        "dtype": lock.dtype,
        "in": surroundings(device),
    }


def _text_of_any(lock: ModelLock, device: str) -> dict[str, Any]:
    """The same for the pipelines of other rows, which have encoders of their own number and kind."""
    parts = [name for name in lock.components if name.startswith(("text_encoder", "tokenizer", "processor"))]
    return {
        "version": EMBEDDING_VERSION,
        "pipeline": lock.pipeline,
        "parts": {name: _component(lock, name) for name in sorted(parts)},
        "layers": list(lock.text_encoder_out_layers),
        "length": lock.max_sequence_length,
        "dtype": lock.dtype,
        "in": surroundings(device),
    }


def path_of(lock: ModelLock, params: CaptureParams) -> CapturePath:
    """How passes are run: as declared, and through the pipeline where the model has no other way."""
    return params.path if lock.fast else CapturePath.pipeline


def transformer_identity(lock: ModelLock, draw: int = 0) -> dict[str, str]:
    """The transformer of one draw."""
    found = _component(lock, "transformer") | lock.changes
    return found | {"weights": lock.draws[draw]} if lock.draws else found


def reference_key(record: ReferenceRecord, lock: ModelLock, params: ReferenceParams, device: str) -> str:
    """Key of a generated reference image."""
    return digest(
        {
            "version": REFERENCE_VERSION,
            "prompt": record.prompt,
            "text": text_identity(lock, device),
            "transformer": transformer_identity(lock),
            "vae": _component(lock, "vae"),
            "scheduler": _component(lock, "scheduler"),
            "is_distilled": lock.is_distilled,
            "height": lock.height,
            "width": lock.width,
            "steps": params.steps,
            "guidance_scale": float(params.guidance_scale),
            "seed": params.seed,
        }
    )


def shard_frame(lock: ModelLock, params: CaptureParams, size: int, draw: int, device: str) -> dict[str, Any]:
    """What all shards of one draw have in common."""
    return (
        {
            "version": CAPTURE_VERSION,
            "text": text_identity(lock, device),
            "transformer": transformer_identity(lock, draw),
            "vae": _component(lock, "vae"),
            "scheduler": _component(lock, "scheduler"),
            "dtype": lock.dtype,
            "height": lock.height,
            "width": lock.width,
            "path": str(path_of(lock, params)),
            "sigma": float(params.sigma),
            "group_width": lock.group_width,
            "batch_size": size,
        }
        | params.kernels()
        | ({"means": "by sets"} if params.compile or device.startswith("cuda") else {})
        | ({} if lock.guidance_scale is None else {"guidance_scale": lock.guidance_scale})
    )


def shard_key(frame: Mapping[str, Any], batch: Batch, images: Mapping[str, str]) -> str:
    """Key of one batch. ``images`` maps reference names to the SHA-256 of their files."""
    rows = [[one.prompt, images[one.reference] if one.reference else None, one.seed] for one in batch]
    return digest(dict(frame) | {"passes": rows})


def gram_key(
    shards: Sequence[tuple[str, Sequence[Sequence[int]]]],
    subsets: Mapping[str, Sequence[int]],
    lengths: Sequence[int],
) -> str:
    """Key of the Gram matrices of one draw of a cell.

    Args:
        shards: key of every shard, and where each of its rows stands: item, condition, reference, seed.
        subsets: name to positions of items, in the order of the subset axis.
        lengths: of the axes condition, reference and seed.
    """
    named = [[name, list(items)] for name, items in subsets.items()]
    placed = [[key, [list(row) for row in rows]] for key, rows in shards]
    return digest({"version": GRAM_VERSION, "shards": placed, "subsets": named, "lengths": list(lengths)})


def causal_key(recipient: str, donor: str, sets: Sequence[str], how: Mapping[str, Any]) -> str:
    """Key of what swaps between two passes did.

    Args:
        recipient: shard key of the pass alone.
        donor: that of the other.
        sets: digest of the heads of every swap.
        how: tokens, directions, and swaps at a time.
    """
    swapped = {"recipient": recipient, "donor": donor, "sets": list(sets)}
    return digest({"version": CAUSAL_VERSION} | swapped | dict(how))


def reference_images(records: Iterable[Record], folder: Path) -> dict[str, Path]:
    """The image file of every reference that ``records`` name.

    Raises:
        InputError: one is missing.
    """
    names = sorted({name for record in records for name in record.reference})
    found = {name: folder / f"{name}.png" for name in names}
    for name, path in found.items():
        if not path.exists():
            fix = "run `dvc repro`, which generates it before it captures."
            raise InputError(f"reference image '{name}' is missing.", file=path, fix=fix)
    return found


def image_digests(images: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of every image file."""
    return {name: sha256_file(path) for name, path in images.items()}


def capture_digests(
    records: Iterable[Record], images: Mapping[str, str], lock: ModelLock, params: CaptureParams
) -> dict[str, str]:
    """Digests for the header of an activation file, ``capture_key`` among them."""
    found = {
        "prompts_sha256": set_digest(records),
        "references_sha256": digest(dict(images)),
        "model_lock_sha256": lock.sha256,
    }
    declared = {
        "path": str(path_of(lock, params)),
        "sigma": float(params.sigma),
        "seeds": list(params.seeds),
        "batch_size": params.batch_size,
        "group_width": lock.group_width,
    } | params.kernels()
    return found | {"capture_key": digest(found | {"capture": declared})}


def _component(lock: ModelLock, name: str) -> dict[str, str]:
    part = lock.components[name]
    return {"class": part.class_name, "config": part.config_sha256, "weights": part.weights_sha256}
