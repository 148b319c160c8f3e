"""How ``merges.txt`` was made: whole words for the probes and for common English, learnt pieces for everything else.

Run ``python -m training vocabulary`` to let it grow; the shipped weights belong to the shipped file.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from plantain.model.tiny.tokenizer import Merge, Merges
from plantain.probe import authoring

HERE = Path(__file__).parent
EXAMPLES = Path(authoring.__file__).parent

_STATED = re.compile(r'prompt: "([^"]+)"| thing:( [^}]+)')


def splitter() -> pre_tokenizers.PreTokenizer:
    """Qwen2's own way to cut text into words before any merge, each with its leading space."""
    cut = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def words(texts: Iterable[str]) -> list[str]:
    """The distinct words of ``texts`` in the byte alphabet, sorted so that whole words win over pieces.

    Words with a leading space (``Ġ``) come first: their merges can only start at that space, so no other merge can
    break them. Of the rest the lower-case ones come last, since their merges could fire inside any other.
    """
    cut = splitter()
    found = {piece for text in texts for piece, _ in cut.pre_tokenize_str(text)}
    return sorted(found, key=lambda word: (not word.startswith("Ġ"), word[0].islower(), word))


def chains(found: Iterable[str]) -> list[Merge]:
    """Merges that grow each word from its first symbol: ``Ġ+c``, ``Ġc+a``, ``Ġca+t``."""
    pairs = [(word[:end], word[end]) for word in found for end in range(1, len(word))]
    return list(dict.fromkeys(pairs))


def pieces(corpus: Iterable[str], size: int) -> list[Merge]:
    """``size`` merges learnt from ``corpus`` by byte-pair encoding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    merges = _state(tokenizer)["merges"]
    return [(left, right) for left, right in merges]


def _state(tokenizer: Tokenizer) -> dict[str, list[list[str]]]:

    model: dict[str, list[list[str]]] = json.loads(tokenizer.to_str())["model"]
    return model


def learn(texts: Iterable[str], corpus: Iterable[str], size: int) -> Merges:
    """A vocabulary from nothing: the words of ``texts`` whole, then ``size`` pieces learnt from ``corpus``."""
    return Merges(tuple(chains(words(texts))), tuple(pieces(corpus, size)))


def grow(merges: Merges, texts: Iterable[str]) -> Merges:
    """``merges`` with the words of ``texts`` whole: a token that was there keeps its id, and so its embedding."""
    known = {*merges.words, *merges.later}
    return replace(merges, later=(*merges.later, *(pair for pair in chains(words(texts)) if pair not in known)))


def common_words() -> list[str]:
    """The commonest words of English, each with a leading space."""
    return [f" {word}" for word in _lines("common-words.txt")]


def family_wordings() -> list[str]:
    """Wordings of a family of probes beside the two that ship."""
    return _lines("family-wordings.txt")


def example_wordings() -> list[str]:
    """Wordings of the examples that ``plantain probe new`` writes, without their fields."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("skeleton*.yaml"))]
    found = ["".join(match) for text in texts for match in _STATED.findall(text)]
    return [re.sub(r" +(?=[ ,]|$)", "", re.sub(r"\{\w+\}", "", one)) for one in found]


def _lines(name: str) -> list[str]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]
