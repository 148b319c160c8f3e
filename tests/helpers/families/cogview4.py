"""CogView4: single blocks alone, text padded on the left to a multiple of 16."""

from typing import Any

from diffusers import CogView4Pipeline, CogView4Transformer2DModel, FlowMatchEulerDiscreteScheduler
from transformers import GlmConfig, GlmModel

from helpers.families import parts
from helpers.families.family import Family

_MARKS = ("<|endoftext|>", "[gMASK]", "<sop>")


def _transformer() -> CogView4Transformer2DModel:
    made = CogView4Transformer2DModel(
        num_layers=3,
        attention_head_dim=32,
        num_attention_heads=3,
        text_embed_dim=parts.TEXT_WIDTH,
        time_embed_dim=32,
        condition_dim=16,
        pos_embed_max_size=8,
        sample_size=8,
        rope_axes_dim=(8, 8),
    )
    return parts.seeded(made, 0)


def _encoder(words: int) -> GlmModel:
    config = GlmConfig(
        vocab_size=words,
        hidden_size=parts.TEXT_WIDTH,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        pad_token_id=0,
        eos_token_id=0,
        max_position_embeddings=1024,
    )
    return parts.seeded(GlmModel(config), 2)


def _pipeline() -> Any:
    tokenizer = parts.plain_tokenizer(_MARKS, _MARKS[1:], pad_token=_MARKS[0], eos_token=_MARKS[0])
    return CogView4Pipeline(
        tokenizer=tokenizer,
        text_encoder=_encoder(len(tokenizer)),
        vae=parts.kl_vae(1),
        transformer=_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_shift=0.25,
            max_shift=0.75,
            base_image_seq_len=256,
            use_dynamic_shifting=True,
            time_shift_type="linear",
        ),
    )


FAMILIES = (Family("cogview4", _pipeline, "THUDM/CogView4-6B", {"guidance_scale": 1.0, "max_sequence_length": 64}),)
