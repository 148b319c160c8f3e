"""Which wordings of a contrast are one piece of evidence.

A head that answers to words alone moves, with a word that one side uses more than the other, every wording that holds
it. Such wordings are one piece of evidence however many they are, and so are near copies of one sentence; a word that
a single wording uses is noise between wordings, and does no harm. Wordings that hang together are a *cluster*, and a
test exchanges clusters in place of wordings.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from itertools import combinations
from typing import Any, ClassVar, Final

from plantain.base.least import LEAST_FRAMES, LEAST_WORDINGS
from plantain.probe.node import Field, fields, substitute
from plantain.probe.records import ExpandedContrast, Reason, Tie
from plantain.probe.spec import Contrast, Probe

SURPLUS: Final = 2
"""By how many wordings a side must use a word more than the other for the word to tie them.

Sides of unequal size are compared by shares, so that a word which every wording holds ties none.
"""

ALIKE: Final = 0.8
"""Two wordings of which more than this share of all their words is common are copies of each other."""

_WORD: Final = re.compile(r"[^\W_]+")
"""Letters and digits; everything else parts words."""


class Scheme(StrEnum):
    """What a test exchanges."""

    frames = "frames"
    """The two sides within each component of frames and clusters."""
    clusters = "clusters"
    """Whole clusters, freely between the sides."""


@dataclass(frozen=True)
class Design:
    """What the wordings of a contrast are worth as evidence. Labels are in the order of the wordings."""

    clusters_a: tuple[int, ...]
    """The cluster of each wording of side a."""
    clusters_b: tuple[int, ...]
    frames_a: tuple[str | None, ...]
    frames_b: tuple[str | None, ...]
    ties: tuple[Tie, ...]
    least: ClassVar[int] = LEAST_WORDINGS
    """Rows that a side needs: what is asked of wordings that are all independent."""
    problem: str = ""
    """Why nothing can be exchanged, as a sentence; empty where something can."""

    @cached_property
    def _components(self) -> tuple[int, ...]:
        """A label a wording, of a then b: wordings that share a cluster or a frame are in one component."""
        clusters, frames = (*self.clusters_a, *self.clusters_b), (*self.frames_a, *self.frames_b)
        groups = [_having(clusters, label) for label in dict.fromkeys(clusters)]
        groups += [_having(frames, label) for label in dict.fromkeys(frames) if label is not None]
        return components_of(len(clusters), groups)

    @property
    def components_a(self) -> tuple[int, ...]:
        """The component of each wording of side a: wordings of both sides that clusters and frames hold together."""
        return self._components[: len(self.clusters_a)]

    @property
    def components_b(self) -> tuple[int, ...]:
        """The component of each wording of side b."""
        return self._components[len(self.clusters_a) :]

    @property
    def scheme(self) -> Scheme:
        """Frames where every wording has one and enough components hold both sides; else clusters.

        Clusters exchanged freely are right for matched frames too, and blunt: what a frame shares counts as scatter.
        """
        a, b = set(self.components_a), set(self.components_b)
        framed = None not in (*self.frames_a, *self.frames_b)
        return Scheme.frames if framed and a == b and len(a) >= LEAST_FRAMES else Scheme.clusters

    @property
    def rows_a(self) -> tuple[int, ...]:
        """The row that each wording of side a belongs to: its component where frames are exchanged, else its cluster.

        A row of a test is the mean over the wordings of one label on one side.
        """
        return self.components_a if self.scheme is Scheme.frames else self.clusters_a

    @property
    def rows_b(self) -> tuple[int, ...]:
        """The row that each wording of side b belongs to."""
        return self.components_b if self.scheme is Scheme.frames else self.clusters_b

    @property
    def fewest(self) -> int:
        """Rows of the side that has fewer."""
        return min(len(set(self.rows_a)), len(set(self.rows_b)))

    @property
    def enough(self) -> bool:
        """Whether a claim about an idea can be tested."""
        return not self.problem and self.fewest >= self.least

    @property
    def both_sided_frames(self) -> int:
        """Frames with wordings on both sides."""
        return len({*self.frames_a} & {*self.frames_b} - {None})


def design_of(contrast: ExpandedContrast) -> Design:
    """The design of an expanded contrast."""
    cut = len(contrast.a)
    frames_a, frames_b = contrast.frames[:cut], contrast.frames[cut:]
    return Design(
        clusters_a=contrast.clusters[:cut],
        clusters_b=contrast.clusters[cut:],
        frames_a=frames_a,
        frames_b=frames_b,
        ties=contrast.ties,
        problem=_one_sided(frames_a, frames_b),
    )


def _one_sided(a: Sequence[str | None], b: Sequence[str | None]) -> str:
    """Frames that a contrast cuts in two are no frames of it, so that controls may set wordings of one side apart."""
    alone = sorted(name for name in {*a} ^ {*b} if name is not None)
    if not alone or not {*a} & {*b} - {None}:
        return ""
    return f"frame '{alone[0]}' has wordings on one side only, and other frames have them on both"


def clustered(probe: Probe, contrast: Contrast) -> tuple[tuple[int, ...], tuple[Tie, ...]]:
    """The cluster of each wording of ``contrast``, of a then b, and every tie that makes them."""
    names = (*contrast.a, *contrast.b)
    used = {name: _usual_words(probe, name) for name in names}
    ties = [
        *_word_ties(used, contrast.a, contrast.b),
        *_word_ties(used, contrast.b, contrast.a),
        *_copy_ties(probe, used, contrast.a),
        *_copy_ties(probe, used, contrast.b),
        *_frame_ties(probe, contrast.a),
        *_frame_ties(probe, contrast.b),
    ]
    places = {name: place for place, name in enumerate(names)}
    groups = [[places[name] for name in tie.wordings] for tie in ties]
    return components_of(len(names), groups), tuple(ties)


def components_of(size: int, groups: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Labels of ``0 … size - 1``, numbered in order: what one of ``groups`` holds together gets one label."""
    labels = list(range(size))
    for group in groups:
        joined = {labels[place] for place in group}
        labels = [min(joined) if label in joined else label for label in labels]
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return tuple(numbers[label] for label in labels)


