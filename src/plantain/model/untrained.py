"""Untrained weights: fresh ones from a seed, or the trained ones in another order.

Fresh ones are made from uniform integers of a counter-based generator, one stream per parameter name. Normal variates
are avoided because their last bits depend on the instruction set; integers, their rounding to float32 and one product
by a constant do not. So equal seeds give equal bytes on every machine, in every order, on every thread count. A shuffle
permutes the entries of each trained tensor, which keeps every distribution of weights and loses what was learnt.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from plantain.base.errors import InputError

_BLOCK = 1 << 20
"""Values drawn at a time: two per 64-bit output, eight per step of the Philox counter."""

_SLICE = 1 << 15
"""Values converted at a time: they stay in the cache, and torch runs so few on the calling thread."""

_PER_STEP = 8


@dataclass(frozen=True)
class _Initial:
    """What a fresh parameter holds: uniform values within ``bound``, or ``constant`` where ``bound`` is None."""

    name: str
    parameter: nn.Parameter
    bound: float | None
    constant: float = 0.0


def reinitialise(module: nn.Module, seed: int) -> None:
    """Replace every parameter of ``module`` in place by its untrained value.

    Linear and convolution weights and biases are uniform within 1/sqrt(fan-in), PyTorch's own default for these
    layers; embeddings are uniform with variance 1; norms are the identity. Buffers stay.

    Args:
        module: parameters of any floating dtype, on any device but meta; a narrower dtype gets the rounded values.
        seed: the draw; every parameter has a stream of its own, keyed by seed and parameter name.

    Raises:
        InputError: a parameter of a layer for which no untrained value is defined.
    """
    jobs = [partial(_fill, initial, initial.parameter.detach(), seed) for initial in _initials(module)]
    on_threads(jobs, torch.get_num_threads())


def reinitialised_tensors(module: nn.Module, seed: int) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Name and maker of each parameter that :func:`reinitialise` would write, for a module on the meta device.

    Lets a caller see (and hash) the weights of a large model one tensor at a time, without ever holding the model.
    """
    for initial in _initials(module):
        yield initial.name, partial(_filled, initial, seed)


def _initials(module: nn.Module) -> Iterator[_Initial]:
    seen: set[int] = set()
    for prefix, layer in module.named_modules():
        for key, parameter in layer.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield _initial(f"{prefix}.{key}" if prefix else key, layer, key, parameter)


_TABLES: dict[str, Callable[[nn.Parameter], float]] = {
    "scale_shift_table": lambda table: table.shape[-1],
    "register_tokens": lambda _: 1 / 0.02**2,
}
"""Parameters beside the layers to one over their variance, as diffusers draws them (PixArt and Sana; AuraFlow)."""

_EMPTY = ("x_pad_token", "cap_pad_token", "siglip_pad_token")
"""Parameters that Z-Image begins with as zeros."""


def _initial(name: str, layer: nn.Module, key: str, parameter: nn.Parameter) -> _Initial:
    kind = type(layer).__name__
    if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
        fan_in = layer.weight.shape[1:].numel()
        return _Initial(name, parameter, 1.0 / math.sqrt(fan_in))
    if isinstance(layer, nn.Embedding):
        return _Initial(name, parameter, math.sqrt(3.0))
    if key in _TABLES:
        return _Initial(name, parameter, math.sqrt(3.0 / _TABLES[key](parameter)))
    if key in _EMPTY:
        return _Initial(name, parameter, None)
    if "Norm" in kind and parameter.dim() == 1:
        return _Initial(name, parameter, None, 0.0 if key == "bias" else 1.0)
    fix = "compare with an `of` model made of linear, convolution, embedding and norm layers."
    raise InputError(f"no untrained value is defined for parameter '{name}' of a {kind} layer.", fix=fix)


def _filled(initial: _Initial, seed: int) -> Tensor:
    target = torch.empty(initial.parameter.shape, dtype=initial.parameter.dtype)
    _fill(initial, target, seed)
    return target


def _fill(initial: _Initial, target: Tensor, seed: int) -> None:
    if initial.bound is None:
        target.fill_(initial.constant)
        return
    flat, key = target.view(-1), stream_key("reinit", seed, initial.name)
    scale = np.float32(initial.bound / 2**31)
    for start in range(0, flat.numel(), _BLOCK):
        values = _integers(key, start, min(_BLOCK, flat.numel() - start))
        for low in range(0, len(values), _SLICE):
            part = values[low : low + _SLICE].astype(np.float32) * scale
            flat[start + low : start + low + len(part)].copy_(torch.from_numpy(part))


def _integers(key: NDArray[np.uint64], start: int, count: int) -> NDArray[np.int32]:
    """``count`` signed 32-bit integers of the stream from position ``start``, a multiple of 8."""
    stream = np.random.Philox(key=key, counter=start // _PER_STEP)
    raw = stream.random_raw(-(-count // 2))
    return np.asarray(raw, dtype="<u8").view("<i4")[:count]


def stream_key(purpose: str, seed: int, name: str) -> NDArray[np.uint64]:
    """Philox key of a parameter: (2,) words of SHA-256 over purpose, seed and name."""
    digest = hashlib.sha256(f"{purpose}\0{seed}\0{name}".encode()).digest()
    return np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)


def on_threads(jobs: Sequence[Callable[[], None]], workers: int) -> None:
    """Run ``jobs`` on that many threads; the first exception is raised."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


_BUCKETS = 256
_SMALL = 1 << 16
"""Entries that fit the cache as they are."""

_VIEWS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def shuffle(module: nn.Module, seed: int) -> None:
    """Permute the entries of every parameter of ``module`` with more than one axis, in place.

    The distribution of the entries of each tensor is kept, their places are not. Norms and biases stay as they are.

    Args:
        module: parameters on the CPU.
        seed: the draw; every parameter has a stream of its own, keyed by seed and parameter name.
    """
    weights = [(name, parameter.detach()) for name, parameter in module.named_parameters() if parameter.dim() > 1]
    jobs = [partial(_permute, tensor, stream_key("shuffle", seed, name)) for name, tensor in weights]
    on_threads(jobs, torch.get_num_threads())


def _permute(tensor: Tensor, key: NDArray[np.uint64]) -> None:
    from plantain.model.permuted import deal, fisher_yates

    values = tensor.view(-1).view(_VIEWS[tensor.element_size()]).numpy()
    ends = np.array([len(values)])
    if len(values) > _SMALL:
        dealt = _raw(key, 0, -(-len(values) // 8)).view(np.uint8)[: len(values)]
        ends = np.cumsum(np.bincount(dealt, minlength=_BUCKETS))
        deal(values.copy(), dealt, values, ends - np.diff(ends, prepend=0))
    start = 0
    for bucket, end in enumerate(ends):
        # Buckets draw from counters that are 2^64 apart: no two streams meet.
        fisher_yates(values[start:end], _raw(key, bucket + 1, -(-(end - start) // 2)).view("<u4"))
        start = end


def _raw(key: NDArray[np.uint64], stream: int, count: int) -> NDArray[np.uint64]:
    return np.asarray(np.random.Philox(key=key, counter=stream << 64).random_raw(int(count)), dtype="<u8")
