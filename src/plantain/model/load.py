"""Parts of a model, loaded one at a time from its lock and checked against it.

Every part goes through ``from_pretrained`` of its folder, whether downloaded, local or embedded. The exception is a
transformer whose weights are made from a seed: it is built from its configuration, and digested one tensor at a time.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn
from transformers import Qwen2TokenizerFast
from transformers.utils import logging as transformers_logging

from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.base.params import Method
from plantain.model.adapters import lora_file, merge_lora, quantized, settled_on
from plantain.model.layout import PIPELINE, part_role, read_index
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


def text_tokenizer(lock: ModelLock) -> Any:
    """The tokenizer of the encoder that makes the transformer's text tokens, of any pipeline."""
    names = sorted(name for name in lock.components if part_role(name) == "tokenizer")
    found = load_part(lock, names[-1], "cpu")
    return getattr(found, "tokenizer", found)  # a processor holds one


def load_scheduler(lock: ModelLock) -> FlowMatchEulerDiscreteScheduler:
    """The scheduler of the model."""
    return FlowMatchEulerDiscreteScheduler.from_pretrained(materialise(lock) / "scheduler", local_files_only=True)


def load_text_encoder(lock: ModelLock, device: str, part: str = "text_encoder") -> Any:
    """A text encoder, in evaluation mode on ``device``.

    Raises:
        InputError: its weight files lack a tensor, which the library would make up.
    """
    options = {"dtype": resolve_dtype(lock.dtype), "local_files_only": True, "use_safetensors": True}
    folder, kind = materialise(lock) / part, getattr(transformers, lock.components[part].class_name)
    encoder, found = kind.from_pretrained(folder, output_loading_info=True, **options)
    _refuse_missing(folder, found)
    return encoder.eval().to(device)


def load_vae(lock: ModelLock, device: str) -> Any:
    """The image autoencoder, in evaluation mode on ``device``."""
    kind = getattr(diffusers, lock.components["vae"].class_name)
    return _diffusers(kind, materialise(lock) / "vae", lock.dtype).to(device)


def load_transformer(lock: ModelLock, device: str, draw: int = 0) -> Any:
    """The transformer, in evaluation mode on ``device``.

    Args:
        lock: the model.
        device: a device that is there (:func:`resolve_device`).
        draw: which draw of an untrained model, counted from 0.

    Raises:
        InputError: files are missing or differ from the lock; or the weights made here differ from its digest.
    """
    return settled(made_here(lock, draw), lock, device)


def settled(transformer: Any, lock: ModelLock, device: str) -> Any:
    """A transformer of :func:`made_here`, quantized as the lock says, on ``device``."""
    return settled_on(quantized(transformer, lock), lock, device)


def made_here(lock: ModelLock, draw: int = 0) -> Any:
    """The transformer as :func:`load_transformer` makes it, on the CPU.

    Raises:
        InputError: as :func:`load_transformer`.
    """
    if not 0 <= draw < max(1, len(lock.seeds)):
        raise InputError(f"{lock.name} has no draw {draw}.", fix=f"draws are 0 to {len(lock.seeds) - 1}.")
    folder = materialise(lock) / "transformer"
    seeds = transformer_seed(lock, draw), _shuffle_seed(lock, draw)
    transformer = make_transformer(folder, lock.dtype, *seeds, lora_file(lock), lock.lora.scale if lock.lora else 1.0)
    if in_memory(lock):
        _check_digest(lock, draw, transformer)
    return transformer


def load_pipeline(lock: ModelLock, device: str, draw: int = 0) -> Any:
    """The whole pipeline on ``device``, without progress bars."""
    return pipeline_of(lock, {part: load_part(lock, part, device, draw) for part in lock.components})


def pipeline_of(lock: ModelLock, parts: Mapping[str, Any]) -> Any:
    """The model's pipeline made of some of its parts, without progress bars; it goes without the others."""
    kind = getattr(diffusers, lock.pipeline)
    names = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "is_distilled")]
    flags = {"is_distilled": lock.is_distilled} if lock.pipeline == PIPELINE else {}
    pipeline = kind(**{name: parts.get(name) for name in names}, **flags)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_part(lock: ModelLock, part: str, device: str, draw: int = 0) -> Any:
    """One part of the pipeline by the class that the lock names; what has weights in evaluation mode on ``device``.

    Raises:
        InputError: as :func:`load_transformer`; or its weight files lack a tensor.
    """
    name, role = lock.components[part].class_name, part_role(part)
    if part == "transformer":
        return load_transformer(lock, device, draw)
    if part == "vae":
        return load_vae(lock, device)
    if role == "text_encoder":
        return load_text_encoder(lock, device, part)
    library = diffusers if role == "scheduler" else transformers
    return getattr(library, name).from_pretrained(materialise(lock) / part, local_files_only=True)


