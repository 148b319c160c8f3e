"""Z-Image: one stream of image and text behind refiners of each; sequences padded to a multiple of 32."""

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from transformers import Qwen3Model

from helpers.families import parts
from helpers.families.family import Family


def _transformer() -> ZImageTransformer2DModel:
    made = ZImageTransformer2DModel(
        dim=96,
        n_layers=3,
        n_refiner_layers=2,
        n_heads=3,
        n_kv_heads=3,
        cap_feat_dim=parts.TEXT_WIDTH,
        axes_dims=[8, 12, 12],
        axes_lens=[512, 32, 32],
    )
    return parts.seeded(made, 0)


def _pipeline() -> Any:
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=parts.kl_vae(1),
        text_encoder=parts.seeded(Qwen3Model(parts.qwen3_config(3)), 2),
        tokenizer=parts.qwen_tokenizer(),
        transformer=_transformer(),
    )


FAMILIES = (
    Family("z-image", _pipeline, "Tongyi-MAI/Z-Image-Turbo", {"guidance_scale": 0.0, "max_sequence_length": 64}),
)
