"""Sana: linear self-attention of the image, then cross-attention to the text, with heads of another width."""

from typing import Any

from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel

from helpers.families import parts
from helpers.families.family import Family


def _transformer() -> SanaTransformer2DModel:
    made = SanaTransformer2DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=7,
        attention_head_dim=32,
        num_layers=3,
        num_cross_attention_heads=2,
        cross_attention_head_dim=112,
        cross_attention_dim=224,
        caption_channels=parts.TEXT_WIDTH,
        sample_size=8,
    )
    return parts.seeded(made, 0)


def _vae() -> AutoencoderDC:
    kinds = ("ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock")
    made = AutoencoderDC(
        latent_channels=8,
        attention_head_dim=8,
        encoder_block_types=kinds,
        decoder_block_types=kinds,
        encoder_block_out_channels=(8, 8, 16, 16),
        decoder_block_out_channels=(8, 8, 16, 16),
        encoder_layers_per_block=(1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        encoder_qkv_multiscales=((), (), (5,), (5,)),
        decoder_qkv_multiscales=((), (), (5,), (5,)),
        scaling_factor=0.41407,
    )
    return parts.seeded(made, 1)


def _pipeline() -> Any:
    return SanaPipeline(
        tokenizer=parts.gemma_tokenizer(),
        text_encoder=parts.gemma_encoder(2),
        vae=_vae(),
        transformer=_transformer(),
        scheduler=DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    )


FAMILIES = (
    Family(
        "sana",
        _pipeline,
        "Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        {"guidance_scale": 1.0, "max_sequence_length": 64, "use_resolution_binning": False},
    ),
)
