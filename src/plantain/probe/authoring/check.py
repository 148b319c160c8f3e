"""What can be said of a probe before anything is run: words that give a side away, lengths, the smallest p-value."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import comb, prod
from pathlib import Path

from plantain.base.errors import InputError
from plantain.probe.expand import expand
from plantain.probe.records import ExpandedContrast, Expansion, Record
from plantain.probe.spec import read_probe
from plantain.probe.tokens import Encode, StratumTokens, labelled, stratum_tokens, token_problems

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


@dataclass(frozen=True)
class OwnWord:
    """A word that all wordings of one side share and none of the other has, and for how many items that is so."""

    word: str
    items: int


@dataclass(frozen=True)
class ChangedWords:
    """How many words differ between a pair of single wordings: fewest and most over the items."""

    only_a: tuple[int, int]
    only_b: tuple[int, int]
    matched: bool
    """Whether both sides are equally long for every item."""


@dataclass(frozen=True)
class Design:
    """One contrast, looked at before any pass."""

    name: str
    templates_a: int
    templates_b: int
    items: int
    own_words_a: tuple[OwnWord, ...]
    own_words_b: tuple[OwnWord, ...]
    changed_words: ChangedWords | None
    """Only of a pair of single wordings."""
    equal_sides: tuple[str, ...]
    """Items for which both sides hold one and the same prompt with the same reference."""
    floor: float
    """Smallest two-sided p-value of permuting the labels of the wordings."""
    floor_in_strata: float | None
    """The same when labels move within strata only; ``None`` where a wording has no stratum."""


def design(contrast: ExpandedContrast, records: Iterable[Record]) -> Design:
    """Look at ``contrast`` with the ``records`` of its probe."""
    table: dict[str, dict[str, Record]] = {}
    for record in records:
        table.setdefault(record.item, {})[record.condition] = record
    sides = {item: _sides(contrast, by_condition) for item, by_condition in table.items()}
    return Design(
        name=contrast.name,
        templates_a=len(contrast.a),
        templates_b=len(contrast.b),
        items=len(table),
        own_words_a=_own_words([(a, b) for a, b in sides.values()]),
        own_words_b=_own_words([(b, a) for a, b in sides.values()]),
        changed_words=_changed(sides.values()) if len(contrast.a) == len(contrast.b) == 1 else None,
        equal_sides=tuple(item for item, (a, b) in sides.items() if _contents(a) & _contents(b)),
        floor=floor([(len(contrast.a), len(contrast.b))]),
        floor_in_strata=_floor_in_strata(contrast),
    )


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case, in order; a hyphen parts two words."""
    return [word.casefold() for word in _WORD.findall(text)]


def floor(strata: Iterable[tuple[int, int]]) -> float:
    """Smallest attainable two-sided p-value of a label permutation test.

    ``strata`` holds the numbers of wordings of the two sides in each stratum. The observed labelling is one of
    ``prod(C(a + b, a))``; where the sides are equally large in every stratum, swapping all labels gives the same |t|.
    """
    sizes = list(strata)
    labellings = prod(comb(a + b, a) for a, b in sizes)
    mirrored = all(a == b for a, b in sizes)
    return (2 if mirrored else 1) / labellings


def _sides(contrast: ExpandedContrast, table: dict[str, Record]) -> tuple[list[Record], list[Record]]:
    return [table[name] for name in contrast.a], [table[name] for name in contrast.b]


def _contents(side: list[Record]) -> set[tuple[str, tuple[str, ...]]]:
    return {(record.prompt, record.reference) for record in side}


def _own_words(pairs: list[tuple[list[Record], list[Record]]]) -> tuple[OwnWord, ...]:
    """Words of the first side of each pair alone, for most of the items, the most frequent first."""
    found: Counter[str] = Counter()
    for own, other in pairs:
        shared = set.intersection(*(set(words(record.prompt)) for record in own))
        found.update(shared.difference(*(words(record.prompt) for record in other)))
    frequent = [OwnWord(word, count) for word, count in found.items() if 2 * count > len(pairs)]
    return tuple(sorted(frequent, key=lambda own: (-own.items, own.word)))


