"""PixArt-Sigma: self-attention of the image, then cross-attention to the text, in every block."""

from typing import Any

from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

from helpers.families import parts
from helpers.families.family import Family


def _transformer() -> PixArtTransformer2DModel:
    made = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=72,
        cross_attention_dim=144,
        num_layers=3,
        sample_size=8,
        caption_channels=parts.TEXT_WIDTH,
        interpolation_scale=1,
        use_additional_conditions=False,
    )
    return parts.seeded(made, 0)


def _pipeline() -> Any:
    vae = {"scaling_factor": 0.13025, "shift_factor": None, "use_quant_conv": True, "use_post_quant_conv": True}
    return PixArtSigmaPipeline(
        tokenizer=parts.t5_tokenizer(300),
        text_encoder=parts.t5_encoder(2),
        vae=parts.kl_vae(1, 4, **vae),
        transformer=_transformer(),
        scheduler=DPMSolverMultistepScheduler(),
    )


FAMILIES = (
    Family(
        "pixart-sigma",
        _pipeline,
        "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        {"guidance_scale": 1.0, "max_sequence_length": 64, "use_resolution_binning": False, "clean_caption": False},
    ),
)
