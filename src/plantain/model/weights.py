"""Digests of weights that exist in memory, or that are made one tensor at a time."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn

from plantain.files import digest

Maker = Callable[[], Tensor]


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over name, dtype, shape and bytes of every parameter, in name order."""
    return tensors_digest((name, partial(_same, tensor.detach())) for name, tensor in module.named_parameters())


def tensors_digest(makers: Iterable[tuple[str, Maker]]) -> str:
    """The digest of a module with these parameters; each is made, hashed and dropped on its own."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return digest(sorted(pool.map(_entry, makers)))


def _entry(named: tuple[str, Maker]) -> list[object]:
    name, make = named
    tensor = make().cpu().contiguous()
    data = memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
    return [name, str(tensor.dtype), list(tensor.shape), hashlib.sha256(data).hexdigest()]


def _same(tensor: Tensor) -> Tensor:
    return tensor