def _changed(sides: Iterable[tuple[list[Record], list[Record]]]) -> ChangedWords:
    counts = [_differing(words(a[0].prompt), words(b[0].prompt)) for a, b in sides]
    only_a, only_b = zip(*counts, strict=True)
    return ChangedWords((min(only_a), max(only_a)), (min(only_b), max(only_b)), only_a == only_b)


def _differing(first: list[str], second: list[str]) -> tuple[int, int]:
    """Words that must be taken out of each list for the rest to be equal and in the same order."""
    kept = sum(block.size for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks())
    return len(first) - kept, len(second) - kept


def _floor_in_strata(contrast: ExpandedContrast) -> float | None:
    if None in contrast.strata:
        return None
    a = Counter(contrast.strata[: len(contrast.a)])
    b = Counter(contrast.strata[len(contrast.a) :])
    return floor([(a[stratum], b[stratum]) for stratum in dict.fromkeys(contrast.strata)])


@dataclass(frozen=True)
class TokenCheck:
    """The prompts of a probe as one model's tokenizer sees them."""

    model: str
    limit: int
    longest: int
    problems: tuple[str, ...]
    strata: tuple[StratumTokens, ...]


@dataclass(frozen=True)
class ProbeCheck:
    """One probe, looked at before any pass."""

    probe: str
    problems: tuple[str, ...]
    conditions: int = 0
    items: int = 0
    set_sha256: str = ""
    unused: tuple[str, ...] = ()
    """Conditions in no contrast: they cost passes and answer nothing."""
    contrasts: tuple[Design, ...] = ()
    tokens: tuple[TokenCheck, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing keeps the probe from running as written."""
        return not self.problems and not any(check.problems for check in self.tokens)


@dataclass(frozen=True)
class TokenReader:
    """A model's tokenizer, and how many tokens the model reads."""

    model: str
    encode: Encode
    limit: int


def check_probe(path: Path, root: Path, readers: tuple[TokenReader, ...] = ()) -> ProbeCheck:
    """Check the probe file ``path`` by itself and with each reader. Errors in the file become problems."""
    try:
        expansion = expand(read_probe(path), root)
    except InputError as error:
        return ProbeCheck(path.stem, (str(error),))
    designs = tuple(design(contrast, expansion.records) for contrast in expansion.contrasts)
    used = {name for contrast in expansion.contrasts for name in (*contrast.a, *contrast.b)}
    conditions = dict.fromkeys(record.condition for record in expansion.records)
    return ProbeCheck(
        probe=expansion.probe,
        problems=tuple(problem for found in designs for problem in _problems(found)),
        conditions=len(conditions),
        items=len(expansion.records) // len(conditions),
        set_sha256=expansion.set_sha256,
        unused=tuple(name for name in conditions if name not in used),
        contrasts=designs,
        tokens=tuple(_tokens(expansion, reader) for reader in readers),
    )


def _problems(found: Design) -> list[str]:
    if not found.equal_sides:
        return []
    names = ", ".join(found.equal_sides)
    return [f"contrast {found.name}: both sides hold the same prompt for {names}. Fix: reword one of the sides."]


def _tokens(expansion: Expansion, reader: TokenReader) -> TokenCheck:
    prompts = labelled(expansion.records)
    prompts |= {f"reference {item.name}": item.prompt for item in expansion.references if item.prompt is not None}
    return TokenCheck(
        model=reader.model,
        limit=reader.limit,
        longest=max(reader.encode(prompt).length for prompt in prompts.values()),
        problems=tuple(token_problems(prompts, reader.encode, reader.limit)),
        strata=stratum_tokens(expansion.contrasts, expansion.records, reader.encode),
    )