def transformer_class(folder: Path) -> Any:
    """The class of diffusers that a transformer in ``folder`` is of, by the index of the pipeline around it.

    Raises:
        InputError: the pipeline has no row, or its transformer is of another class.
    """
    return getattr(diffusers, read_index(folder.parent).classes["transformer"])


def empty_transformer(folder: Path, dtype: str) -> Any:
    """The transformer of ``folder`` on the meta device: geometry without weights."""
    kind = transformer_class(folder)
    config = kind.load_config(folder, local_files_only=True)
    with torch.device("meta"):
        transformer = kind.from_config(config)
    # The method of diffusers' own class warns about layers kept in float32; here it is geometry and size that count.
    return nn.Module.to(transformer, dtype=resolve_dtype(dtype)).eval()


def make_transformer(
    folder: Path, dtype: str, seed: int | None, shuffle_seed: int | None, lora: Path | None = None, scale: float = 1.0
) -> Any:
    """The transformer of ``folder`` on the CPU: read, a LoRA merged, or made from ``seed``; shuffled where asked."""
    if seed is None:
        transformer = _diffusers(transformer_class(folder), folder, dtype)
        if lora is not None:
            merge_lora(transformer, read_index(folder.parent).pipeline, lora, scale)
    else:
        transformer = _unfilled(folder, dtype)
        reinitialise(transformer, seed)
    if shuffle_seed is not None:
        shuffle(transformer, shuffle_seed)
    return transformer


def _unfilled(folder: Path, dtype: str) -> Any:
    """A transformer whose parameters are still to be filled; its buffers, such as tables of positions, are made."""
    empty = empty_transformer(folder, dtype)
    if not any(True for _ in empty.buffers()):
        return empty.to_empty(device="cpu")
    kind = transformer_class(folder)
    with torch.random.fork_rng(devices=[]):
        made = kind.from_config(kind.load_config(folder, local_files_only=True))
    return nn.Module.to(made, dtype=resolve_dtype(dtype)).eval()


def _shuffle_seed(lock: ModelLock, draw: int) -> int | None:
    return lock.seeds[draw] if lock.method is Method.shuffle else None


def _diffusers(kind: Any, folder: Path, dtype: str) -> Any:
    # Without low_cpu_mem_usage the path is the same whether accelerate is installed or not.
    options = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False}
    made, found = kind.from_pretrained(folder, dtype=resolve_dtype(dtype), output_loading_info=True, **options)
    _refuse_missing(folder, found)
    if not made._keep_in_fp32_modules:
        _cast_parameters(made, resolve_dtype(dtype))
    return made.eval()


def _cast_parameters(module: nn.Module, dtype: torch.dtype) -> None:
    """Bring to ``dtype`` what was left as the file has it: diffusers looks at the first tensor, maybe a table."""
    for parameter in module.parameters():
        if parameter.dtype != dtype:
            parameter.data = parameter.data.to(dtype)


def _refuse_missing(folder: Path, found: Mapping[str, Any]) -> None:
    missing = sorted(found.get("missing_keys") or ())
    if missing:
        what = f"the weight files lack {len(missing)} tensors that the configuration asks for, such as {missing[0]}."
        raise InputError(what, file=folder, fix="bring config.json and weights of one save together.")


def _check_digest(lock: ModelLock, draw: int, transformer: nn.Module) -> None:
    expected = lock.draws[draw] if lock.draws else lock.components["transformer"].weights_sha256
    found = weights_digest(transformer)
    if found != expected:
        made = f"the weights of {lock.name}, draw {draw}, made here have digest {found[:12]}"
        what = f"{made}, its lock says {expected[:12]}."
        raise InputError(what, fix=f"run `dvc repro -f model@{lock.name}` to accept them.")
