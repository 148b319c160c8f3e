"""Weights in another order: the trained entries of each tensor at places drawn from a seed.

A tensor of 10^8 entries is far larger than the cache, so a plain Fisher-Yates shuffle waits for memory at every
step. Entries are first dealt at random to buckets that fit the cache, and each bucket is shuffled there: the result
is as uniform (C. R. Rao, "Generation of random permutations of given number of elements using random sampling
numbers", Sankhya A 23, 1961), and the draws come from the streams of :mod:`plantain.model.untrained`.
"""

from functools import partial

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from plantain.model.untrained import on_threads, stream_key

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
    values = tensor.view(-1).view(_VIEWS[tensor.element_size()]).numpy()
    ends = np.array([len(values)])
    if len(values) > _SMALL:
        dealt = _raw(key, 0, -(-len(values) // 8)).view(np.uint8)[: len(values)]
        ends = np.cumsum(np.bincount(dealt, minlength=_BUCKETS))
        _deal(values.copy(), dealt, values, ends - np.diff(ends, prepend=0))
    start = 0
    for bucket, end in enumerate(ends):
        # Buckets draw from counters that are 2^64 apart: no two streams meet.
        _fisher_yates(values[start:end], _raw(key, bucket + 1, -(-(end - start) // 2)).view("<u4"))
        start = end


def _raw(key: NDArray[np.uint64], stream: int, count: int) -> NDArray[np.uint64]:
    return np.asarray(np.random.Philox(key=key, counter=stream << 64).random_raw(int(count)), dtype="<u8")


@numba.njit(nogil=True, cache=True)
def _deal(values, dealt, out, places):  # type: ignore[no-untyped-def] # pragma: no cover
    """Move each entry to the next place of its bucket."""
    for index in range(values.size):
        bucket = dealt[index]
        out[places[bucket]] = values[index]
        places[bucket] += 1


@numba.njit(nogil=True, cache=True)
def _fisher_yates(values, draws):  # type: ignore[no-untyped-def] # pragma: no cover
    """Exchange each entry, from the last, with one at or before it."""
    for last in range(values.size - 1, 0, -1):
        other = (np.uint64(draws[last]) * np.uint64(last + 1)) >> np.uint64(32)
        values[last], values[other] = values[other], values[last]
