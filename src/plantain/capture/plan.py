"""What a capture will take, without running or loading anything: passes, time, disk and memory.

How fast passes were is remembered under ``.plantain/``, so that a dry run can say how long the next ones take. Nothing
here imports torch but what has to be asked of this machine: the device of ``auto``, and its free memory.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from plantain.base.errors import InputError
from plantain.base.files import readable_json, write_atomic
from plantain.base.params import CaptureParams, CapturePath, ReferenceParams
from plantain.base.places import state_dir
from plantain.probe.records import Record, ReferenceRecord
from plantain.records.activations import TOKENS
from plantain.records.grams import profiled, views_of
from plantain.records.keys import passes, path_of
from plantain.records.lock import HeadCount, ModelLock

_ASSUMED: Final = {"cpu": 1.0e11, "cuda": 1.5e14, "mps": 3.0e12}
"""Floating-point operations a second where nothing was measured: a few cores, one data-centre or desktop GPU."""

_LIKE: Final = 4.0
"""How many times as large a model may be whose rate stands for another's: a small one is bound by its interpreter."""

_REACHED: Final = 0.5
"""Share of the rate of a matrix product that a pass is taken to reach where none was timed: an assumption."""

LEAST: Final = 8
"""Passes that make a rate: the few of a resumed capture say little."""


class RateBasis(StrEnum):
    """What a rate was taken from."""

    capture = "capture"
    """A capture of this model on this kind of device."""
    like = "like"
    """A capture of a model of about this size, in this dtype, on this kind of device."""
    product = "product"
    """A matrix product on the device of this machine."""
    assumed = "assumed"


@dataclass(frozen=True)
class Rate:
    """Floating-point operations a second of whole passes."""

    flops: float
    basis: RateBasis

    @property
    def measured(self) -> bool:
        """Whether a capture of this model on this kind of device gave it."""
        return self.basis is RateBasis.capture


def pass_flops(lock: ModelLock, positions: int) -> float:
    """Floating-point operations of one transformer forward over ``positions``, text and images together.

    Per position that a block's weights meet 4 i² multiply-adds in the attention's projections (inner width i) and 3 i m
    in FLUX.2's gated MLP of width m, 8 i² in the MLP of any other (4 i wide, or gated and 8/3 i wide); 2 i for every
    pair of positions that an attention relates. What meets one position alone, modulation and embeddings, is left out.
    """
    text = min(lock.max_sequence_length, positions)
    image = positions - text
    seen = {"image": image, "text": text, "all": positions}
    total = 0.0
    for one in lock.geometry.kinds:
        inner = one.heads * one.head_width
        # A cross attention projects queries and outputs of the image, keys and values of the text.
        met = (image + text) / 2 if one.block_kind == "cross" else seen[one.stream]
        weights = 4 * inner * inner + (_mlp_weights(lock, inner) if _has_mlp(lock, one.block_kind) else 0)
        total += one.blocks * (2 * weights * met + 4 * inner * _pairs(lock, one, text, image))
    return total


def _mlp_weights(lock: ModelLock, inner: int) -> int:
    return 3 * inner * lock.geometry.mlp_width if lock.architecture == _GATED else 8 * inner * inner


_GATED: Final = "FLUX.2"
"""The architecture whose MLP's width stands in the lock for all of its blocks."""

_LINEAR: Final = "Sana"
"""The architecture whose image attention is linear: it relates each position with a matrix as wide as a head."""


def _has_mlp(lock: ModelLock, kind: str) -> bool:
    """Whether an MLP belongs to an attention of this kind: a block with two attentions has one MLP all the same."""
    kinds = {one.block_kind for one in lock.geometry.kinds}
    return kind != "cross" and not (kind == "image" and "joint" in kinds)


def _pairs(lock: ModelLock, one: HeadCount, text: int, image: int) -> int:
    """Pairs of positions that the attention of a block relates; those of a joint block count once, at its image."""
    if one.block_kind == "image" and lock.architecture == _LINEAR:
        return image * one.head_width
    if one.block_kind == "joint":
        return (text + image) ** 2 if one.stream == "image" else 0
    if one.block_kind == "cross":
        return image * text
    return {"image": image, "text": text, "all": text + image}[one.stream] ** 2


