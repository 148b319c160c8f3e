"""Which wordings carry which concept: relabellings within strata."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.stats.flips.draw import random_stream
from plantain.stats.validate import Bools, Ints

MOST_TEMPLATES = 64


@dataclass(frozen=True)
class Labellings:
    """Relabellings of wordings; row 0 is the observed one."""

    side_a: NDArray[np.float64]
    """``(labellings, wordings)``: 1 where a wording is labelled a, else 0."""
    exact: bool
    """Every relabelling of the space is here once."""
    space: int
    """Distinct relabellings; where swapping the sides is one of them, a labelling and its swap count as one."""


def relabel(observed: Bools, strata: Ints, permutations: int, seed: int) -> Labellings:
    """All relabellings that keep the sides' sizes within every stratum, or distinct ones drawn at random.

    Args:
        observed: ``(wordings,)``, true for side a.
        strata: ``(wordings,)`` stratum numbers.
        permutations: How many are wanted, the observed one counted; all of them where there are no more.
        seed: Seed of the draws.

    Raises:
        InputError: More than 64 wordings, or no room for the observed labels.
    """
    if len(observed) > MOST_TEMPLATES or permutations < 1:
        raise InputError(f"{len(observed)} wordings and {permutations} permutations are out of range.")
    return _relabelled(observed.astype(np.bool_).tobytes(), strata.astype(np.int64).tobytes(), permutations, seed)


@lru_cache(maxsize=8)  # a ladder asks for the same ones again and again, and listing them takes as long as counting
def _relabelled(sides: bytes, groups: bytes, permutations: int, seed: int) -> Labellings:
    observed, strata = np.frombuffer(sides, np.bool_), np.frombuffer(groups, np.int64)
    members = [np.flatnonzero(strata == stratum) for stratum in range(int(strata.max()) + 1)]
    sizes = [int(observed[member].sum()) for member in members]
    balanced = all(2 * size == len(member) for size, member in zip(sizes, members, strict=True))
    every = math.prod(math.comb(len(member), size) for size, member in zip(sizes, members, strict=True))
    space = every // 2 if balanced else every
    exact = space <= permutations
    codes = _all(members, sizes) if exact else _drawn(observed, members, permutations, balanced, seed)
    own = _code(observed[None])[0]
    if balanced:
        codes = _folded(codes, own, len(observed))
    rest = codes[codes != own]
    rows = np.concatenate([[own], np.unique(rest) if exact else rest]).astype(np.uint64)
    labels = _labels(rows, len(observed)).astype(np.float64)
    labels.flags.writeable = False
    return Labellings(labels, exact, space)


def _all(members: list[Ints], sizes: list[int]) -> NDArray[np.uint64]:
    choices = [_choices(member, size) for member, size in zip(members, sizes, strict=True)]
    return np.array([sum(choice) for choice in itertools.product(*choices)], dtype=np.uint64)


def _choices(member: Ints, size: int) -> list[int]:
    return [sum(1 << int(place) for place in chosen) for chosen in itertools.combinations(member, size)]


def _drawn(observed: Bools, members: list[Ints], wanted: int, balanced: bool, seed: int) -> NDArray[np.uint64]:
    """The first distinct codes of a stream of random relabellings, the observed one first."""
    kept = own = _code(observed[None])
    for labels in _shuffles(observed, members, wanted, seed):
        codes = _code(labels)
        kept = np.concatenate([kept, _folded(codes, own[0], len(observed)) if balanced else codes])
        _, first = np.unique(kept, return_index=True)
        kept = kept[np.sort(first)]
        if len(kept) >= wanted:
            break
    return kept[:wanted]


def _shuffles(observed: Bools, members: list[Ints], size: int, seed: int) -> Iterator[Bools]:
    stream = random_stream(seed, 2)
    while True:
        labels = np.zeros((size, len(observed)), np.bool_)
        for member in members:
            keys = stream.random_raw(size * len(member)).reshape(size, len(member))
            labels[:, member] = observed[member][np.argsort(keys, axis=1, kind="stable")]
        yield labels


def _code(labels: Bools) -> NDArray[np.uint64]:
    weights = np.uint64(1) << np.arange(labels.shape[1], dtype=np.uint64)
    codes: NDArray[np.uint64] = (labels * weights).sum(axis=1, dtype=np.uint64)
    return codes


def _labels(codes: NDArray[np.uint64], templates: int) -> Bools:
    return np.asarray((codes[:, None] >> np.arange(templates, dtype=np.uint64)) & np.uint64(1), dtype=np.bool_)


def _folded(codes: NDArray[np.uint64], own: np.uint64, templates: int) -> NDArray[np.uint64]:
    """Each code or its swap, whichever labels the first wording as observed."""
    whole = np.uint64((1 << templates) - 1)
    swapped = (codes & np.uint64(1)) != (own & np.uint64(1))
    return np.where(swapped, codes ^ whole, codes)
