"""Strata that would hold: the wordings of a contrast by the tokens that they were counted to have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from plantain.probe.authoring.floors import floor_in_strata
from plantain.probe.clusters import design_of
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.tokens import Encode


@dataclass(frozen=True)
class EqualLengths:
    """The wordings of one contrast, by token count: in every group all are equally long for every item."""

    contrast: str
    groups: tuple[tuple[str, ...], ...]
    tokens: tuple[tuple[tuple[int, int], ...], ...]
    """Of each group, fewest and most tokens over the items, for each tokenizer."""
    floor: float | None
    """Smallest p of exchanging labels within these groups; None where a piece of evidence lies in several."""


def equal_lengths(contrast: ExpandedContrast, records: Iterable[Record], encoders: Sequence[Encode]) -> EqualLengths:
    """Group the wordings of ``contrast`` that are equally long for every item with every one of ``encoders``."""
    names = (*contrast.a, *contrast.b)
    prompts: dict[str, list[str]] = {name: [] for name in names}
    for record in records:
        if record.condition in prompts:
            prompts[record.condition].append(record.prompt)
    counts = {name: _counts(prompts[name], encoders) for name in names}
    groups: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for name in names:
        groups.setdefault(counts[name], []).append(name)
    ordered = sorted(groups, key=lambda one: [sum(each) for each in one])
    return EqualLengths(
        contrast=contrast.name,
        groups=tuple(tuple(groups[one]) for one in ordered),
        tokens=tuple(tuple((min(each), max(each)) for each in one) for one in ordered),
        floor=floor_in_strata(design_of(contrast), _labels(names, groups.values())),
    )


def _counts(prompts: Sequence[str], encoders: Sequence[Encode]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(encode(prompt).length for prompt in prompts) for encode in encoders)


def _labels(names: Sequence[str], groups: Iterable[Sequence[str]]) -> list[str]:
    label: Mapping[str, str] = {name: str(number) for number, group in enumerate(groups) for name in group}
    return [label[name] for name in names]
