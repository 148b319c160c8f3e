"""Parts of a model, loaded one at a time from its lock and checked against it.

Every part goes through ``from_pretrained`` of its folder, whether downloaded, local or embedded. The exception is a
transformer whose weights are made from a seed: it is built from its configuration, and digested one tensor at a time.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from torch import Tensor, nn
from transformers import Qwen2TokenizerFast, Qwen3ForCausalLM
from transformers.utils import logging as transformers_logging

from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.base.params import Method
from plantain.model.materialise import in_memory, materialise, transformer_seed
from plantain.model.untrained import reinitialise, shuffle
from plantain.records.lock import ModelLock

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


# The bars of the libraries would break into those of a capture, and into the output of a stage.
transformers_logging.disable_progress_bar()

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(declared: str) -> str:
    """The device to run on: ``auto`` is the first of cuda, mps and cpu that is there.

    Raises:
        InputError: the declared device is not there, or unknown.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if declared == "auto":
        return next(kind for kind, there in present.items() if there)
    if not present.get(declared.split(":", maxsplit=1)[0], False):
        names = ", ".join(kind for kind, there in present.items() if there)
        fix = "declare `device: auto` for the model in params.yaml, or one of the devices that are there."
        raise InputError(f"device '{declared}' is declared, and this machine has: {names}.", fix=fix)
    return declared


def resolve_dtype(declared: str) -> torch.dtype:
    """The torch dtype of that name.

    Raises:
        InputError: not a floating type that the pipeline runs in.
    """
    if declared not in _DTYPES:
        raise InputError(f"'{declared}' is not a dtype.", fix=f"use one of: {', '.join(_DTYPES)}.", field="dtype")
    return _DTYPES[declared]


def load_tokenizer(lock: ModelLock) -> Any:
    """The ``Qwen2Tokenizer`` of the model."""
    return Qwen2TokenizerFast.from_pretrained(materialise(lock) / "tokenizer", local_files_only=True)


def load_scheduler(lock: ModelLock) -> FlowMatchEulerDiscreteScheduler:
    """The scheduler of the model."""
    return FlowMatchEulerDiscreteScheduler.from_pretrained(materialise(lock) / "scheduler", local_files_only=True)


def load_text_encoder(lock: ModelLock, device: str) -> Qwen3ForCausalLM:
    """The text encoder, in evaluation mode on ``device``."""
    options = {"dtype": resolve_dtype(lock.dtype), "local_files_only": True, "use_safetensors": True}
    encoder = Qwen3ForCausalLM.from_pretrained(materialise(lock) / "text_encoder", **options)
    return encoder.eval().to(device)


def load_vae(lock: ModelLock, device: str) -> AutoencoderKLFlux2:
    """The image autoencoder, in evaluation mode on ``device``."""
    return _diffusers(AutoencoderKLFlux2, materialise(lock) / "vae", lock.dtype).to(device)


def load_transformer(lock: ModelLock, device: str, draw: int = 0) -> Flux2Transformer2DModel:
    """The transformer, in evaluation mode on ``device``.

    Args:
        lock: the model.
        device: a device that is there (:func:`resolve_device`).
        draw: which draw of an untrained model, counted from 0.

    Raises:
        InputError: files are missing or differ from the lock; or the weights made here differ from its digest.
    """
    if not 0 <= draw < max(1, len(lock.seeds)):
        raise InputError(f"{lock.name} has no draw {draw}.", fix=f"draws are 0 to {len(lock.seeds) - 1}.")
    folder = materialise(lock) / "transformer"
    transformer = make_transformer(folder, lock.dtype, transformer_seed(lock, draw), _shuffle_seed(lock, draw))
    if in_memory(lock):
        _check_digest(lock, draw, transformer)
    return transformer.to(device)


def load_pipeline(lock: ModelLock, device: str, draw: int = 0) -> Flux2KleinPipeline:
    """The whole pipeline on ``device``, without progress bars."""
    pipeline = Flux2KleinPipeline(
        scheduler=load_scheduler(lock),
        vae=load_vae(lock, device),
        text_encoder=load_text_encoder(lock, device),
        tokenizer=load_tokenizer(lock),
        transformer=load_transformer(lock, device, draw),
        is_distilled=lock.is_distilled,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def empty_transformer(folder: Path, dtype: str) -> Flux2Transformer2DModel:
    """The transformer of ``folder`` on the meta device: geometry without weights."""
    config = Flux2Transformer2DModel.load_config(folder, local_files_only=True)
    with torch.device("meta"):
        transformer = Flux2Transformer2DModel.from_config(config)
    # The method of diffusers' own class warns about layers kept in float32, of which this transformer has none.
    return nn.Module.to(transformer, dtype=resolve_dtype(dtype)).eval()


def make_transformer(folder: Path, dtype: str, seed: int | None, shuffle_seed: int | None) -> Flux2Transformer2DModel:
    """The transformer of ``folder`` on the CPU: read, or made from ``seed``; then shuffled where asked."""
    if seed is None:
        transformer = _diffusers(Flux2Transformer2DModel, folder, dtype)
    else:
        transformer = empty_transformer(folder, dtype).to_empty(device="cpu")
        reinitialise(transformer, seed)
    if shuffle_seed is not None:
        shuffle(transformer, shuffle_seed)
    return transformer


def _shuffle_seed(lock: ModelLock, draw: int) -> int | None:
    return lock.seeds[draw] if lock.method is Method.shuffle else None


def _diffusers(kind: Any, folder: Path, dtype: str) -> Any:
    # Without low_cpu_mem_usage the path is the same whether accelerate is installed or not.
    options = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False}
    return kind.from_pretrained(folder, dtype=resolve_dtype(dtype), **options).eval()


def _check_digest(lock: ModelLock, draw: int, transformer: nn.Module) -> None:
    expected = lock.draws[draw] if lock.draws else lock.components["transformer"].weights_sha256
    found = weights_digest(transformer)
    if found != expected:
        made = f"the weights of {lock.name}, draw {draw}, made here have digest {found[:12]}"
        what = f"{made}, its lock says {expected[:12]}."
        raise InputError(what, fix=f"run `dvc repro -f model@{lock.name}` to accept them.")
