"""The gram file: what direction a head's output has under each condition, without the vectors themselves.

A root mean square is blind to a head that codes something by direction at constant norm. Of every head's mean vector
over a token set, capture keeps what a statistic of directions needs: the matrix of inner products between conditions,
centred over them. Distances, angles and traces between and within groups of conditions all follow from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError, reading, restored
from plantain.records.activations import TOKENS
from plantain.records.tensors import mapped_tensors, write_tensors

SCHEMA: Final = "plantain.grams/1"
PROFILED: Final = ("all", "sampled")
"""Subsets of items that get a profile where a capture has them."""
_AXES: Final = ("draw", "view", "subset", "head", "pair")


class View(NamedTuple):
    """Which passes the vectors are averaged over."""

    seed: int | None
    """A noise seed; None: all of the cell."""
    reference: str | None
    """Label of an alternative; None: all that a condition has."""


EVERYTHING: Final = View(None, None)
"""The first view of every file."""


@dataclass(frozen=True)
class Grams:
    """Gram matrices of the mean vectors of one cell's heads.

    A pair is an entry of the upper triangle, diagonal included, row by row as ``numpy.triu_indices`` gives them. Pairs
    of a condition that has no pass with the token set in a view are NaN; the others are centred without it.
    """

    mean: Mapping[str, NDArray[np.float32]]
    """Token set to (draw, view, subset, head, pair): the Gram matrix of the conditions' vectors, each the mean over the
    subset's items and the view's seeds and references, centred over conditions. Only token sets that some pass has."""
    profile: Mapping[str, NDArray[np.float32]]
    """The same axes: the mean over the subset's items of each item's own Gram matrix, its vectors averaged over the
    view's seeds and references only, each centred over conditions."""
    heads: Mapping[str, tuple[int, ...]]
    """Token set to the rows of ``measure.views.head_streams(groups).table`` whose projection sees it."""
    conditions: tuple[str, ...]
    subsets: Mapping[str, tuple[str, ...]]
    """Name to items, in the order of the subset axis of ``mean``."""
    views: tuple[View, ...]
    """The first is over everything; then one for each seed and reference, where a cell has more than one of them."""
    draws: tuple[int, ...]
    """Seeds of an untrained family's draws; ``(0,)`` for a model with weights."""
    header: Mapping[str, Any] = field(default_factory=dict)
    """Schema, and the digests of prompts, references, model lock and capture."""
    profile_subsets: tuple[str, ...] = ()
    """Names on the subset axis of ``profile``."""

    def __post_init__(self) -> None:
        named = (("mean", self.mean, self.subsets), ("profile", self.profile, self.profile_subsets))
        for what, tensors, subsets in named:
            for tokens, values in tensors.items():
                labels = self._lengths(tokens, len(subsets))
                if values.shape != labels:
                    raise ValueError(f"{what} of '{tokens}' has shape {values.shape}, its labels {labels}")

    def _lengths(self, tokens: str, subsets: int) -> tuple[int, ...]:
        pairs = len(self.conditions) * (len(self.conditions) + 1) // 2
        return len(self.draws), len(self.views), subsets, len(self.heads[tokens]), pairs


def views_of(seeds: Sequence[int], references: Sequence[str]) -> tuple[View, ...]:
    """The views of a cell: everything, then each seed with each reference where there are several."""
    single = [View(seed, reference) for seed in seeds for reference in references]
    return (EVERYTHING, *(single if len(single) > 1 else ()))


def profiled(subsets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Those of ``subsets`` that get a profile."""
    return tuple(name for name in PROFILED if name in subsets)


def write_grams(path: Path, grams: Grams) -> None:
    """Write ``grams`` as safetensors, whole or not at all; equal grams give equal bytes."""
    header = dict(grams.header) | {
        "schema": SCHEMA,
        "axes": list(_AXES),
        "heads": {tokens: list(rows) for tokens, rows in grams.heads.items()},
        "conditions": list(grams.conditions),
        # A list, since canonical JSON sorts the names of a mapping.
        "subsets": [[name, list(items)] for name, items in grams.subsets.items()],
        "profile_subsets": list(grams.profile_subsets),
        "views": [list(view) for view in grams.views],
        "draws": list(grams.draws),
    }
    write_tensors(path, named_tensors(grams.mean, grams.profile), header)


def read_grams(path: Path) -> Grams:
    """Map a gram file.

    Raises:
        InputError: the file is missing, torn, or of another schema.
    """
    if not path.exists():
        fix = "run `dvc repro`, or `dvc pull` where a remote holds it."
        raise InputError("no such gram file.", file=path, fix=fix)
    with reading(path, "Gram matrices", restored(path)):
        header, tensors = mapped_tensors(path)
        if header.get("schema") != SCHEMA:
            fix = "run `dvc repro`: its capture was made by another version of plantain."
            raise InputError(f"schema is {header.get('schema')!r}, not {SCHEMA!r}.", file=path, fix=fix)
        return _grams(tensors, header)


def named_tensors(
    mean: Mapping[str, NDArray[np.float32]], profile: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Both under one name each, ``mean.<token set>`` and ``profile.<token set>``."""
    kinds = {"mean": mean, "profile": profile}
    return {
        f"{kind}.{tokens}": np.ascontiguousarray(values, dtype=np.float32)
        for kind, tensors in kinds.items()
        for tokens, values in tensors.items()
    }


def of_kind(tensors: Mapping[str, NDArray[Any]], kind: str) -> dict[str, NDArray[Any]]:
    """Those of :func:`named_tensors` that are ``mean`` or ``profile``, by token set in the order of :data:`TOKENS`."""
    return {tokens: tensors[f"{kind}.{tokens}"] for tokens in TOKENS if f"{kind}.{tokens}" in tensors}


def _grams(tensors: Mapping[str, NDArray[np.float32]], header: dict[str, Any]) -> Grams:
    return Grams(
        mean=of_kind(tensors, "mean"),
        profile=of_kind(tensors, "profile"),
        heads={tokens: tuple(header["heads"][tokens]) for tokens in TOKENS if tokens in header["heads"]},
        conditions=tuple(header["conditions"]),
        subsets={name: tuple(items) for name, items in header["subsets"]},
        views=tuple(View(*view) for view in header["views"]),
        draws=tuple(header["draws"]),
        header=header,
        profile_subsets=tuple(header["profile_subsets"]),
    )
