"""What can be said of a probe before anything is run: words that give a side away, lengths, the smallest p-value."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from plantain.base.errors import InputError
from plantain.base.params import VerdictParams
from plantain.base.yaml import Key, YamlFile
from plantain.probe.authoring.floors import floor_in_strata, floor_of
from plantain.probe.authoring.lengths import EqualLengths, equal_lengths
from plantain.probe.authoring.reach import Reach, reaches
from plantain.probe.clusters import Scheme, design_of
from plantain.probe.copies import contents, shared_side
from plantain.probe.expand import expand
from plantain.probe.lookalike import oddities, skeleton, told_apart
from plantain.probe.node import fields
from plantain.probe.records import ExpandedContrast, Expansion, Record, Tie
from plantain.probe.speaking import speaking
from plantain.probe.spec import Probe, read_probe
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
class ContrastCheck:
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
    alike: tuple[tuple[str, str], ...]
    """Items for which a prompt of each side look the same and are not, and by which characters they differ."""
    floor_items: float
    """Smallest two-sided p-value of flipping the signs of the items, or of their flip blocks."""
    floor: float
    """Smallest two-sided p-value of exchanging the labels of clusters, or of frames."""
    floor_in_strata: float | None
    """The same when labels move within strata only; ``None`` where a wording has no stratum, or a cluster several."""
    has_strata: bool
    """Every wording has one."""
    scheme: Scheme
    """What is exchanged."""
    pieces_a: tuple[tuple[str, ...], ...]
    """The wordings of side a by the piece of evidence that they are."""
    pieces_b: tuple[tuple[str, ...], ...]
    ties: tuple[Tie, ...]
    """Why wordings are one piece."""
    design_problem: str
    """Why nothing can be exchanged; empty where something can."""


def design(contrast: ExpandedContrast, records: Iterable[Record]) -> ContrastCheck:
    """Look at ``contrast`` with the ``records`` of its probe."""
    table: dict[str, dict[str, Record]] = {}
    for record in records:
        table.setdefault(record.item, {})[record.condition] = record
    sides = {item: _sides(contrast, by_condition) for item, by_condition in table.items()}
    worth = design_of(contrast)
    return ContrastCheck(
        name=contrast.name,
        templates_a=len(contrast.a),
        templates_b=len(contrast.b),
        items=len(table),
        own_words_a=_own_words([(a, b) for a, b in sides.values()]),
        own_words_b=_own_words([(b, a) for a, b in sides.values()]),
        changed_words=_changed(sides.values()) if len(contrast.a) == len(contrast.b) == 1 else None,
        equal_sides=tuple(item for item, (a, b) in sides.items() if _contents(a) & _contents(b)),
        alike=tuple((item, said) for item, (a, b) in sides.items() if (said := _alike(a, b))),
        floor_items=0.5 ** (len(set(contrast.flip_blocks or table)) - 1),
        floor=floor_of(worth),
        floor_in_strata=floor_in_strata(worth, contrast.strata),
        has_strata=None not in contrast.strata,
        scheme=worth.scheme,
        pieces_a=_pieces(contrast.a, worth.rows_a),
        pieces_b=_pieces(contrast.b, worth.rows_b),
        ties=worth.ties,
        design_problem=worth.problem,
    )


def _pieces(names: tuple[str, ...], rows: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    pieces: dict[int, list[str]] = {}
    for name, row in zip(names, rows, strict=True):
        pieces.setdefault(row, []).append(name)
    return tuple(map(tuple, pieces.values()))


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case, in order; a hyphen parts two words."""
    return [word.casefold() for word in _WORD.findall(text)]


def _sides(contrast: ExpandedContrast, table: dict[str, Record]) -> tuple[list[Record], list[Record]]:
    return [table[name] for name in contrast.a], [table[name] for name in contrast.b]


def _contents(side: list[Record]) -> set[tuple[str, tuple[str, ...]]]:
    return {(record.prompt, record.reference) for record in side}


def _alike(a: list[Record], b: list[Record]) -> str:
    """By what prompts of the two sides differ that look the same; empty where all that differ can be told apart."""
    seen = {(skeleton(record.prompt), record.reference): record.prompt for record in a}
    for record in b:
        prompt = seen.get((skeleton(record.prompt), record.reference), record.prompt)
        if prompt != record.prompt:
            return told_apart(prompt, record.prompt)
    return ""


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
    """Conditions in no contrast, which cost passes: held out, or forgotten."""
    neutral: tuple[str, ...] = ()
    """Conditions of no side, which say so."""
    notes: tuple[str, ...] = ()
    """What may be meant and may be an accident, each with its line: odd characters, items that share a side, and item
    fields of one side alone."""
    contrasts: tuple[ContrastCheck, ...] = ()
    tokens: tuple[TokenCheck, ...] = ()
    reach: tuple[Reach, ...] = ()
    """How far up the ladder the contrast that speaks can get, with the tokens of each model."""
    equal_lengths: tuple[EqualLengths, ...] = ()
    """Strata that would hold with all tokenizers, of contrasts with enough wordings whose own do not."""

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


