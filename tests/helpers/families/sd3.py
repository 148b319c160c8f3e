"""Stable Diffusion 3.5: joint blocks alone, image attention beside them, no text out of the last; pooled CLIP text."""

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

from helpers.families import parts
from helpers.families.family import Family

_CALL = {"guidance_scale": 1.0, "max_sequence_length": 64}


def _transformer(dual: tuple[int, ...]) -> SD3Transformer2DModel:
    made = SD3Transformer2DModel(
        sample_size=8,
        in_channels=16,
        out_channels=16,
        num_layers=3,
        attention_head_dim=64,
        num_attention_heads=2,
        joint_attention_dim=parts.TEXT_WIDTH,
        caption_projection_dim=128,
        pooled_projection_dim=2 * parts.POOLED_WIDTH,
        pos_embed_max_size=8,
        dual_attention_layers=dual,
        qk_norm="rms_norm",
    )
    return parts.seeded(made, 0)


def _pipeline(dual: tuple[int, ...]) -> Any:
    return StableDiffusion3Pipeline(
        transformer=_transformer(dual),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=parts.kl_vae(1, scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=parts.clip_projector(2),
        tokenizer=parts.clip_tokenizer(),
        text_encoder_2=parts.clip_projector(3),
        tokenizer_2=parts.clip_tokenizer(),
        text_encoder_3=parts.t5_encoder(4),
        tokenizer_3=parts.t5_tokenizer(),
    )


FAMILIES = (
    Family("sd35-medium", lambda: _pipeline((0, 1)), "stabilityai/stable-diffusion-3.5-medium", _CALL),
    Family("sd35-large", lambda: _pipeline(()), "stabilityai/stable-diffusion-3.5-large", _CALL),
)
