"""Which wordings choose heads, which of them give their outputs, and into which these are put. Needs no torch."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from plantain.base.least import LEAST_WORDINGS
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.sampling import sampled_items
from plantain.probe.spec import Role


@dataclass(frozen=True)
class Half:
    """Half of the wordings of a contrast, and half of its items."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    clusters: tuple[int, ...]
    """A label a wording, of a then b."""
    items: tuple[str, ...]

    def clusters_of(self, side: int) -> tuple[int, ...]:
        """The labels of the wordings of a (0) or of b (1)."""
        cut = len(self.a)
        return self.clusters[cut:] if side else self.clusters[:cut]


@dataclass(frozen=True)
class CausalDesign:
    """Two halves without a wording or an item in common, and where outputs are put."""

    selection: Half
    """What heads are chosen on."""
    test: Half
    """What gives the outputs, and what is measured."""
    recipients: tuple[str, ...]
    """Neutral wordings."""
    problem: str = ""
    """Why nothing can be tested; empty where something can."""
    decoys: Mapping[str, Half] = field(default_factory=dict)
    """Control to wordings of it that are donors as well, on the items of the test half: a description."""

    @property
    def conditions(self) -> set[str]:
        """Every wording that is run."""
        halves = (self.selection, self.test, *self.decoys.values())
        return {*self.recipients, *(name for half in halves for name in (*half.a, *half.b))}

    def records(self, records: Iterable[Record]) -> tuple[Record, ...]:
        """The records that are run."""
        items = {*self.selection.items, *self.test.items}
        return tuple(one for one in records if one.condition in self.conditions and one.item in items)


MOST_DECOYS = 2
"""Controls whose wordings are donors as well: what a third would add is not worth its passes."""


def causal_design(
    contrast: ExpandedContrast,
    neutral: Sequence[str],
    items: Sequence[str],
    most_items: int,
    *,
    contrasts: Sequence[ExpandedContrast] = (),
    records: Iterable[Record] = (),
) -> CausalDesign:
    """How the wordings of a contrast are halved.

    Wordings of one frame or one cluster stay in one half; frames take turns. Either half needs four clusters a side, so
    that an exchange of labels has a p of 1/35 at best.

    Args:
        contrast: the two sides.
        neutral: conditions of no side, which take the same items.
        items: of the probe, in order; the first, third, … choose, the others test.
        most_items: of either half at most so many, evenly spaced.
        contrasts: all of the probe: its deciding controls give decoy donors, or where none decides, its first control.
        records: all of the probe: a decoy is put into the same sentences, so it must have their references.
    """
    halves = _halved(contrast)
    chosen = [sampled_items(items[start::2], most_items) for start in (0, 1)]
    selection, test = (_half(contrast, half, own) for half, own in zip(halves, chosen, strict=True))
    found = CausalDesign(selection, test, tuple(neutral), _problem(selection, test, neutral))
    return found if found.problem else replace(found, decoys=_decoys(contrast, contrasts, found, tuple(records)))


def _decoys(
    target: ExpandedContrast, contrasts: Sequence[ExpandedContrast], design: CausalDesign, records: Sequence[Record]
) -> dict[str, Half]:
    """Controls that share no wording with the target, and have two or more a side."""
    own = {*target.a, *target.b}
    controls = [one for one in contrasts if one.role is Role.control and not own & {*one.a, *one.b}]
    controls = [one for one in controls if min(len(one.a), len(one.b)) >= 2 and _alike(one, design, records)]
    deciding = [one for one in controls if one.decides is not None]
    return {one.name: _donors(one, design.test.items) for one in (deciding or controls[:1])[:MOST_DECOYS]}


def _alike(control: ExpandedContrast, design: CausalDesign, records: Sequence[Record]) -> bool:
    """Whether a control's wordings have the references of the sentences that they are put into."""
    shown = {(one.condition, one.item): one.reference for one in records if one.item in design.test.items}
    wanted = [shown.get((design.recipients[0], item)) for item in design.test.items]
    return all([shown.get((name, item)) for item in design.test.items] == wanted for name in (*control.a, *control.b))


def _donors(control: ExpandedContrast, items: tuple[str, ...]) -> Half:
    """As many wordings as the target's donors are where half of them are enough, else all."""
    half = _half(control, _halved(control)[1], items)
    enough = half.a and half.b and _clusters(half) >= LEAST_WORDINGS
    return half if enough else _half(control, set(range(len(control.a) + len(control.b))), items)


def _halved(contrast: ExpandedContrast) -> tuple[set[int], set[int]]:
    """Places of the wordings, of a then b, in either half."""
    groups = _groups(contrast)
    return (
        {place for group in groups[0::2] for place in group},
        {place for group in groups[1::2] for place in group},
    )


def _groups(contrast: ExpandedContrast) -> list[set[int]]:
    """Wordings that share a frame or a cluster, in order of the first of them; alone, those of both sides in turn."""
    names = (*contrast.a, *contrast.b)
    cut = len(contrast.a)
    labels: list[Hashable] = [
        ("frame", frame) if frame is not None else ("place", at if at < cut else at - cut)
        for at, frame in enumerate(contrast.frames)
    ]
    found: list[set[int]] = []
    for place in range(len(names)):
        alike = {at for at in range(len(names)) if labels[at] == labels[place]}
        alike |= {at for at in range(len(names)) if contrast.clusters[at] == contrast.clusters[place]}
        joined = [group for group in found if group & alike]
        for group in joined:
            found.remove(group)
            alike |= group
        found.append(alike)
    return sorted(found, key=min)


def _half(contrast: ExpandedContrast, places: set[int], items: tuple[str, ...]) -> Half:
    names, cut = (*contrast.a, *contrast.b), len(contrast.a)
    ordered = sorted(places)
    return Half(
        a=tuple(names[at] for at in ordered if at < cut),
        b=tuple(names[at] for at in ordered if at >= cut),
        clusters=tuple(contrast.clusters[at] for at in ordered),
        items=items,
    )


def _problem(selection: Half, test: Half, neutral: Sequence[str]) -> str:
    fewest = min(_clusters(half) for half in (selection, test))
    if fewest < LEAST_WORDINGS:
        return (
            f"{2 * LEAST_WORDINGS} independent wordings a side are needed, half to choose heads on and half to test "
            f"them with; a half has {fewest}"
        )
    if not neutral:
        return "no wording says `role: neutral`: heads are put into sentences of neither side"
    if min(len(selection.items), len(test.items)) < 2:
        return "four items are needed, half to choose heads on and half to test them with"
    return ""


def _clusters(half: Half) -> int:
    """Clusters of the side that has fewer."""
    first = len(half.a)
    return min(len(set(half.clusters[:first])), len(set(half.clusters[first:])))
