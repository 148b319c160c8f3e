"""Every part of a pipeline folder opened once, where a model is declared: hours before something else would need it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler
from torch import nn
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

from plantain.base.errors import InputError, reading
from plantain.model.layout import part_role, weight_files
from plantain.model.weights import shapes

AGAIN = "fetch or save the model again."


def open_parts(folder: Path, transformer: nn.Module | None) -> tuple[AutoencoderKLFlux2, Qwen3Config]:
    """Read tokenizer, scheduler and every configuration, and compare the weight files with them.

    Args:
        folder: the pipeline folder.
        transformer: the transformer without weights (meta device); None where its weights are made from a seed.

    Returns:
        The autoencoder without weights, and the text encoder's configuration.

    Raises:
        InputError: a part cannot be read, or its weight files lack tensors that its configuration asks for.
    """
    with reading(folder / "tokenizer", "a tokenizer", AGAIN):
        Qwen2TokenizerFast.from_pretrained(folder / "tokenizer", local_files_only=True)
    with reading(folder / "scheduler", "a scheduler", AGAIN):
        FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    with reading(folder / "vae", "an autoencoder", AGAIN), torch.device("meta"):
        vae = AutoencoderKLFlux2.from_config(AutoencoderKLFlux2.load_config(folder / "vae", local_files_only=True))
    with reading(folder / "text_encoder", "a text encoder", AGAIN), torch.device("meta"):
        config = Qwen3Config.from_pretrained(folder / "text_encoder", local_files_only=True)
        encoder = Qwen3ForCausalLM(config)
    if transformer is not None:
        _compare(folder / "transformer", transformer)
    _compare(folder / "vae", vae)
    _compare(folder / "text_encoder", encoder.base_model)
    return vae, config


def open_named(folder: Path, classes: Mapping[str, str], transformer: nn.Module | None) -> Any:
    """The same for a pipeline of any row: its parts are opened by the classes that its index names.

    Whether the weight files of encoders and autoencoder hold every tensor is seen on loading: their libraries rename
    tensors of older files.

    Returns:
        The autoencoder without weights.

    Raises:
        InputError: a part cannot be read, or the transformer's weight files lack tensors.
    """
    for part, name in classes.items():
        with _with_its_library(folder / part, name), reading(folder / part, f"a {name}", AGAIN):
            if part_role(part) in ("tokenizer", "processor"):
                getattr(transformers, name).from_pretrained(folder / part, local_files_only=True)
            elif part_role(part) == "text_encoder":
                getattr(transformers, name).config_class.from_pretrained(folder / part, local_files_only=True)
            elif part == "scheduler":
                getattr(diffusers, name).from_pretrained(folder / part, local_files_only=True)
    if transformer is not None:
        _compare(folder / "transformer", transformer)
    with reading(folder / "vae", "an autoencoder", AGAIN):
        return empty_part(folder / "vae", classes["vae"])


@contextmanager
def _with_its_library(folder: Path, name: str) -> Iterator[None]:
    """Say of a processor of images that what it lacks is a library, where that is so."""
    try:
        yield
    except InputError:
        if name.endswith("Processor") and find_spec("torchvision") is None:
            fix = "`pip install torchvision`, in the version that belongs to the installed torch."
            raise InputError(f"a {name} needs torchvision, which is not installed.", file=folder, fix=fix) from None
        raise


def empty_part(folder: Path, name: str) -> Any:
    """A model of diffusers without weights, from its configuration (meta device)."""
    kind = getattr(diffusers, name)
    with torch.device("meta"):
        return kind.from_config(kind.load_config(folder, local_files_only=True))


def _compare(folder: Path, module: nn.Module) -> None:
    """Refuse files that lack a tensor, which the libraries would leave as memory held it, or have another shape."""
    found = {name.removeprefix("model."): shape for name, shape in shapes(weight_files(folder)).items()}
    for name, tensor in module.state_dict().items():
        if tensor.dim() == 0:  # a counter of a normalisation, which serves training alone
            continue
        if found.get(name) != tuple(tensor.shape):
            has = f"has {list(found[name])}" if name in found else "is not in the weight files"
            problem = f"the configuration asks for the tensor {name} of shape {list(tensor.shape)}, which {has}."
            raise InputError(problem, file=folder, fix="bring config.json and weights of one save together.")
