"""What a capture will take, without running or loading anything: passes, time, disk and memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plantain.capture.activations import TOKENS
from plantain.capture.batching import passes
from plantain.capture.rates import Rate, pass_flops, rate
from plantain.config import CaptureParams, ReferenceParams
from plantain.model.lock import ModelLock
from plantain.probe.records import Record, ReferenceRecord

PATCH: Final = 16 * 16
"""Pixels that one position of the transformer covers."""

_ITEM_BYTES: Final = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Plan:
    """A forecast for one cell."""

    passes: int
    """Measured forwards: items x conditions x alternatives x seeds x draws."""
    prompts: int
    """Distinct prompts to encode."""
    images: int
    """Reference images to generate."""
    seconds: float
    """For an empty store: encoding, generating and capturing."""
    rate: Rate
    """What ``seconds`` rests on."""
    activation_bytes: int
    """The DVC output."""
    cache_bytes: int
    """What ``.plantain/`` grows by: shards and embeddings."""
    memory_bytes: int
    """Peak on the device: the largest component with its activations, since they are loaded one at a time."""
    largest: str
    """Name of that component."""


def plan(
    records: Sequence[Record],
    references: Sequence[ReferenceRecord],
    lock: ModelLock,
    params: CaptureParams,
    reference_params: ReferenceParams,
) -> Plan:
    """Forecast one cell. Reads a remembered rate if there is one; loads no model and imports no torch."""
    draws = max(1, len(lock.seeds))
    ordered = passes(records, params.seeds)
    prompts = len({record.prompt for record in records})
    generated = sum(record.prompt is not None for record in references)
    conditioned = any(record.reference for record in records)
    positions = pass_positions(lock, conditioned)
    known = rate(lock, "cpu" if lock.device == "cpu" else "mps" if lock.device == "mps" else "cuda")
    count = len(ordered) * draws
    guided = 2 if reference_params.guidance_scale > 1.0 else 1
    work = count * pass_flops(lock, positions)
    work += generated * reference_params.steps * guided * pass_flops(lock, pass_positions(lock, False))
    work += prompts * _encode_flops(lock)
    stored = count * len(TOKENS) * lock.geometry.groups * 4
    size = 1 if params.batch_size == "auto" else int(params.batch_size)
    largest, memory = _peak(lock, size * row_bytes(lock, positions))
    embedded = lock.max_sequence_length * lock.geometry.text_width * _item(lock)
    return Plan(
        passes=count,
        prompts=prompts,
        images=generated,
        seconds=work / known.flops,
        rate=known,
        activation_bytes=stored,
        cache_bytes=stored + prompts * embedded,
        memory_bytes=memory,
        largest=largest,
    )


def pass_positions(lock: ModelLock, conditioned: bool) -> int:
    """Positions of one forward: text, the image to be denoised, and a reference of the same size."""
    image = lock.height * lock.width // PATCH
    return lock.max_sequence_length + image * (2 if conditioned else 1)


def row_bytes(lock: ModelLock, positions: int) -> int:
    """Peak of the activations of one row of a batch, in bytes.

    The widest moment is inside a single block: its input, queries, keys, values, both halves of the gated MLP, and
    the concatenated output, with the hook's group means in float32 beside them.
    """
    geometry = lock.geometry
    inner = geometry.heads * geometry.head_width
    channels = 3 * inner + (3 * inner + 2 * geometry.mlp_width) + 2 * (inner + geometry.mlp_width)
    means = 4 * (inner + geometry.mlp_width) // lock.group_width
    return positions * (channels * _item(lock) + means)


def _encode_flops(lock: ModelLock) -> float:
    parameters = lock.components["text_encoder"].bytes / _item(lock)
    return 2.0 * parameters * lock.max_sequence_length


def _peak(lock: ModelLock, activations: int) -> tuple[str, int]:
    sizes = {name: part.bytes + (activations if name == "transformer" else 0) for name, part in lock.components.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    return largest, sizes[largest]


def _item(lock: ModelLock) -> int:
    return _ITEM_BYTES.get(lock.dtype, 4)
