"""What the tiny pipelines share: seeded weights, tokenizers made without a download, narrow text encoders, a VAE."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, Lumina2Pipeline, QwenImageEditPipeline, QwenImagePipeline
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as DecodeBytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2TokenizerFast,
    Qwen3Config,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from plantain.model.tiny.tokenizer import MARKUP, TEMPLATE, Merges, read_merges, vocabulary

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
def _merges() -> Merges:
    """Those of the embedded model, and those that make the pipelines' own sentences whole words too."""
    merges = read_merges()
    texts = (
        QwenImagePipeline.__init__,
        QwenImageEditPipeline.__init__,
        Lumina2Pipeline.__init__,
    )
    said = [text for function in texts for text in function.__code__.co_consts if isinstance(text, str)]
    found = sorted({word for text in (*said, SYSTEM_MESSAGE) for word in re.findall("[A-Za-z]+", text)} | set(_COMMON))
    chains = [pair for word in found for start in ("Ġ", "") for pair in _chain(start + word)]
    return Merges(merges.words, merges.pieces, (*merges.later, *chains))


def _chain(word: str) -> Iterator[tuple[str, str]]:
    return ((word[:end], word[end]) for end in range(1, len(word)))


def qwen_tokenizer(marks: Sequence[str] = MARKUP) -> Qwen2TokenizerFast:
    """Qwen's tokenizer, that of the embedded model with more words and more marks."""
    words = vocabulary(_merges())
    for mark in marks:
        words.setdefault(mark, len(words))
    # The pipelines of Qwen-Image cut their template off by its length in tokens, of which "system" is one.
    ranked = list(dict.fromkeys([*_chain("system"), *_merges().ranked]))
    made = Qwen2TokenizerFast(vocab=words, merges=ranked, extra_special_tokens=list(marks), model_max_length=1024)
    made.chat_template = TEMPLATE
    return made


@cache
def _sentence_pieces(*marks: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The same words where a space is ``▁`` and other text falls to bytes, as in Gemma's and Llama's tokenizers."""
    ranked = [(left.replace("Ġ", "▁"), right) for left, right in _merges().ranked if (left + right)[1:].isalpha()]
    letters = [chr(code) for code in range(33, 127)]
    names = [
        *marks,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *letters,
        *(left + right for left, right in ranked),
    ]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return vocabulary, [pair for pair in ranked if set(pair) <= vocabulary.keys()]


def gemma_tokenizer() -> GemmaTokenizer:
    """Gemma's tokenizer."""
    vocabulary, merges = _sentence_pieces("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
    return GemmaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True, model_max_length=512)


def llama_tokenizer() -> LlamaTokenizer:
    """Llama's tokenizer, with a padding token as AuraFlow has."""
    vocabulary, merges = _sentence_pieces("<unk>", "<s>", "</s>", "<pad>")
    return LlamaTokenizer(vocab=vocabulary, merges=merges, pad_token="<pad>", add_eos_token=True, model_max_length=512)


def plain_tokenizer(marks: Sequence[str], begin: Sequence[str] = (), **settings: Any) -> PreTrainedTokenizerFast:
    """A tokenizer of no class of its own, as of GLM and Mistral: byte-level pairs, ``begin`` before any text."""
    words = vocabulary(_merges())
    for mark in marks:
        words.setdefault(mark, len(words))
    inner = Tokenizer(BPE(vocab=words, merges=_merges().ranked))
    inner.pre_tokenizer = ByteLevel(add_prefix_space=False)
    inner.decoder = DecodeBytes()
    if begin:
        inner.post_processor = TemplateProcessing(
            single=" ".join([*begin, "$A"]), special_tokens=[(mark, words[mark]) for mark in begin]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, extra_special_tokens=list(marks), model_max_length=1024, padding_side="left", **settings
    )


@cache
def _clip_pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Lower-case words grown letter by letter, each ending in ``</w>``; any other text falls to shorter pieces.

    Not trained: the trainer breaks ties by hashes that differ from process to process.
    """
    pairs = {}
    for word in sorted({word.lower() for word in words()}, key=lambda word: (-len(word), word)):
        symbols = [*word[:-1], f"{word[-1]}</w>"]
        pairs |= {("".join(symbols[:end]), symbols[end]): None for end in range(1, len(symbols))}
    letters = sorted(ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), *(left + right for left, right in pairs)]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    return {name: number for number, name in enumerate(dict.fromkeys([*names, *marks]))}, list(pairs)


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer, 77 tokens at most."""
    vocabulary, merges = _clip_pairs()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def t5_tokenizer(length: int = 512) -> T5Tokenizer:
    """T5's tokenizer: a word is a piece, other text falls to characters."""
    characters = [chr(code) for code in range(33, 127)]
    pieces = dict.fromkeys(["▁", *characters, *(f"▁{word}" for word in words())])
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5Tokenizer(vocab=[*marks, *((piece, -2.0) for piece in pieces)], extra_ids=0, model_max_length=length)


def _clip_config() -> CLIPTextConfig:
    vocabulary = _clip_pairs()[0]
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


def qwen3_config(layers: int) -> Qwen3Config:
    """A Qwen3 encoder of thin layers."""
    return Qwen3Config(
        vocab_size=len(qwen_tokenizer()),
        hidden_size=TEXT_WIDTH,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )


def gemma_encoder(seed: int) -> Gemma2Model:
    """A Gemma 2 encoder of three layers."""
    config = Gemma2Config(
        vocab_size=len(gemma_tokenizer()),
        hidden_size=TEXT_WIDTH,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        query_pre_attn_scalar=16,
        max_position_embeddings=2048,
    )
    return seeded(Gemma2Model(config), seed)
