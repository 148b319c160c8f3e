"""One network examined: heads chosen on half of the wordings and items, and what they do with the other half.

Everything that is a choice is made on the selection half; the test half alone gives donors, recipients and mediation.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.causal.clean import CleanPass, span_of
from plantain.causal.cost import RANDOM_SETS, SIZES
from plantain.causal.heads import Head, HeadSet, TokenRoute
from plantain.causal.heads_map import SwapPair, mediate, single_head_mediation
from plantain.causal.mediation import relative_change
from plantain.causal.sets import random_alike, top
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign
from plantain.records.keys import Pass

Floats = NDArray[np.float64]
PassOf = Callable[[str, str], Pass]
"""From condition and item to the pass."""


@dataclass(frozen=True)
class Donated:
    """What came out of the test half, a row a wording of a, then of b."""

    plain: tuple[Floats, Floats]
    """Velocities of the wordings themselves, ``(wordings, items x positions x channels)``."""
    patched: tuple[Floats, Floats]
    """Velocities of the neutral sentences with the set of heads from each wording, recipients side by side."""
    heads: HeadSet
    """The set: those of the largest dose on the selection half."""
    doses: Floats
    """``(heads,)`` norm of the projected difference between the sides that survives wordings and items."""
    change: float
    """Relative change of the velocity between the sides, mean over the pairs of the test half."""


@dataclass(frozen=True)
class Curve:
    """Heads swapped together, the first of an order: a description."""

    sizes: tuple[int, ...]
    sufficiency: Floats
    necessity: Floats
    random: Floats


def chosen_count(share: float, heads: int) -> int:
    """How many heads the set has."""
    return max(1, round(share * heads))


def donate(theatre: Theatre, design: CausalDesign, pass_of: PassOf, share: float) -> Donated:
    """Choose heads by dose and put them, from every test wording, into the neutral sentences.

    Args:
        theatre: one network.
        design: halves and recipients.
        pass_of: the passes of the probe.
        share: of the heads, that are in the set.
    """
    every = theatre.heads(TokenRoute.image)
    doses = lasting_doses(theatre, _sides(design.selection.a, design.selection.b, design.selection.items, pass_of))
    chosen = top(every, doses, chosen_count(share, len(every)))
    plain, patched, changes = [], [], []
    for item in design.test.items:
        donors = [theatre.clean(pass_of(name, item)) for name in (*design.test.a, *design.test.b)]
        recipients = [theatre.clean(pass_of(name, item)) for name in design.recipients]
        edits = [Swap(donor, chosen) for donor in donors]
        plain.append(np.stack([_flat(donor.velocity) for donor in donors]))
        patched.append(np.concatenate([_rows(theatre.swapped(one, edits)) for one in recipients], axis=1))
        cut = len(design.test.a)
        changes += [relative_change(one, other) for one, other in zip(donors[:cut], donors[cut:], strict=False)]
    cut = len(design.test.a)
    found = [np.concatenate(rows, axis=1) for rows in (plain, patched)]
    split = [(rows[:cut], rows[cut:]) for rows in found]
    return Donated(split[0], split[1], chosen, doses, float(np.mean(changes)))


def lasting_doses(theatre: Theatre, passes: Iterable[tuple[Pass, float]]) -> Floats:
    """Norm of the projected output difference between the sides that is left after averaging wordings and items.

    Args:
        theatre: one network.
        passes: each with its weight: positive for side a, negative for side b, summing to 1 and -1.

    Returns:
        ``(heads,)`` in the order of ``theatre.heads()``, over image tokens: the root mean square over positions of
        the norm of W_o times the difference.
    """
    every = theatre.heads(TokenRoute.image)
    totals: dict[int, torch.Tensor] = {}
    for one, weight in passes:
        clean = theatre.clean(one)
        for place in every.projections:
            part = weight * _attention(theatre, clean, place)
            totals[place] = totals[place] + part if place in totals else part
    found: dict[Head, float] = {}
    for place, total in totals.items():
        projection = theatre.projections[place]
        weights = projection.module.weight[:, : projection.attention_width].float()
        for head in range(projection.heads):
            channels = slice(head * projection.head_width, (head + 1) * projection.head_width)
            projected = total[:, channels] @ weights[:, channels].T
            found[Head(place, head)] = float(projected.detach().double().square().sum(dim=-1).mean().sqrt())
    return np.array([found[head] for head in every], dtype=np.float64)


def swap_pairs(design: CausalDesign, pass_of: PassOf) -> list[SwapPair]:
    """The pairs of the test half: for every item every second pair of wordings, in turn."""
    wordings = list(zip(design.test.a, design.test.b, strict=False))
    return [
        SwapPair(pass_of(a, item), pass_of(b, item))
        for place, item in enumerate(design.test.items)
        for a, b in wordings[place % 2 :: 2]
    ]


def single_mediation(theatre: Theatre, pairs: Sequence[SwapPair]) -> Floats:
    """``(heads,)``: what every head carries alone, mean over pairs, directions and items."""
    return single_head_mediation(theatre, pairs).mean_m()


def curve(theatre: Theatre, pairs: Sequence[SwapPair], order: Floats, seed: int) -> Curve:
    """Sufficiency and necessity of the heads first in ``order`` (larger is first), beside matched random heads."""
    every = theatre.heads(TokenRoute.image)
    sizes = tuple(size for size in SIZES if size < len(every))
    first = [top(every, order, size) for size in sizes]
    rest = [every.without(heads) for heads in first]
    drawn = [
        random_alike(every, heads, theatre.lock.geometry, seed + at) for heads in first for at in range(RANDOM_SETS)
    ]
    found = mediate(theatre, pairs, [*first, *rest, *drawn]).mean_m()
    count = len(sizes)
    random = found[2 * count :].reshape(count, RANDOM_SETS).mean(axis=1)
    return Curve(sizes, found[:count], 1.0 - found[count : 2 * count], random)


def _sides(a: Sequence[str], b: Sequence[str], items: Sequence[str], pass_of: PassOf) -> Iterable[tuple[Pass, float]]:
    for names, sign in ((a, 1.0), (b, -1.0)):
        for name in names:
            for item in items:
                yield pass_of(name, item), sign / (len(names) * len(items))


def _attention(theatre: Theatre, clean: CleanPass, place: int) -> torch.Tensor:
    span = span_of(clean.layout, TokenRoute.image, theatre.projections[place].stream)
    return clean.attention[place].at(span).float()


def _flat(velocity: torch.Tensor) -> Floats:
    return velocity.double().numpy().ravel()


def _rows(velocities: torch.Tensor) -> Floats:
    return np.asarray(velocities.double().flatten(1).numpy())
