"""Every part of a pipeline folder opened once, where a model is declared: hours before something else would need it."""

from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler
from torch import nn
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

from plantain.base.errors import InputError, reading
from plantain.model.layout import weight_files
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
