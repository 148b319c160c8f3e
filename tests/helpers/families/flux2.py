"""FLUX.2: joint blocks, then single blocks whose attention module projects attention and MLP together."""

from typing import Any

from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from transformers import Mistral3Config, Mistral3ForConditionalGeneration, Qwen3ForCausalLM

from helpers.families import parts
from helpers.families.family import Family

_LAYERS = (1, 2, 3)
_MARKS = ("<unk>", "<s>", "</s>", "<pad>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]", "[IMG]")
_TEMPLATE = (
    "<s>{% for message in messages %}{% set text = message['content'] | map(attribute='text') | join %}"
    "{% if message['role'] == 'system' %}[SYSTEM_PROMPT]{{ text }}[/SYSTEM_PROMPT]"
    "{% else %}[INST]{{ text }}[/INST]{% endif %}{% endfor %}"
)
"""What Mistral's own template renders for one system message and one user message."""


def _transformer(*, guidance: bool) -> Flux2Transformer2DModel:
    made = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=32,
        num_attention_heads=3,
        joint_attention_dim=len(_LAYERS) * parts.TEXT_WIDTH,
        timestep_guidance_channels=64,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=guidance,
    )
    return parts.seeded(made, 0)


def _vae() -> AutoencoderKLFlux2:
    made = AutoencoderKLFlux2(
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    )
    return parts.seeded(made, 1)


def _scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0, time_shift_type="exponential")


def _klein(*, distilled: bool) -> Any:
    return Flux2KleinPipeline(
        scheduler=_scheduler(),
        vae=_vae(),
        text_encoder=parts.seeded(Qwen3ForCausalLM(parts.qwen3_config(3)), 2),
        tokenizer=parts.qwen_tokenizer(),
        transformer=_transformer(guidance=False),
        is_distilled=distilled,
    )


def _mistral(words: int) -> Mistral3ForConditionalGeneration:
    text = {
        "model_type": "mistral",
        "vocab_size": words,
        "hidden_size": parts.TEXT_WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 1024,
        "sliding_window": None,
        "tie_word_embeddings": True,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "image_size": 56,
        "patch_size": 14,
    }
    config = Mistral3Config(text_config=text, vision_config=vision, image_token_index=_MARKS.index("[IMG]"))
    return parts.seeded(Mistral3ForConditionalGeneration(config), 2)


def _dev() -> Any:
    # The published pipeline wraps its tokenizer in a processor for images, which needs torchvision.
    tokenizer = parts.plain_tokenizer(_MARKS, pad_token="<pad>", unk_token="<unk>")
    tokenizer.chat_template = _TEMPLATE
    return Flux2Pipeline(
        scheduler=_scheduler(),
        vae=_vae(),
        text_encoder=_mistral(len(tokenizer)),
        tokenizer=tokenizer,
        transformer=_transformer(guidance=True),
    )


_KLEIN = {"guidance_scale": 1.0, "max_sequence_length": 64, "text_encoder_out_layers": _LAYERS}

FAMILIES = (
    Family(
        "flux2-klein",
        lambda: _klein(distilled=False),
        "black-forest-labs/FLUX.2-klein-base-4B",
        _KLEIN,
        edits=True,
    ),
    Family(
        "flux2-klein-distilled",
        lambda: _klein(distilled=True),
        "black-forest-labs/FLUX.2-klein-4B",
        _KLEIN,
        edits=True,
    ),
    Family(
        "flux2-dev",
        _dev,
        "black-forest-labs/FLUX.2-dev",
        {"guidance_scale": 4.0, "max_sequence_length": 96, "text_encoder_out_layers": _LAYERS},
        edits=True,
    ),
)
