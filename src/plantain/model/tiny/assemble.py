"""The embedded pipeline on disk, in the layout that ``Flux2KleinPipeline.from_pretrained`` reads."""

from pathlib import Path

import torch
from diffusers import Flux2KleinPipeline
from safetensors.torch import load_file
from torch import Tensor, nn

from plantain.model.tiny import architecture
from plantain.model.tiny.tokenizer import build_tokenizer

WEIGHTS = Path(__file__).with_name("weights")
"""The shipped weights: bfloat16, one file a component."""


_TIED = {"lm_head.weight"}
"""Not shipped: the same tensor as the encoder's embedding."""


def shipped(name: str) -> dict[str, Tensor]:
    """The shipped tensors of one component, floating ones as float32."""
    tensors = load_file(WEIGHTS / f"{name}.safetensors")
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def pipeline(transformer: str = "transformer") -> Flux2KleinPipeline:
    """The embedded pipeline in memory, float32 on the CPU, in evaluation mode.

    Args:
        transformer: which shipped transformer: ``transformer`` or ``transformer-mention``.
    """
    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        encoder = architecture.new_encoder(len(tokenizer))
        vae, denoiser = architecture.new_vae(), architecture.new_transformer()
    for name, module in (("text_encoder", encoder), ("vae", vae), (transformer, denoiser)):
        _load(module, name)
    return Flux2KleinPipeline(
        scheduler=architecture.new_scheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=denoiser,
        is_distilled=False,
    )


def _load(module: nn.Module, name: str) -> None:
    missing, unexpected = module.load_state_dict(shipped(name), strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= _TIED, missing
    module.eval()


def write_pipeline(folder: Path, transformer: str) -> None:
    """Write the embedded pipeline into ``folder``; equal calls write equal bytes."""
    pipeline(transformer).save_pretrained(folder, safe_serialization=True)
