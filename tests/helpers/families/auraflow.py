"""AuraFlow: joint blocks, then single blocks; registers stand before the text."""

from typing import Any

from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler
from transformers import UMT5Config, UMT5EncoderModel

from helpers.families import parts
from helpers.families.family import Family


def _transformer() -> AuraFlowTransformer2DModel:
    made = AuraFlowTransformer2DModel(
        sample_size=8,
        num_mmdit_layers=2,
        num_single_dit_layers=3,
        attention_head_dim=32,
        num_attention_heads=3,
        joint_attention_dim=parts.TEXT_WIDTH,
        caption_projection_dim=96,
        pos_embed_max_size=64,
    )
    return parts.seeded(made, 0)


def _encoder(words: int) -> UMT5EncoderModel:
    config = UMT5Config(
        vocab_size=words, d_model=parts.TEXT_WIDTH, d_kv=16, d_ff=96, num_layers=2, num_heads=4, pad_token_id=3
    )
    return parts.seeded(UMT5EncoderModel(config), 2)


def _pipeline() -> Any:
    tokenizer = parts.llama_tokenizer()
    return AuraFlowPipeline(
        tokenizer=tokenizer,
        text_encoder=_encoder(len(tokenizer)),
        vae=parts.kl_vae(1, 4, scaling_factor=0.13025, shift_factor=None),
        transformer=_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


FAMILIES = (Family("auraflow", _pipeline, "fal/AuraFlow-v0.3", {"guidance_scale": 1.0, "max_sequence_length": 64}),)
