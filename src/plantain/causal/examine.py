"""One network examined: heads chosen on half of the wordings and items, and what they do with the other half.

Everything that is a choice is made on the selection half; the test half alone gives donors, recipients and mediation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.causal.clean import CleanPass, span_of
from plantain.causal.cost import RANDOM_SETS, chosen_count, curve_sizes, swapped_wordings
from plantain.causal.heads import Head, HeadSet, TokenRoute
from plantain.causal.heads_map import SwapMap, SwapPair, single_head_mediation
from plantain.causal.mediation import relative_change
from plantain.causal.sets import random_alike, top
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign, Half
from plantain.records.keys import Pass
from plantain.records.lock import Geometry

Floats = NDArray[np.float64]
PassOf = Callable[[str, str], Pass]
"""From condition and item to the pass."""


@dataclass(frozen=True)
class Choice:
    """The heads of the largest dose on the selection half."""

    heads: HeadSet
    doses: Floats
    """``(heads,)`` norm of the projected difference between the sides that survives wordings and items."""


@dataclass(frozen=True)
class Donated:
    """Inner products of what came out of the test half, ``(donors, donors)``: those of side a, then of side b.

    Velocities of all items lie side by side, and the mean over donors is taken out.
    """

    plain: Floats
    """Of the wordings themselves."""
    patched: tuple[Floats, ...]
    """Of the neutral sentences, recipients side by side, with every set of heads from each wording."""
    decoys: Mapping[str, Floats]
    """The same with the first set from wordings of a control."""
    change: float
    """Relative change of the velocity between the sides, mean over the pairs of the test half."""


@dataclass(frozen=True)
class Curve:
    """Heads swapped together, the first of an order: a description. The last size is all heads."""

    sizes: tuple[int, ...]
    sufficiency: Floats
    necessity: Floats
    random: Floats


def choose(theatre: Theatre, half: Half, pass_of: PassOf, share: float) -> Choice:
    """Choose heads by dose.

    Args:
        theatre: one network.
        half: wordings and items to choose on.
        pass_of: the passes of the probe.
        share: of the heads, that are in the set.
    """
    every = theatre.heads(TokenRoute.image)
    doses = lasting_doses(theatre, _sides(half.a, half.b, half.items, pass_of))
    return Choice(top(every, doses, chosen_count(share, len(every))), doses)


def donate(theatre: Theatre, design: CausalDesign, pass_of: PassOf, sets: Sequence[HeadSet]) -> Donated:
    """Put sets of heads, from every test wording, into the neutral sentences; the first set from decoys too.

    Args:
        theatre: one network.
        design: donors, decoys and recipients.
        pass_of: the passes of the probe.
        sets: heads that are swapped together.
    """
    own, cut = (*design.test.a, *design.test.b), len(design.test.a)
    plain, patched = _Inner(len(own)), tuple(_Inner(len(own)) for _ in sets)
    decoys = {name: _Inner(len(half.a) + len(half.b)) for name, half in design.decoys.items()}
    changes = []
    for item in design.test.items:
        donors = [theatre.clean(pass_of(name, item)) for name in own]
        recipients = [theatre.clean(pass_of(name, item)) for name in design.recipients]
        plain.add(np.stack([_flat(donor.velocity) for donor in donors]))
        for found, rows in zip(patched, _put(theatre, recipients, donors, sets), strict=True):
            found.add(rows)
        changes += [relative_change(one, other) for one, other in zip(donors[:cut], donors[cut:], strict=False)]
        del donors  # Each holds what all its heads gave: gigabytes in a large model.
        for name, half in design.decoys.items():
            strange = [theatre.clean(pass_of(one, item)) for one in (*half.a, *half.b)]
            decoys[name].add(_put(theatre, recipients, strange, sets[:1])[0])
    return Donated(
        plain.products,
        tuple(one.products for one in patched),
        {name: one.products for name, one in decoys.items()},
        float(np.mean(changes)),
    )


def _put(
    theatre: Theatre, recipients: Sequence[CleanPass], donors: Sequence[CleanPass], sets: Sequence[HeadSet]
) -> list[Floats]:
    """Velocities of one item, ``(donors, recipients x positions x channels)``, one array a set."""
    edits = [Swap(donor, heads) for heads in sets for donor in donors]
    found = np.concatenate([_rows(theatre.swapped(one, edits)) for one in recipients], axis=1)
    return list(found.reshape(len(sets), len(donors), -1))


class _Inner:
    """Inner products of rows that come piece by piece: items add."""

    def __init__(self, rows: int) -> None:
        self.products = np.zeros((rows, rows))

    def add(self, rows: Floats) -> None:
        """Add a piece, ``(rows, dimensions)``, its mean over rows taken out.

        Sums and no products of matrices: no library's number of threads changes a bit.
        """
        moved = rows - rows.mean(axis=0)
        self.products += np.stack([(moved * one).sum(axis=1) for one in moved])


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
    return [SwapPair(pass_of(a, item), pass_of(b, item)) for item, a, b in swapped_wordings(design)]


def single_mediation(theatre: Theatre, pairs: Sequence[SwapPair]) -> SwapMap:
    """What every head carries alone."""
    return single_head_mediation(theatre, pairs)


def curve_sets(every: HeadSet, order: Floats, geometry: Geometry, seed: int) -> list[HeadSet]:
    """The sets of a size curve: the heads first in ``order`` (larger is first), all others, matched random ones.

    For every size its first heads, then for every size the others, then for every size :data:`RANDOM_SETS` random
    sets; and last all heads.
    """
    first = [top(every, order, size) for size in curve_sizes(len(every))]
    rest = [every.without(heads) for heads in first]
    drawn = [random_alike(every, heads, geometry, seed + at) for heads in first for at in range(RANDOM_SETS)]
    return [*first, *rest, *drawn, every]


def curve(mean_m: Floats, heads: int) -> Curve:
    """The size curve from what the sets of :func:`curve_sets` mediate, ``(sets,)``."""
    sizes = curve_sizes(heads)
    count, whole = len(sizes), mean_m[-1:]
    random = mean_m[2 * count : -1].reshape(count, RANDOM_SETS).mean(axis=1)
    return Curve(
        (*sizes, heads),
        np.concatenate([mean_m[:count], whole]),
        np.append(1.0 - mean_m[count : 2 * count], 1.0),  # Where all heads are swapped, nobody else carries anything.
        np.concatenate([random, whole]),
    )


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
