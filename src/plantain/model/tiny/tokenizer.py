"""The tokenizer of the embedded model: Qwen2's class, its merges frozen in ``merges.txt`` beside this module."""

from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2TokenizerFast

MARKUP = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
"""What Qwen3's chat template adds around a prompt, each one token."""

END = "<|endoftext|>"

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""What Qwen3's own template renders for one user message."""


def read_merges(path: Path | None = None) -> list[tuple[str, str]]:
    """The merges in order of rank, each a pair of symbols in the byte alphabet of GPT-2."""
    lines = (path or Path(__file__).with_name("merges.txt")).read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ") for line in lines]
    return [(left, right) for left, right in pairs]


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Token ids: the markup, the 256 byte symbols, then what each merge makes, in order."""
    names = [END, *MARKUP, *sorted(ByteLevel.alphabet()), *(left + right for left, right in merges)]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def build_tokenizer(merges: list[tuple[str, str]] | None = None) -> Qwen2TokenizerFast:
    """Byte-level BPE: the words of the shipped probes are one token each, any other text falls back to pieces."""
    merges = read_merges() if merges is None else merges
    tokenizer = Qwen2TokenizerFast(
        vocab=vocabulary(merges), merges=merges, extra_special_tokens=list(MARKUP), model_max_length=512
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer
