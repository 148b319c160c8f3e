"""Qwen-Image and Qwen-Image-Edit: joint blocks alone; the encoder of Edit reads the image too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import transformers
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit
from transformers import ProcessorMixin, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from helpers.families import parts
from helpers.families.family import Family
from plantain.model.tiny.tokenizer import MARKUP

_MARKS = (*MARKUP, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_LATENTS = 4


def _transformer() -> QwenImageTransformer2DModel:
    made = QwenImageTransformer2DModel(
        in_channels=4 * _LATENTS,
        out_channels=_LATENTS,
        num_layers=3,
        attention_head_dim=32,
        num_attention_heads=3,
        joint_attention_dim=parts.TEXT_WIDTH,
        axes_dims_rope=(8, 12, 12),
    )
    return parts.seeded(made, 0)


def _vae() -> AutoencoderKLQwenImage:
    made = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=_LATENTS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, -0.4],
        latents_std=[1.0, 1.5, 2.0, 2.5],
    )
    return parts.seeded(made, 1)


def _encoder(tokenizer: Any) -> Qwen2_5_VLForConditionalGeneration:
    marks = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in _MARKS}
    text = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "hidden_size": parts.TEXT_WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
        "tie_word_embeddings": True,
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": parts.TEXT_WIDTH,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=marks["<|image_pad|>"],
        video_token_id=marks["<|video_pad|>"],
        vision_start_token_id=marks["<|vision_start|>"],
        vision_end_token_id=marks["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    return parts.seeded(Qwen2_5_VLForConditionalGeneration(config), 2)


def _components() -> dict[str, Any]:
    tokenizer = parts.qwen_tokenizer(_MARKS)
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type="exponential"),
        "vae": _vae(),
        "text_encoder": _encoder(tokenizer),
        "tokenizer": tokenizer,
        "transformer": _transformer(),
    }


class Qwen2VLProcessor(transformers.Qwen2VLProcessor):
    """The processor less its part for videos, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **_rest):
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


@contextmanager
def affordable() -> Iterator[None]:
    """Qwen-Image-Edit without torchvision, which its processor's part for videos needs, and with a small condition.

    The pipeline brings every condition to a megapixel: 4,096 tokens, beside 16 that are denoised here.
    """
    small = mock.patch.object(pipeline_qwenimage_edit, "calculate_dimensions", return_value=(96, 96, None))
    with small, mock.patch.object(transformers, "Qwen2VLProcessor", Qwen2VLProcessor):
        yield


def _edit() -> Any:
    components = _components()
    images = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112)
    processor = Qwen2VLProcessor(image_processor=images, tokenizer=components["tokenizer"])
    return QwenImageEditPipeline(**components, processor=processor)


_CALL = {"true_cfg_scale": 1.0, "max_sequence_length": 64}

FAMILIES = (
    Family("qwen-image", lambda: QwenImagePipeline(**_components()), "Qwen/Qwen-Image", _CALL),
    Family("qwen-image-edit", _edit, "Qwen/Qwen-Image-Edit", _CALL, edits=True),
)