def rate(lock: ModelLock, device: str) -> Rate:
    """The remembered rate of this model on this kind of device, else that of one like it, else an assumption."""
    known = _read()
    key = _key(lock, device)
    if key in known:
        return Rate(known[key], RateBasis.capture)
    like = _like(lock, device, known)
    if like is not None:
        return Rate(like, RateBasis.like)
    return Rate(_ASSUMED.get(_kind(device), _ASSUMED["cpu"]), RateBasis.assumed)


def forecast_rate(lock: ModelLock, device: str) -> Rate:
    """As :func:`rate`; where that would be assumed and the device is a GPU of this machine, half its matrix product."""
    known = rate(lock, device)
    if known.basis is not RateBasis.assumed or _kind(device) != "cuda":
        return known
    from plantain.capture.speed import product_rate_here

    found = product_rate_here(device, lock.dtype)
    return known if found is None else Rate(_REACHED * found, RateBasis.product)


def _like(lock: ModelLock, device: str, known: Mapping[str, float]) -> float | None:
    """The rate of the model nearest in size, if it is near enough."""
    near = []
    for key, flops in known.items():
        kind, dtype, parameters = (*key.split("/"), "", "")[:3]
        if (kind, dtype) == (_kind(device), lock.dtype) and parameters.isdigit() and int(parameters) > 0:
            ratio = lock.geometry.parameters / int(parameters)
            near.append((max(ratio, 1.0 / ratio) if ratio else math.inf, flops))
    best = min(near, default=(math.inf, 0.0))
    return best[1] if best[0] <= _LIKE else None


def remember(lock: ModelLock, device: str, positions: int, passes: int, seconds: float) -> None:
    """Keep what a capture measured; nothing where its passes are fewer than :data:`LEAST`.

    Args:
        lock: the model.
        device: what it ran on.
        positions: of one pass.
        passes: how many were timed.
        seconds: how long they took, with no loading among them.
    """
    if passes < LEAST:
        return
    known = _read() | {_key(lock, device): pass_flops(lock, positions) * passes / max(seconds, 1e-6)}
    write_atomic(_path(), readable_json(known))


def _key(lock: ModelLock, device: str) -> str:
    return f"{_kind(device)}/{lock.dtype}/{lock.geometry.parameters}"


def _kind(device: str) -> str:
    return device.split(":", maxsplit=1)[0]


