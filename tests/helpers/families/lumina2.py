"""Lumina-Image 2.0: one stream of text and image behind refiners of each; fewer keys than queries."""

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline, Lumina2Transformer2DModel

from helpers.families import parts
from helpers.families.family import Family


def _transformer() -> Lumina2Transformer2DModel:
    made = Lumina2Transformer2DModel(
        sample_size=8,
        in_channels=16,
        hidden_size=192,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        axes_dim_rope=(32, 32, 32),
        axes_lens=(300, 64, 64),
        cap_feat_dim=parts.TEXT_WIDTH,
    )
    return parts.seeded(made, 0)


def _pipeline() -> Any:
    return Lumina2Pipeline(
        transformer=_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=parts.kl_vae(1),
        text_encoder=parts.gemma_encoder(2),
        tokenizer=parts.gemma_tokenizer(),
    )


FAMILIES = (
    Family("lumina2", _pipeline, "Alpha-VLLM/Lumina-Image-2.0", {"guidance_scale": 1.0, "max_sequence_length": 96}),
)