def _having(labels: Sequence[Hashable], label: Hashable) -> list[int]:
    return [place for place, one in enumerate(labels) if one == label]


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@cache
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def stems(text: str) -> dict[str, str]:
    """The stems of the words of ``text``, each with the word as it is written, in lower case."""
    return {_stem(word): word for word in _WORD.findall(text.casefold())}


def _usual_words(probe: Probe, name: str) -> dict[str, str]:
    """The words of a wording: those of its template, and of each field what most of the items' values share."""
    template = probe.conditions[name].prompt
    found = stems(substitute(template, dict.fromkeys(fields(template), " ")))
    for field in fields(template):
        found |= _common([item.values[field] for item in probe.items.values()])
    return found


def _common(values: Sequence[Field]) -> dict[str, str]:
    """Words in more than half of ``values``."""
    counts: Counter[str] = Counter()
    written: dict[str, set[str]] = {}
    for value in values:
        for stem, word in stems(str(value)).items():
            counts[stem] += 1
            written.setdefault(stem, set()).add(word)
    return {stem: min(written[stem]) for stem, count in counts.items() if 2 * count > len(values)}


def _word_ties(used: Mapping[str, Mapping[str, str]], own: Sequence[str], other: Sequence[str]) -> Iterator[Tie]:
    """Ties of the wordings of ``own`` by a word that it uses in so many more wordings than ``other`` of its size."""
    here, there = (Counter(stem for name in side for stem in used[name]) for side in (own, other))
    for stem in sorted(here):
        if (here[stem] * len(other) - there[stem] * len(own)) >= SURPLUS * len(other):
            holders = tuple(name for name in own if stem in used[name])
            yield Tie(Reason.word, holders, "/".join(sorted({used[name][stem] for name in holders})), there[stem])


def _copy_ties(probe: Probe, used: Mapping[str, Mapping[str, str]], side: Sequence[str]) -> Iterator[Tie]:
    for first, second in combinations(side, 2):
        if _copies(probe, used, first, second):
            yield Tie(Reason.copy, (first, second), "")


def _copies(probe: Probe, used: Mapping[str, Mapping[str, str]], first: str, second: str) -> bool:
    """Whether two wordings are nearly the same for most items.

    The values of a field that both use are the same words in both, and say nothing. A field that only one of them uses
    is read item by item, so that sentences that stand whole in the items are compared as they are.
    """
    own = {name: set(fields(probe.conditions[name].prompt)) for name in (first, second)}
    fields_a, fields_b = sorted(own[first] - own[second]), sorted(own[second] - own[first])
    items = list(probe.items.values()) if fields_a or fields_b else list(probe.items.values())[:1]
    alike = 0
    for item in items:
        a = {*used[first], *_written(item.values, fields_a)}
        b = {*used[second], *_written(item.values, fields_b)}
        alike += a == b or len(a & b) > ALIKE * len(a | b)
    return 2 * alike > len(items)


def _written(values: Mapping[str, Field], names: Iterable[str]) -> set[str]:
    return {stem for name in names for stem in stems(str(values[name]))}


def _frame_ties(probe: Probe, side: Sequence[str]) -> Iterator[Tie]:
    framed: dict[str, list[str]] = {}
    for name in side:
        if (frame := probe.conditions[name].frame) is not None:
            framed.setdefault(frame, []).append(name)
    for frame, names in framed.items():
        if len(names) > 1:
            yield Tie(Reason.frame, tuple(names), frame)
