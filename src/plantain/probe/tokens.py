"""What a model's tokenizer makes of the prompts. No tokenizer lives here: it is handed in."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from plantain.base.errors import InputError
from plantain.probe.records import ExpandedContrast, Record


@dataclass(frozen=True)
class TokenCount:
    """One prompt as the text encoder gets it: a chat of one user message with an empty thinking block."""

    length: int
    """Tokens of the whole chat, its markup included."""
    special: tuple[str, ...]
    """Control tokens that come from the prompt's own text."""


Encode = Callable[[str], TokenCount]


def counter(tokenizer: Any) -> Encode:
    """Count as ``Flux2KleinPipeline`` encodes, with a tokenizer of the transformers library.

    The chat around the prompt brings control tokens of its own; whatever a prompt adds to those of a harmless one
    comes from its text. Tokens added to the vocabulary count as control tokens, since no ordinary text should hit them.
    """
    control = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)

    def ids(prompt: str) -> list[int]:
        message = [{"role": "user", "content": prompt}]
        chat = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        return [int(number) for number in tokenizer(chat)["input_ids"]]

    usual = Counter(number for number in ids("a") if number in control)

    @cache
    def encode(prompt: str) -> TokenCount:
        numbers = ids(prompt)
        extra = Counter(number for number in numbers if number in control) - usual
        return TokenCount(len(numbers), tuple(str(tokenizer.convert_ids_to_tokens(number)) for number in sorted(extra)))

    return encode


def plain_counter(tokenizer: Any) -> Encode:
    """Count the tokens of the prompt itself, with what the tokenizer puts around it; see :func:`counter`.

    For pipelines that hand the prompt to their tokenizer as it is. Where one puts it into a template of its own, that
    is not counted.
    """
    control = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    @cache
    def encode(prompt: str) -> TokenCount:
        own = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        special = sorted({number for number in own if number in control})
        names = tuple(str(tokenizer.convert_ids_to_tokens(number)) for number in special)
        return TokenCount(len(tokenizer(prompt)["input_ids"]), names)

    return encode


def token_problems(prompts: Mapping[str, str], encode: Encode, limit: int) -> list[str]:
    """A sentence for each of ``prompts`` (by what they belong to) that would not reach the encoder as written."""
    problems = []
    for label, prompt in prompts.items():
        count = encode(prompt)
        if count.special:
            problems.append(f"{label}: the prompt holds the control token {count.special[0]}.")
        if count.length > limit:
            problems.append(f"{label}: {count.length} tokens, and the model reads {limit}; the rest would be cut off.")
    return problems


def refuse_unusable(prompts: Mapping[str, str], encode: Encode, limit: int) -> None:
    """Raise for prompts with control tokens or beyond ``limit`` tokens, before any pass is run.

    Raises:
        InputError: names the first problem and says how many there are.
    """
    problems = token_problems(prompts, encode, limit)
    if problems:
        more = f" ({len(problems)} such problems)" if len(problems) > 1 else ""
        fix = "reword the prompt, or raise the model's max_sequence_length; `plantain prompts check` lists all."
        raise InputError(problems[0] + more, fix=fix)


def labelled(records: Iterable[Record]) -> dict[str, str]:
    """The prompts of ``records`` by what they belong to, for :func:`token_problems`."""
    return {f"{record.item} in {record.condition}": record.prompt for record in records}


@dataclass(frozen=True)
class StratumTokens:
    """Token counts of the wordings of one stratum of one contrast."""

    contrast: str
    stratum: str | None
    templates: dict[str, tuple[int, int]]
    """Fewest and most tokens over the items, by condition."""
    equal: bool
    """Whether, for every item, all wordings of the stratum have the same count."""


def stratum_tokens(
    contrasts: Iterable[ExpandedContrast], records: Iterable[Record], encode: Encode
) -> tuple[StratumTokens, ...]:
    """Token counts a stratum, in file order; wordings without a stratum are one group."""
    counts: dict[str, list[int]] = {}
    for record in records:
        counts.setdefault(record.condition, []).append(encode(record.prompt).length)
    return tuple(row for contrast in contrasts for row in _strata(contrast, counts))


def _strata(contrast: ExpandedContrast, counts: Mapping[str, list[int]]) -> list[StratumTokens]:
    groups: dict[str | None, list[str]] = {}
    for name, stratum in zip((*contrast.a, *contrast.b), contrast.strata, strict=True):
        groups.setdefault(stratum, []).append(name)
    return [_stratum(contrast.name, stratum, names, counts) for stratum, names in groups.items()]


def _stratum(contrast: str, stratum: str | None, names: list[str], counts: Mapping[str, list[int]]) -> StratumTokens:
    ranges = {name: (min(counts[name]), max(counts[name])) for name in names}
    equal = all(counts[name] == counts[names[0]] for name in names)
    return StratumTokens(contrast, stratum, ranges, equal)