def _read() -> dict[str, float]:
    path = _path()  # a PLANTAIN_CACHE that cannot be is no missing file
    try:
        return {str(key): float(value) for key, value in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        # Only a forecast hangs on it: a missing or torn file means that nothing is known.
        return {}


def _path() -> Path:
    return state_dir() / "rates.json"


PATCH: Final = 16 * 16
"""Pixels that one position of FLUX.2 covers."""


def area(lock: ModelLock) -> int:
    """Pixels that one position of the transformer covers."""
    return lock.position_pixels**2


SMALL: Final = 1 << 27
"""Bytes of weights up to which a model counts as small: on a CPU several workers share its passes."""

LARGEST: Final = 32
"""The largest batch that ``batch_size: auto`` chooses: beyond it a pass gets no cheaper."""

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
    device: str
    """Where it is captured: as declared, ``auto`` resolved on this machine."""
    batch_size: int
    """Passes at a time."""
    fitted: bool
    """False where ``auto`` will fit the batch to a device that this machine lacks: its largest one is assumed."""
    activation_bytes: int
    """The DVC output of mean squares."""
    gram_bytes: int
    """The DVC output of Gram matrices."""
    cache_bytes: int
    """What ``.plantain/`` grows by: shards, Gram matrices and embeddings."""
    temporary_bytes: int
    """What it holds besides, until Gram matrices are made of it: vectors."""
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
    subsets: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """Forecast one cell on the device that its capture would take here; loads no model.

    A declared device that this machine lacks is forecast all the same, at the rate assumed for its kind. ``subsets``
    are those of :func:`plantain.capture.cell.capture_cell`.
    """
    draws = max(1, len(lock.seeds))
    ordered = passes(records, params.seeds)
    prompts = len({record.prompt for record in records})
    generated = sum(record.prompt is not None for record in references)
    conditioned = any(record.reference for record in records)
    positions = pass_positions(lock, conditioned)
    device = _device(lock)
    known = forecast_rate(lock, device)
    count = len(ordered) * draws
    guided = 2 if reference_params.guidance_scale > 1.0 else 1
    work = count * pass_flops(lock, positions)
    work += generated * reference_params.steps * guided * pass_flops(lock, pass_positions(lock, False))
    work += prompts * _encode_flops(lock)
    stored = count * len(TOKENS) * lock.geometry.groups * 4
    grams = draws * _gram_bytes(records, lock, params, ("all",) if subsets is None else tuple(subsets))
    waiting = draws if _is_shared(lock, device) else 1
    size, fitted = _batch_size(lock, params, positions, device)
    largest, memory = _peak(lock, size * row_bytes(lock, positions))
    embedded = lock.max_sequence_length * lock.geometry.text_width * _item(lock)
    return Plan(
        passes=count,
        prompts=prompts,
        images=generated,
        seconds=work / known.flops,
        rate=known,
        device=device,
        batch_size=size,
        fitted=fitted,
        activation_bytes=stored,
        gram_bytes=grams,
        cache_bytes=stored + grams + prompts * embedded,
        temporary_bytes=waiting * len(ordered) * _vector_bytes(lock) if params.grams else 0,
        memory_bytes=memory,
        largest=largest,
    )


def pass_positions(lock: ModelLock, conditioned: bool) -> int:
    """Positions of one forward: text, the image to be denoised, and a reference of the same size."""
    image = lock.height * lock.width // area(lock)
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


def _device(lock: ModelLock) -> str:
    if lock.device != "auto":
        return lock.device
    from plantain.model.load import resolve_device

    return resolve_device(lock.device)


def _batch_size(lock: ModelLock, params: CaptureParams, positions: int, device: str) -> tuple[int, bool]:
    """Passes at a time, and whether that is what capture would take."""
    if params.batch_size != "auto":
        return int(params.batch_size), True
    if device == "cpu" or path_of(lock, params) is CapturePath.pipeline:
        return 1, True
    from plantain.capture.memory import expected_batch_size
    from plantain.model.load import resolve_device

    try:
        return expected_batch_size(lock, params, positions, resolve_device(device)), True
    except InputError:
        return LARGEST, False


def _is_shared(lock: ModelLock, device: str) -> bool:
    """Whether several workers may take its passes: then the vectors of all draws wait, else those of one."""
    return device == "cpu" and lock.components["transformer"].bytes <= SMALL


def _seen_heads(lock: ModelLock, conditioned: bool) -> int:
    """Heads that see a token set, summed over the sets; text and padding are taken to be in every pass."""
    image, text = 2 if conditioned else 1, 2
    seen = {"image": image, "text": text, "all": image + text}
    return sum(one.blocks * one.heads * seen[one.stream] for one in lock.geometry.kinds if not one.dead)


def _vector_bytes(lock: ModelLock) -> int:
    """Mean vectors of one pass, absent token sets among them."""
    return 4 * _seen_heads(lock, True) * lock.geometry.head_width


def _gram_bytes(records: Sequence[Record], lock: ModelLock, params: CaptureParams, subsets: Sequence[str]) -> int:
    """Gram matrices of one draw: a head has one for each subset and view, and one more where there is a profile."""
    if not params.grams:
        return 0
    conditions = len({record.condition for record in records})
    alternatives = max(1, *(len(record.reference) for record in records))
    views = len(views_of(params.seeds, [str(index) for index in range(alternatives)]))
    matrices = views * (len(subsets) + len(profiled(dict.fromkeys(subsets, ()))))
    heads = _seen_heads(lock, any(record.reference for record in records))
    return 4 * heads * matrices * conditions * (conditions + 1) // 2


def _encode_flops(lock: ModelLock) -> float:
    encoders = [name for name in lock.components if name.startswith("text_encoder")]
    parameters = sum(_loaded_bytes(lock, name) for name in encoders) / _item(lock)
    return 2.0 * parameters * lock.max_sequence_length


def _peak(lock: ModelLock, activations: int) -> tuple[str, int]:
    sizes = {name: _loaded_bytes(lock, name) for name in lock.components}
    sizes["transformer"] += activations
    largest = max(sizes, key=lambda name: sizes[name])
    return largest, sizes[largest]


def _loaded_bytes(lock: ModelLock, name: str) -> int:
    """Weights of a part as it is loaded: in the declared dtype, taking the parts' files to share one of their own."""
    stored = max(1, round(lock.components["transformer"].bytes / lock.geometry.parameters))
    return lock.components[name].bytes * _item(lock) // stored


def _item(lock: ModelLock) -> int:
    return _ITEM_BYTES.get(lock.dtype, 4)
