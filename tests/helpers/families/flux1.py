"""FLUX.1: joint blocks, then single blocks whose projection takes attention and MLP together; pooled CLIP text."""

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxPipeline, FluxTransformer2DModel

from helpers.families import parts
from helpers.families.family import Family


def _transformer(*, guidance: bool) -> FluxTransformer2DModel:
    made = FluxTransformer2DModel(
        in_channels=64,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=32,
        num_attention_heads=3,
        joint_attention_dim=parts.TEXT_WIDTH,
        pooled_projection_dim=parts.POOLED_WIDTH,
        guidance_embeds=guidance,
        axes_dims_rope=(8, 12, 12),
    )
    return parts.seeded(made, 0)


def _pipeline(kind: Any, *, guidance: bool) -> Any:
    shifting = {"use_dynamic_shifting": True, "shift": 3.0} if guidance else {"shift": 1.0}
    return kind(
        scheduler=FlowMatchEulerDiscreteScheduler(**shifting),
        vae=parts.kl_vae(1),
        text_encoder=parts.clip_encoder(2),
        tokenizer=parts.clip_tokenizer(),
        text_encoder_2=parts.t5_encoder(3),
        tokenizer_2=parts.t5_tokenizer(),
        transformer=_transformer(guidance=guidance),
    )


FAMILIES = (
    Family(
        "flux1-dev",
        lambda: _pipeline(FluxPipeline, guidance=True),
        "black-forest-labs/FLUX.1-dev",
        {"guidance_scale": 3.5, "max_sequence_length": 64},
    ),
    Family(
        "flux1-schnell",
        lambda: _pipeline(FluxPipeline, guidance=False),
        "black-forest-labs/FLUX.1-schnell",
        {"guidance_scale": 0.0, "max_sequence_length": 64},
    ),
    Family(
        "flux1-kontext",
        lambda: _pipeline(FluxKontextPipeline, guidance=True),
        "black-forest-labs/FLUX.1-Kontext-dev",
        {"guidance_scale": 3.5, "max_sequence_length": 64, "max_area": 64 * 64, "_auto_resize": False},
        edits=True,
    ),
)
