"""What is done to a transformer between files and measurement: a LoRA merged, weights quantised, blocks offloaded.

All of it leaves plain modules to the hooks. A LoRA is merged by diffusers' own means, so that projections are Linear
layers again. Quantised weights leave the *input* of a projection, which is all that is read, in the declared dtype.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import diffusers
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors.torch import load_file
from torch import nn

from plantain.base.errors import InputError, reading
from plantain.base.files import sha256_file
from plantain.base.params import LoraParams, ModelParams, Quantize
from plantain.base.places import home
from plantain.model.hub import blob_digest
from plantain.records.lock import LoraLock, ModelLock

_NAME = "plantain"
_PREFIX = "transformer."
_INSTALL = "pip install 'plantain-probes[adapters]'."


def find_lora(lora: LoraParams, model: str) -> LoraLock:
    """The lock of a declared LoRA; downloads nothing.

    Raises:
        InputError: its file is not there, or is none of safetensors.
    """
    path = _lora_file(lora, model)
    if path.suffix != ".safetensors":
        raise InputError("a LoRA is read as safetensors alone.", file=path, fix="use the safetensors file.")
    digest = blob_digest(path) if lora.repo else sha256_file(path)
    commit = path.parts[path.parts.index("snapshots") + 1] if lora.repo else None
    return LoraLock(
        path=lora.path, repo=lora.repo, file=lora.file, revision=commit, scale=float(lora.scale), sha256=digest
    )


def lora_file(lock: ModelLock) -> Path | None:
    """The file of the LoRA that ``lock`` names; None where it names none.

    Raises:
        InputError: the file is missing, or differs from the lock.
    """
    return None if lock.lora is None else locked_file(lock.lora, lock.files_model)


def locked_file(lora: LoraLock, model: str) -> Path:
    """The same for the LoRA of a model."""
    declared = LoraParams(**lora.model_dump(include={"path", "repo", "file", "revision", "scale"}))
    path = _lora_file(declared, model)
    if find_lora(declared, model).sha256 != lora.sha256:
        fix = f"restore it, or run `dvc repro -f model@{model}` to accept it."
        raise InputError(f"the LoRA of {model} changed since the model was resolved.", file=path, fix=fix)
    return path


def _lora_file(lora: LoraParams, model: str) -> Path:
    if lora.path is not None:
        path = home() / Path(lora.path).expanduser()
        if not path.is_file():
            raise InputError("no such file.", file=path, fix=f"correct `lora.path` of {model} in params.yaml.")
        return path
    found = try_to_load_from_cache(str(lora.repo), str(lora.file), revision=lora.revision)
    if not isinstance(found, str):
        what = f"the LoRA {lora.file} of {lora.repo} at {lora.revision} is not in the Hugging Face cache."
        raise InputError(what, fix=f"run `plantain model fetch {model}`.")
    return Path(found)


def merge_lora(transformer: nn.Module, pipeline: str, file: Path, scale: float) -> None:
    """Merge a LoRA into the weights of ``transformer``, in place; Linear layers are left as they were found.

    Args:
        transformer: on the CPU.
        pipeline: class of its pipeline, which knows the names that trainers give to the layers.
        file: the LoRA.
        scale: factor of its change; 1 is as it was trained.

    Raises:
        InputError: peft is not installed; or the LoRA changes something else, or layers that the transformer lacks.
    """
    _need("peft", "a LoRA")
    with reading(file, f"a LoRA of a {type(transformer).__name__}", "use a LoRA that was trained on this model."):
        state, alphas = _state_dict(getattr(diffusers, pipeline), load_file(file))
        others = sorted(key for key in state if not key.startswith(_PREFIX))
        if others:
            what = f"it changes more than the transformer, such as {others[0]}."
            raise InputError(what, file=file, fix="use a LoRA of the transformer alone.")
        made: Any = transformer
        # A plain load, which fails where shapes differ, whether accelerate is installed or not.
        made.load_lora_adapter(state, network_alphas=alphas, adapter_name=_NAME, low_cpu_mem_usage=False)
        _refuse_unused(made, state, file)
        made.fuse_lora(lora_scale=scale, safe_fusing=True)
        made.unload_lora()


def _state_dict(pipeline: Any, tensors: dict[str, torch.Tensor]) -> tuple[dict[str, Any], Any]:
    """Tensors by the names of diffusers, and their alphas where those stand apart."""
    convert = getattr(pipeline, "lora_state_dict", None)
    if convert is None:  # PixArt's pipeline has no names of its own
        return tensors, None
    if issubclass(pipeline, diffusers.loaders.FluxLoraLoaderMixin):
        state, alphas = convert(tensors, return_alphas=True)
        return state, alphas
    return convert(tensors), None


def _refuse_unused(transformer: nn.Module, state: dict[str, Any], file: Path) -> None:
    """Diffusers only warns of layers that it did not find."""
    layers = {name for name, module in transformer.named_modules() if hasattr(module, "lora_A") and module.lora_A}
    wanted = {key.removeprefix(_PREFIX).split(".lora")[0] for key in state if ".lora" in key}
    if wanted != layers or not layers:
        lost = sorted(wanted - layers)
        some = f", such as {lost[0]}" if lost else ""
        what = f"{len(lost)} of its {len(wanted)} layers are not in the transformer{some}"
        raise InputError(f"{what}.", file=file, fix="use a LoRA that was trained on this model.")


def quantized_as(entry: ModelParams) -> str | None:
    """How the weights of a declared model are kept, for its lock.

    Raises:
        InputError: the package that does it is not installed.
    """
    if entry.quantize is None:
        return None
    return f"{entry.quantize} by torchao {_need('torchao', '`quantize`')}"


def quantized(transformer: nn.Module, lock: ModelLock) -> nn.Module:
    """The transformer with its weights kept as ``lock`` says: Linear layers of the blocks, in place."""
    if lock.quantized is None:
        return transformer
    found = _need("torchao", "`quantize`")
    if lock.quantized != f"{Quantize.int8} by torchao {found}":
        fix = f"install that version, or run `dvc repro -f model@{lock.name}` to accept torchao {found}."
        raise InputError(f"{lock.name} was resolved as {lock.quantized}, and torchao {found} is installed.", fix=fix)
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(transformer, Int8WeightOnlyConfig(), filter_fn=_in_a_block)
    return transformer


def _in_a_block(module: nn.Module, name: str) -> bool:
    """Embeddings and the last projection are small and stay as they are."""
    return isinstance(module, nn.Linear) and any(piece.isdigit() for piece in name.split("."))


def settled_on(transformer: nn.Module, lock: ModelLock, device: str) -> nn.Module:
    """The transformer on ``device``; block by block where ``offload`` is declared and there is another device."""
    if not lock.offload or device == "cpu":
        return transformer.to(device)
    from diffusers.hooks import apply_group_offloading

    apply_group_offloading(
        transformer,
        onload_device=torch.device(device),
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
    )
    return transformer


def _need(package: str, what: str) -> str:
    """The version of a package that not everybody has."""
    try:
        return version(package)
    except PackageNotFoundError:
        raise InputError(f"{what} needs the package {package}, which is not installed.", fix=_INSTALL) from None
