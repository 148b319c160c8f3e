"""What the tiny pipelines share: seeded weights, tokenizers made without a download, narrow text encoders, a VAE."""

import json
from functools import cache
from typing import TypeVar

import torch
from diffusers import AutoencoderKL
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from plantain.model.tiny.tokenizer import read_merges

TEXT_WIDTH = 64
"""Channels of the text encoders that a transformer reads tokens from."""
POOLED_WIDTH = 32
"""Channels of a CLIP encoder, and of its pooled text."""

_COMMON = (
    "A",
    "a",
    "an",
    "at",
    "by",
    "for",
    "human",
    "in",
    "of",
    "on",
    "photo",
    "photograph",
    "red",
    "the",
    "to",
    "with",
)
"""Words that the merges of the embedded model grow others from."""

Module = TypeVar("Module", bound=nn.Module)


def seeded(module: Module, seed: int) -> Module:
    """Draw every parameter anew, so that none is zero, constant or left as memory was.

    Classes start some of their gates at zero and leave padding tokens uninitialised; with such weights a hook that sits
    wrong might change nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(drawn * parameter[0].numel() ** -0.5)
            else:
                parameter.copy_(0.1 * drawn + (1.0 if name.endswith("weight") else 0.0))
    return module.eval()


@cache
def words() -> tuple[str, ...]:
    """The words of the shipped probes, which are tokens of the embedded model's tokenizer too."""
    merges = read_merges()
    pairs = (*merges.words, *merges.later)
    grown = {left for left, _ in pairs}
    made = {left + right for left, right in pairs}
    return tuple(sorted({*_COMMON, *(word[1:] for word in made - grown if word.startswith("Ġ"))}))


@cache
def _trained_clip() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-pair vocabulary and merges of the lower-case words; any other text falls to letters."""
    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=4096,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        continuing_subword_prefix="",
        show_progress=False,
    )
    tokenizer.train_from_iterator((word.lower() for word in words()), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict(model["vocab"])
    for letter in sorted(ByteLevel.alphabet()):
        vocabulary.setdefault(f"{letter}</w>", len(vocabulary))
    return vocabulary, [tuple(pair) for pair in model["merges"]]


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer, 77 tokens at most."""
    vocabulary, merges = _trained_clip()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def t5_tokenizer(length: int = 512) -> T5Tokenizer:
    """T5's tokenizer: a word is a piece, other text falls to characters."""
    characters = [chr(code) for code in range(33, 127)]
    pieces = dict.fromkeys(["▁", *characters, *(f"▁{word}" for word in words())])
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5Tokenizer(vocab=[*marks, *((piece, -2.0) for piece in pieces)], extra_ids=0, model_max_length=length)


def _clip_config() -> CLIPTextConfig:
    vocabulary = _trained_clip()[0]
    return CLIPTextConfig(
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
        hidden_size=POOLED_WIDTH,
        intermediate_size=48,
        projection_dim=POOLED_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
    )


def clip_encoder(seed: int) -> CLIPTextModel:
    """The encoder whose pooled text modulates FLUX.1."""
    return seeded(CLIPTextModel(_clip_config()), seed)


def clip_projector(seed: int) -> CLIPTextModelWithProjection:
    """One of the two encoders of Stable Diffusion 3."""
    return seeded(CLIPTextModelWithProjection(_clip_config()), seed)


def t5_encoder(seed: int) -> T5EncoderModel:
    """A T5 encoder of two layers."""
    config = T5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=TEXT_WIDTH,
        d_kv=16,
        d_ff=96,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return seeded(T5EncoderModel(config), seed)


def kl_vae(seed: int, channels: int = 16, **changes: object) -> AutoencoderKL:
    """A VAE that makes an image eight times smaller."""
    settings = {
        "sample_size": 64,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "latent_channels": channels,
        "norm_num_groups": 4,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }
    return seeded(AutoencoderKL(**(settings | changes)), seed)
