"""The parts of the embedded pipeline: real diffusers and transformers classes, Klein's shape, thin everywhere."""

from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from transformers import Qwen3Config, Qwen3ForCausalLM

WIDTH = 48
"""Width of the text encoder; three of its layers are concatenated into the text features."""

LATENTS = 8
"""Latent channels of the VAE; 2x2 patches of them make one token of 32 channels."""

TRANSFORMER: dict[str, Any] = {
    "patch_size": 1,
    "in_channels": 4 * LATENTS,
    "num_layers": 5,
    "num_single_layers": 20,
    "attention_head_dim": 32,
    "num_attention_heads": 3,
    "joint_attention_dim": 3 * WIDTH,
    "timestep_guidance_channels": 256,
    "mlp_ratio": 3.0,
    "axes_dims_rope": (8, 8, 8, 8),
    "rope_theta": 2000,
    "guidance_embeds": False,
}
"""5 joint and 20 single blocks as in Klein 4B; heads 32 wide, so that a head is not a 16-channel group."""

VAE: dict[str, Any] = {
    "sample_size": 64,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 24, 32, 48),
    "layers_per_block": 1,
    "latent_channels": LATENTS,
    "norm_num_groups": 4,
}
"""8x smaller per side, as in Klein: 64 pixels become 8x8 latents and, in 2x2 patches, 16 tokens."""

SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "time_shift_type": "exponential",
}
"""Klein's own, from diffusers' ``scripts/convert_flux2_to_diffusers.py``."""


def encoder_config(vocabulary_size: int) -> Qwen3Config:
    """28 layers, so that the layers 9, 18 and 27 that a plain pipeline call reads exist."""
    return Qwen3Config(
        vocab_size=vocabulary_size,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )


def new_transformer() -> Flux2Transformer2DModel:
    """A transformer of the embedded shape with fresh weights (not the same on every machine)."""
    return Flux2Transformer2DModel(**TRANSFORMER)


def new_vae() -> AutoencoderKLFlux2:
    """A VAE of the embedded shape with fresh weights."""
    return AutoencoderKLFlux2(**VAE)


def new_encoder(vocabulary_size: int) -> Qwen3ForCausalLM:
    """A text encoder of the embedded shape with fresh weights."""
    return Qwen3ForCausalLM(encoder_config(vocabulary_size)).to(torch.float32)


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Klein's scheduler."""
    return FlowMatchEulerDiscreteScheduler(**SCHEDULER)
