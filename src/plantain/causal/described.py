"""Rows that describe what heads do and decide nothing: other sets, other donors, other tokens, both ways.

All of it is of the test half; whatever is chosen was chosen on the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from plantain.base.files import six_digits
from plantain.causal.cost import MATCHED, can_match, route_pairs
from plantain.causal.examine import Choice, Floats, PassOf
from plantain.causal.heads import Head, HeadSet, TokenRoute, moved_to
from plantain.causal.heads_map import SwapMap, SwapPair, mediate
from plantain.causal.mediation import mediation
from plantain.causal.sets import dose_matched, doses_of, random_alike
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign
from plantain.records.causal import ChosenHead, RouteRow, SwappedSet
from plantain.records.lock import Geometry

How = Literal["chosen", "kind", "dose", "magnitude", "direction", "probe", "paraphrase"]
TWO_WAYS: Final = ("chosen", "kind", "dose")
"""The sets whose necessity is measured too."""


@dataclass(frozen=True)
class NamedSet:
    """A set of heads, and why it is swapped."""

    how: How
    heads: HeadSet
    of: str = ""
    """The probe whose set it is."""

    @property
    def both(self) -> bool:
        """Whether all others are swapped as well."""
        return self.how in TWO_WAYS


def named_sets(
    every: HeadSet,
    chosen: HeadSet,
    doses: Floats,
    geometry: Geometry,
    seed: int,
    *,
    ruled: Mapping[How, HeadSet],
    others: Mapping[str, HeadSet],
) -> list[NamedSet]:
    """The sets beside the chosen one, which stands first.

    Args:
        every: all heads.
        chosen: the set.
        doses: ``(heads,)`` what a swap of each puts in, on the test half: what sets of like dose are matched by.
        geometry: tells block kinds.
        seed: of the random sets.
        ruled: as many heads chosen by another rule.
        others: probe to its set.
    """
    kinds = [NamedSet("kind", random_alike(every, chosen, geometry, seed + at)) for at in range(MATCHED)]
    count = MATCHED if can_match(len(chosen), len(every)) else 0
    matched = [NamedSet("dose", dose_matched(every, doses, chosen, geometry, seed + at).heads) for at in range(count)]
    rules = [NamedSet(how, heads) for how, heads in ruled.items()]
    return [
        NamedSet("chosen", chosen),
        *kinds,
        *matched,
        *rules,
        *(NamedSet("probe", heads, name) for name, heads in others.items()),
    ]


def with_rests(sets: Sequence[NamedSet], every: HeadSet) -> list[HeadSet]:
    """What is swapped for these: each set, then for some of them all others."""
    return [*(one.heads for one in sets), *(every.without(one.heads) for one in sets if one.both)]


def set_rows(sets: Sequence[NamedSet], ways: Floats, off_axis: Floats, doses: Mapping[Head, float]) -> list[SwappedSet]:
    """A row a set.

    Args:
        sets: the chosen one first.
        ways: ``(directions, swaps)`` what those of :func:`with_rests` mediate.
        off_axis: ``(swaps,)``.
        doses: what a swap of each head puts in.
    """
    rests = iter(range(len(sets), ways.shape[1]))
    found = []
    for at, one in enumerate(sets):
        necessity = 1.0 - float(ways[:, next(rests)].mean()) if one.both else None
        found.append(_row(one, sets[0].heads, ways[:, at], float(off_axis[at]), _total(one.heads, doses), necessity))
    whole = _total(sets[0].heads, doses)
    return [row.model_copy(update={"dose": six_digits(row.dose / whole) if whole else 0.0}) for row in found]


def _row(
    one: NamedSet, chosen: HeadSet, ways: Floats, off_axis: float, dose: float, necessity: float | None
) -> SwappedSet:
    sufficiency = six_digits(float(ways.mean()))
    needed = None if necessity is None else six_digits(necessity)
    return SwappedSet(
        how=one.how,
        of=one.of,
        heads=len(one.heads),
        shared=len(set(one.heads) & set(chosen)),
        into_a=six_digits(float(ways[0])),
        into_b=six_digits(float(ways[1])),
        sufficiency=sufficiency,
        necessity=needed,
        redundancy=None if needed is None else six_digits(sufficiency - needed),
        off_axis=six_digits(off_axis),
        dose=dose,
    )


def _total(heads: HeadSet, doses: Mapping[Head, float]) -> float:
    return sum(doses[head] for head in heads)


def paraphrased(theatre: Theatre, design: CausalDesign, pass_of: PassOf, chosen: Choice, dose: float) -> SwappedSet:
    """The set from another wording of the recipient's own side, once an item and side, along the change of the sides.

    Args:
        theatre: one network.
        design: halves.
        pass_of: the passes of the probe.
        chosen: the set.
        dose: what a swap of it between the sides puts in.
    """
    every, own = list(theatre.heads()), set(chosen.heads)
    m, off_axis, doses = [], [], []
    for place, item in enumerate(design.test.items):
        sides = [
            [theatre.clean(pass_of(side[(place + step) % len(side)], item)) for step in (0, 1)]
            for side in (design.test.a, design.test.b)
        ]
        for (recipient, donor), (other, _) in (sides, sides[::-1]):
            found = mediation(theatre.swapped(recipient, [Swap(donor, chosen.heads)]), recipient, other)
            m.append(float(found.m[0]))
            off_axis.append(float(found.off_axis[0]))
            put = doses_of(theatre, recipient, donor)
            doses.append(sum(float(one) for head, one in zip(every, put, strict=True) if head in own))
    ways = np.array([np.mean(m[0::2]), np.mean(m[1::2])])
    ratio = six_digits(float(np.mean(doses)) / dose) if dose else 0.0
    return _row(NamedSet("paraphrase", chosen.heads), chosen.heads, ways, float(np.mean(off_axis)), ratio, None)


def route_rows(
    theatre: Theatre, pairs: Sequence[SwapPair], chosen: HeadSet, image: SwapMap, place: int, *, referenced: bool
) -> list[RouteRow]:
    """All heads and the set at some tokens alone, in the first pair of every item.

    Args:
        theatre: one network.
        pairs: of the test half.
        chosen: the set, named at image tokens.
        image: what sets did at image tokens in ``pairs``; all heads stand last.
        place: where the set stands there.
        referenced: whether passes have reference tokens.
    """
    first = route_pairs([pair.recipient.item for pair in pairs])
    there = image.m[first].mean(axis=(0, 1))
    found = [_route("image", float(there[-1]), float(there[place]))]
    for tokens in ROUTES if referenced else (TokenRoute.text,):
        sets = [theatre.heads(tokens), moved_to(chosen, tokens, theatre.lock.geometry)]
        m = mediate(theatre, [pairs[at] for at in first], sets, tokens=tokens).mean_m()
        found.append(_route(tokens.value, float(m[0]), float(m[1])))
    return found


ROUTES: Final = (TokenRoute.noise, TokenRoute.reference, TokenRoute.text)
"""The tokens beside all image tokens; without a reference, noise tokens are all image tokens."""


def _route(tokens: str, every: float, chosen: float) -> RouteRow:
    said = {"tokens": tokens, "all_heads": six_digits(every), "chosen": six_digits(chosen)}
    return RouteRow.model_validate(said)


def set_of(heads: Sequence[ChosenHead], geometry: Geometry) -> HeadSet:
    """The set that a table names, at image tokens."""
    joint = geometry.joint_blocks
    return HeadSet(
        tuple(Head(2 * one.block if one.block_kind == "joint" else 2 * joint + one.block, one.head) for one in heads)
    )
