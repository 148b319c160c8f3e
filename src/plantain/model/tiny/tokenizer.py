"""The tokenizer of the embedded model: Qwen2's class, its merges frozen in ``merges.txt`` beside this module."""

from dataclasses import dataclass
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


Merge = tuple[str, str]
"""Two symbols in the byte alphabet of GPT-2 that become one."""


@dataclass(frozen=True)
class Merges:
    """Merges in the order in which they came to the vocabulary, which is the order of their tokens' ids."""

    words: tuple[Merge, ...]
    """Those that grow the words of the first shipped probes."""
    pieces: tuple[Merge, ...] = ()
    """Those learnt from prose, for any other text."""
    later: tuple[Merge, ...] = ()
    """Those that grow words added since: their tokens come last, so that no earlier token has another id."""

    @property
    def ranked(self) -> list[Merge]:
        """All merges by rank: whole words before pieces.

        A word with a leading space (``Ġ``) grows from that space, so no other word can break it; of the rest the
        lower-case ones come last, since their merges could fire inside any other.
        """
        whole = sorted([*self.words, *self.later], key=lambda pair: (pair[0][0] != "Ġ", pair[0][0].islower()))
        return list(dict.fromkeys([*whole, *self.pieces]))


def read_merges(path: Path | None = None) -> Merges:
    """The merges of ``merges.txt``: its three parts are set apart by empty lines."""
    parts = (path or Path(__file__).with_name("merges.txt")).read_text(encoding="utf-8").split("\n\n")
    pairs = [[line.split(" ") for line in part.splitlines()] for part in parts]
    return Merges(*(tuple((left, right) for left, right in part) for part in pairs))


def write_merges(path: Path, merges: Merges) -> None:
    """Write what :func:`read_merges` reads."""
    parts = (merges.words, merges.pieces, merges.later)
    lines = ("".join(f"{left} {right}\n" for left, right in part) for part in parts)
    path.write_text("\n".join(lines), encoding="utf-8")


def vocabulary(merges: Merges) -> dict[str, int]:
    """Token ids: the markup, the 256 byte symbols, then what each merge makes, in order."""
    made = (left + right for left, right in (*merges.words, *merges.pieces, *merges.later))
    names = [END, *MARKUP, *sorted(ByteLevel.alphabet()), *made]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def build_tokenizer(merges: Merges | None = None) -> Qwen2TokenizerFast:
    """Byte-level BPE: every word of the shipped probes and every common one is a token, other text falls to pieces."""
    merges = read_merges() if merges is None else merges
    tokenizer = Qwen2TokenizerFast(
        vocab=vocabulary(merges), merges=merges.ranked, extra_special_tokens=list(MARKUP), model_max_length=512
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer
