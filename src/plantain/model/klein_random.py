"""klein-random: the full Klein 4B transformer geometry with random weights, so that full size needs no download.

The transformer's folder holds its configuration alone: its 7.8 GB of weights are made from their seed on loading.
"""

import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from torch import nn
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.initialization import no_init_weights

from plantain.base.files import readable_json
from plantain.model import tiny
from plantain.model.known import KLEIN_4B
from plantain.model.untrained import reinitialise

_SEED = 0
_DTYPE = torch.bfloat16
_LAYERS = 4
_HIDDEN = 2560
"""Width of Klein 4B's encoder: three layers side by side make the 7,680 that its transformer reads."""

_VAE_CHANNELS = (16, 16, 16, 16)
"""Four levels as in Klein, so that the latent has an eighth of the image's side."""


def build(folder: Path) -> None:
    """Write the pipeline into ``folder``, in the layout that ``from_pretrained`` reads."""
    folder.mkdir(parents=True)
    _tokenizer(folder / "tokenizer")
    vocabulary = len(Qwen2TokenizerFast.from_pretrained(folder / "tokenizer", local_files_only=True))
    _text_encoder(vocabulary).save_pretrained(folder / "text_encoder")
    _vae().save_pretrained(folder / "vae")
    _scheduler().save_pretrained(folder / "scheduler")
    with torch.device("meta"):
        Flux2Transformer2DModel(**KLEIN_4B).save_config(folder / "transformer")
    (folder / "model_index.json").write_bytes(readable_json(_index()))


def _tokenizer(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        tiny.build(Path(scratch, "tiny"))
        shutil.copytree(Path(scratch, "tiny", "tokenizer"), target)


def _text_encoder(vocabulary: int) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=_HIDDEN,
        intermediate_size=_HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=128,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    with no_init_weights():
        encoder = Qwen3ForCausalLM(config).to(_DTYPE)
    encoder.tie_weights()
    reinitialise(encoder, _SEED)
    return encoder


def _vae() -> AutoencoderKLFlux2:
    levels = len(_VAE_CHANNELS)
    made = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=_VAE_CHANNELS,
        layers_per_block=1,
        latent_channels=KLEIN_4B["in_channels"] // 4,  # the transformer reads 2 x 2 patches of the latent
        norm_num_groups=4,
    )
    # The method of diffusers' own class warns about layers kept in float32, of which this model has none.
    vae = nn.Module.to(made, dtype=_DTYPE)
    reinitialise(vae, _SEED)
    return vae


def _scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0, time_shift_type="exponential")


def _index() -> dict[str, object]:
    parts = {
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3ForCausalLM"],
        "tokenizer": ["transformers", "Qwen2TokenizerFast"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLFlux2"],
    }
    return {"_class_name": "Flux2KleinPipeline", "is_distilled": False, **parts}