def check_probe(
    path: Path,
    root: Path,
    readers: tuple[TokenReader, ...] = (),
    settings: Callable[[Expansion], Iterable[InputError]] = lambda _: (),
    rules: VerdictParams | None = None,
) -> ProbeCheck:
    """Check the probe file ``path`` by itself, with each reader, and with ``settings``, which says what cannot be met.

    Errors in the file become problems. ``rules`` are those of the ladder.
    """
    rules = rules or VerdictParams()
    try:
        probe = read_probe(path)
        expansion = expand(probe, root)
    except InputError as error:
        return ProbeCheck(path.stem, (str(error),))
    designs = tuple(design(contrast, expansion.records) for contrast in expansion.contrasts)
    used = {name for contrast in expansion.contrasts for name in (*contrast.a, *contrast.b)} | {*expansion.neutral}
    tokens = tuple(_tokens(expansion, reader) for reader in readers)
    conditions = dict.fromkeys(record.condition for record in expansion.records)
    return ProbeCheck(
        probe=expansion.probe,
        problems=(
            *(problem for found in designs for problem in _problems(found, probe)),
            *map(str, settings(expansion)),
        ),
        conditions=len(conditions),
        items=len(expansion.records) // len(conditions),
        set_sha256=expansion.set_sha256,
        unused=tuple(name for name in conditions if name not in used),
        neutral=expansion.neutral,
        notes=(*_odd_texts(probe), *_shared_sides(probe, expansion), *_fields_of_one_side(probe)),
        contrasts=designs,
        tokens=tokens,
        reach=reaches(expansion, {found.model: found.strata for found in tokens}, rules),
        equal_lengths=tuple(_lengths(expansion, designs, tokens, readers, rules)),
    )


def _lengths(
    expansion: Expansion,
    designs: Iterable[ContrastCheck],
    tokens: Iterable[TokenCheck],
    readers: Iterable[TokenReader],
    rules: VerdictParams,
) -> Iterator[EqualLengths]:
    """Of contrasts with enough wordings whose own strata do not hold. The one that speaks is never left out."""
    main = speaking(contrast.name for contrast in expansion.contrasts)
    unequal = {stratum.contrast for found in tokens for stratum in found.strata if not stratum.equal}
    encoders = [reader.encode for reader in readers]
    for contrast, found in zip(expansion.contrasts, designs, strict=True):
        within = found.floor_in_strata
        holds = found.name not in unequal and within is not None and within <= rules.alpha
        if encoders and not holds and min(found.templates_a, found.templates_b) >= rules.min_templates:
            lengths = equal_lengths(contrast, expansion.records, encoders)
            if found.name == main or (lengths.floor is not None and lengths.floor <= rules.alpha):
                yield lengths


def _problems(found: ContrastCheck, probe: Probe) -> list[str]:
    problems = []
    if found.equal_sides:
        names = ", ".join(found.equal_sides)
        problems.append(f"contrast {found.name}: both sides hold the same prompt for {names}.{_REWORD}")
    if found.alike:
        item, said = found.alike[0]
        more = f", and so for {len(found.alike) - 1} more" if len(found.alike) > 1 else ""
        problem = f"on the two sides of the contrast '{found.name}' the texts look the same and differ in {said}{more}."
        problems.append(_placed(probe.source, problem, "items", list(probe.items).index(item)) + _REWORD)
    return problems


_REWORD = " Fix: reword one of the sides."


def _odd_texts(probe: Probe) -> Iterator[str]:
    """Every text of the probe with characters that do not look like what they are."""
    for keys, text in _texts(probe):
        if odd := oddities(text):
            yield _placed(probe.source, f"the text holds {', '.join(odd)}.", *keys)


def _texts(probe: Probe) -> Iterator[tuple[tuple[Key, ...], str]]:
    """The texts that prompts are made of, each with its place in the file."""
    for name, reference in probe.references.items():
        if reference.prompt is not None:
            yield ("references", name, "prompt"), reference.prompt
    for name, condition in probe.conditions.items():
        yield ("conditions", name, "prompt"), condition.prompt
    for index, item in enumerate(probe.items.values()):
        yield from ((("items", index, name), text) for name, text in item.fields.items() if isinstance(text, str))


def _shared_sides(probe: Probe, expansion: Expansion) -> Iterator[str]:
    table = contents(expansion)
    for contrast in expansion.contrasts:
        for side, names in (("a", contrast.a), ("b", contrast.b)):
            pairs = shared_side(table, contrast, names)
            if pairs:
                more = f", and so for {len(pairs) - 1} more" if len(pairs) > 1 else ""
                problem = (
                    f"side {side} is the same for the items '{pairs[0][0]}' and '{pairs[0][1]}'{more}: items that "
                    "share a prompt are not independent; `flip_blocks` can say so."
                )
                yield _placed(probe.source, problem, "contrasts", contrast.name)


def _fields_of_one_side(probe: Probe) -> Iterator[str]:
    """Fields that wordings of one side use and none of the other, contrasts with the same ones together.

    A wording that is nothing but a field is left out: such a side is the item's own text, and made to be.
    """
    found: dict[str, list[str]] = {}
    for contrast in probe.contrasts.values():
        a, b = _fields_in(probe, contrast.a), _fields_in(probe, contrast.b)
        own = {"a": sorted(a - b), "b": sorted(b - a)}
        alone = [f"{{{'}, {'.join(names)}}} on side {side} alone" for side, names in own.items() if names]
        if alone:
            found.setdefault(" and ".join(alone), []).append(contrast.name)
    for said, (first, *more) in found.items():
        others = f", and so in {', '.join(more)}" if more else ""
        problem = (
            f"{said}{others}: item by item the sides differ in what that says, and heads may tell them apart by it."
        )
        yield _placed(probe.source, problem, "contrasts", first)


def _fields_in(probe: Probe, names: Iterable[str]) -> set[str]:
    """The item fields in the prompts of wordings, but for prompts that are nothing but a field."""
    prompts = [probe.conditions[name].prompt for name in names]
    return {name for prompt in prompts for name in fields(prompt) if prompt.strip() != f"{{{name}}}"}


def _placed(source: YamlFile | None, problem: str, *keys: Key) -> str:
    """``problem`` after file, line and field."""
    return problem if source is None else str(source.error(problem, *keys))


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
