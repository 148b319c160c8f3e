"""Chroma: the blocks of FLUX.1, without pooled text."""

from typing import Any

from diffusers import ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler

from helpers.families import parts
from helpers.families.family import Family


def _transformer() -> ChromaTransformer2DModel:
    made = ChromaTransformer2DModel(
        in_channels=64,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=32,
        num_attention_heads=3,
        joint_attention_dim=parts.TEXT_WIDTH,
        axes_dims_rope=(8, 12, 12),
        approximator_num_channels=16,
        approximator_hidden_dim=48,
        approximator_layers=1,
    )
    return parts.seeded(made, 0)


def _pipeline() -> Any:
    return ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=parts.kl_vae(1),
        text_encoder=parts.t5_encoder(3),
        tokenizer=parts.t5_tokenizer(),
        transformer=_transformer(),
    )


FAMILIES = (Family("chroma", _pipeline, "lodestones/Chroma1-HD", {"guidance_scale": 1.0, "max_sequence_length": 64}),)
