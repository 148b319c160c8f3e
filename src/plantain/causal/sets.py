"""Ways to choose heads: by a score, at random, or at random with the same dose.

Random words are raw Philox output, so that equal seeds give equal sets on every platform.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.causal.clean import CleanPass, span_of
from plantain.causal.heads import Head, HeadSet, TokenRoute, kind_of
from plantain.causal.theatre import Theatre
from plantain.records.lock import Geometry

Floats = NDArray[np.float64]


def top(heads: HeadSet, scores: Sequence[float] | Floats, k: int) -> HeadSet:
    """The ``k`` heads with the largest scores; of equal ones the first.

    Args:
        heads: candidates.
        scores: (heads,) in the order of ``heads``.
        k: how many.

    Raises:
        InputError: scores of another length, a score that is no number, or ``k`` out of range.
    """
    return _first(heads, -_checked(heads, scores), k)


def bottom(heads: HeadSet, scores: Sequence[float] | Floats, k: int) -> HeadSet:
    """The ``k`` heads with the smallest scores; as :func:`top`."""
    return _first(heads, _checked(heads, scores), k)


def random_alike(heads: HeadSet, like: HeadSet, geometry: Geometry, seed: int) -> HeadSet:
    """As many heads of each block kind as ``like`` has, drawn from ``heads``; some may be those of ``like``.

    Raises:
        InputError: there are not that many.
    """
    wanted = Counter(kind_of(head, geometry) for head in like)
    stream, found = np.random.Philox(seed), list[Head]()
    for kind in sorted(wanted):
        pool = [head for head in heads if kind_of(head, geometry) == kind]
        if len(pool) < wanted[kind]:
            raise InputError(f"there are {len(pool)} heads in {kind} blocks, not {wanted[kind]}.", fix="take fewer.")
        found += [pool[at] for at in _shuffled(stream, len(pool))[: wanted[kind]]]
    return HeadSet(tuple(found))


@dataclass(frozen=True)
class DoseMatch:
    """Heads that are not in a set, of like doses."""

    heads: HeadSet
    dose: float
    """Sum of their doses over that of the set they stand for: 1 for a perfect match."""
    across: int
    """How many are of another block kind, for want of any of their own."""


def dose_matched(
    heads: HeadSet, doses: Sequence[float] | Floats, like: HeadSet, geometry: Geometry, seed: int, *, nearest: int = 6
) -> DoseMatch:
    """For every head of ``like`` one that is not in it, of its block kind, among the ``nearest`` in log dose.

    A set that takes most of the heads of a kind leaves few that could match it; then heads of the other kind stand in,
    and :attr:`DoseMatch.across` and :attr:`DoseMatch.dose` tell how good the match is.

    Args:
        heads: candidates, ``like`` among them.
        doses: (heads,) in the order of ``heads``, as :func:`doses_of`.
        like: the set to be matched.
        geometry: tells block kinds.
        seed: of the draw.
        nearest: from how many one is drawn.

    Raises:
        InputError: more than half of the heads are to be matched; doses of another length or below 0.
    """
    known = dict(zip(heads, np.log(np.maximum(_checked(heads, doses), np.finfo(np.float64).tiny)), strict=True))
    pool = {head for head in heads if head not in like.heads}
    if len(pool) < len(like) or not all(head in known for head in like):
        raise InputError(f"{len(like)} heads of {len(heads)} leave too few to match them.", fix="match fewer.")
    stream, found, across = np.random.Philox(seed), list[Head](), 0
    for at in _shuffled(stream, len(like)):
        head = like.heads[at]
        own = [one for one in pool if kind_of(one, geometry) == kind_of(head, geometry)]
        across += not own
        near = sorted(own or pool, key=lambda one: (abs(known[one] - known[head]), one))[:nearest]
        found.append(near[_shuffled(stream, len(near))[0]])
        pool.remove(found[-1])
    given = dict(zip(heads, np.asarray(doses, dtype=np.float64), strict=True))
    ratio = sum(given[head] for head in found) / max(sum(given[head] for head in like), np.finfo(np.float64).tiny)
    return DoseMatch(HeadSet(tuple(found)), float(ratio), across)


@torch.inference_mode()
def doses_of(theatre: Theatre, recipient: CleanPass, donor: CleanPass, tokens: TokenRoute = TokenRoute.image) -> Floats:
    """How much a swap of each head puts into the residual stream: the mean over tokens of |W_o (donor - recipient)|.

    Returns:
        (heads,) float64, in the order of ``theatre.heads(tokens)``; the same in both directions.
    """
    found: dict[Head, float] = {}
    heads = theatre.heads(tokens)
    for place in heads.projections:
        one = theatre.projections[place]
        span = span_of(recipient.layout, tokens, one.stream)
        change = donor.attention[place].at(span).float() - recipient.attention[place].at(span).float()
        weight = one.module.weight[:, : one.attention_width].float()
        for head in range(one.heads):
            channels = slice(head * one.head_width, (head + 1) * one.head_width)
            projected = change[:, channels] @ weight[:, channels].T
            found[Head(place, head)] = float(projected.norm(dim=-1).double().mean())
    return np.array([found[head] for head in heads], dtype=np.float64)


def _checked(heads: HeadSet, scores: Sequence[float] | Floats) -> Floats:
    found = np.asarray(scores, dtype=np.float64)
    if found.shape != (len(heads),) or np.isnan(found).any():
        what = f"scores of shape {found.shape} for {len(heads)} heads, or one that is no number."
        raise InputError(what, fix="give one number a head, in the order of the set.")
    return found


def _first(heads: HeadSet, keys: Floats, k: int) -> HeadSet:
    if not 0 <= k <= len(heads):
        raise InputError(f"{k} heads of {len(heads)} were asked for.", fix="ask for as many as there are at most.")
    return HeadSet(tuple(heads.heads[at] for at in np.argsort(keys, kind="stable")[:k]))


def _shuffled(stream: np.random.Philox, count: int) -> list[int]:
    return [int(at) for at in np.argsort(np.asarray(stream.random_raw(count)), kind="stable")]
