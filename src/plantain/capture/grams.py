"""From the vectors of finished passes to Gram matrices over conditions, one item at a time.

Vectors are float32, sums and products float64: where conditions differ little, inner products of vectors that are not
centred lose in float32 what the difference consists of. Every sum runs over sorted items, then over references and
seeds in order, and every product is one thread's, so that neither the number of workers or threads nor what was cached
changes a byte.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.capture.assembly import reference_labels
from plantain.capture.shards import Arrays, Store, Vanished
from plantain.probe.records import Record
from plantain.records.activations import TOKENS
from plantain.records.grams import Grams, View, named_tensors, of_kind, profiled, views_of
from plantain.records.keys import Batch, Pass, gram_key
from plantain.records.lock import Geometry

Floats = NDArray[np.float64]


class Job(NamedTuple):
    """One shard to compute, and what else of its passes is wanted."""

    draw: int
    """Position on the draw axis."""
    key: str
    batch: Batch
    vectors: bool = False
    """Whether vectors go into the store beside the shard."""


@dataclass(frozen=True)
class Axes:
    """What is averaged, and over what."""

    conditions: tuple[str, ...]
    references: tuple[str, ...]
    """Labels of the alternatives."""
    seeds: tuple[int, ...]
    subsets: Mapping[str, tuple[str, ...]]
    """Name to items."""

    @classmethod
    def of(cls, records: Sequence[Record], seeds: Sequence[int], subsets: Mapping[str, Sequence[str]] | None) -> "Axes":
        """The axes of a cell; without ``subsets`` there is one of every item.

        Raises:
            ValueError: a subset names an item that no record has.
        """
        items = tuple(dict.fromkeys(record.item for record in records))
        chosen = {"all": items} if subsets is None else {name: tuple(some) for name, some in subsets.items()}
        for name, some in chosen.items():
            if not set(some) <= set(items):
                raise ValueError(f"subset '{name}' names items that are not in the records")
        conditions = tuple(dict.fromkeys(record.condition for record in records))
        return cls(conditions, reference_labels(records), tuple(seeds), chosen)

    @property
    def views(self) -> tuple[View, ...]:
        """The views of the gram file."""
        return views_of(self.seeds, self.references)

    @property
    def profiled(self) -> tuple[str, ...]:
        """The subsets that get a profile."""
        return profiled(self.subsets)

    def place(self, one: Pass) -> tuple[int, int, int]:
        """Where a pass stands among (condition, reference, seed)."""
        return self._places[one.condition], one.alternative, self.seeds.index(one.seed)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.conditions)}

    def key(self, jobs: Sequence[Job]) -> str:
        """Key of the Gram matrices of the draw that ``jobs`` are all of. Names count only by their place."""
        items = {name: index for index, name in enumerate(_items(jobs))}
        shards = [(job.key, [[items[one.item], *self.place(one)] for one in job.batch]) for job in jobs]
        subsets = {name: [items[item] for item in some] for name, some in self.subsets.items()}
        return gram_key(shards, subsets, [len(self.conditions), len(self.references), len(self.seeds)])


class Reduction:
    """The Gram matrices of every draw of a cell: those in the store, and those to be made of stored vectors."""

    def __init__(self, axes: Axes, jobs: Sequence[Job], vectors: Store, grams: Store) -> None:
        """Read what the store holds.

        Args:
            axes: what is averaged, and over what.
            jobs: every shard of the cell.
            vectors: the store of vectors.
            grams: the store of Gram matrices.
        """
        self._axes, self._vectors, self._grams = axes, vectors, grams
        self._jobs: dict[int, list[Job]] = {}
        for job in jobs:
            self._jobs.setdefault(job.draw, []).append(job)
        self._keys = {draw: axes.key(some) for draw, some in self._jobs.items()}
        self._entries = {draw: grams.read(key) for draw, key in self._keys.items()}

    @property
    def lacking(self) -> frozenset[int]:
        """Draws without Gram matrices."""
        return frozenset(draw for draw, entry in self._entries.items() if entry is None)

    def needs(self, job: Job) -> bool:
        """Whether the vectors of a job have to be computed."""
        return job.draw in self.lacking and not self._vectors.holds(job.key)

    def settle(self, draw: int) -> None:
        """Make the Gram matrices of a draw, unless they are there or some of its vectors are not, and drop these."""
        jobs = self._jobs.get(draw, [])
        if draw not in self.lacking or any(self.needs(job) for job in jobs):
            return
        try:
            made = reduce_vectors(jobs, self._axes, self._vectors)
        except Vanished:
            return  # Its vectors are computed again.
        self._grams.write(self._keys[draw], made)
        self._entries[draw] = made
        self._drop(jobs)

    def settle_all(self) -> None:
        """:meth:`settle` of every draw."""
        for draw in self._jobs:
            self.settle(draw)

    def abandon(self) -> None:
        """Remove the vectors of draws that are given up."""
        for draw in self.lacking:
            self._drop(self._jobs[draw])

    def entries(self) -> list[Arrays]:
        """What was made of each draw, in order; those that lack are left out."""
        return [entry for _, entry in sorted(self._entries.items()) if entry is not None]

    def _drop(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._vectors.drop(job.key)


def assemble_grams(
    axes: Axes, entries: list[Arrays], geometry: Geometry, draws: Sequence[int], header: Mapping[str, Any]
) -> Grams:
    """The record of a cell; without ``entries`` it holds no matrices. They are taken out as they are stacked."""
    tensors = _stacked(entries)
    mean = of_kind(tensors, "mean")
    rows = head_rows(geometry)
    return Grams(
        mean=mean,
        profile=of_kind(tensors, "profile"),
        heads={tokens: rows[tokens] for tokens in mean},
        conditions=axes.conditions,
        subsets=axes.subsets,
        views=axes.views,
        draws=tuple(draws),
        header=header,
        profile_subsets=axes.profiled,
    )


def _stacked(entries: list[Arrays]) -> dict[str, NDArray[Any]]:
    """Each array of every draw, (draw, ...); the list is empty afterwards, so that no draw is held twice."""
    count, found = len(entries), dict[str, NDArray[Any]]()
    for draw in reversed(range(count)):
        for name, array in entries.pop().items():
            found.setdefault(name, np.empty((count, *array.shape), array.dtype))[draw] = array
    return found


def head_rows(geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """Token set to the rows of the table of heads whose projection sees it: image before text in each joint block.

    Heads that no text can reach have no vectors.
    """
    text: list[int] = []
    image: list[int] = []
    row = 0
    for one in geometry.in_order:
        own = range(row, row + one.heads)
        row += one.heads
        if one.stream != "image" and not one.dead:
            text.extend(own)
        if one.stream != "text" and not one.dead:
            image.extend(own)
    return {"text": tuple(text), "pad": tuple(text), "noise": tuple(image), "reference": tuple(image)}


def reduce_vectors(jobs: Sequence[Job], axes: Axes, vectors: Store) -> dict[str, NDArray[np.float32]]:
    """The Gram matrices of one draw as :func:`plantain.records.grams.named_tensors`, without the draw axis.

    Raises:
        Vanished: an entry of the store is damaged or gone.
    """
    sums: dict[str, _Sums] = {}
    for item, gathered in _gathered(jobs, axes, vectors):
        for tokens, values in zip(TOKENS, np.moveaxis(gathered, 3, 0), strict=True):
            if not np.isnan(values[..., 0, 0]).all():
                # Where fewer heads see this set than another, the last places are empty in every pass.
                seen = values[..., : int((~np.isnan(values[..., 0]).all(axis=(0, 1, 2))).sum()), :]
                if tokens not in sums:
                    sums[tokens] = _Sums(axes, *seen.shape[3:])
                sums[tokens].add(item, seen)
    ordered = [tokens for tokens in TOKENS if tokens in sums]
    return named_tensors(
        {tokens: sums[tokens].means() for tokens in ordered}, {tokens: sums[tokens].profiles() for tokens in ordered}
    )


def _items(jobs: Sequence[Job]) -> list[str]:
    return sorted({one.item for job in jobs for one in job.batch})


def _gathered(jobs: Sequence[Job], axes: Axes, vectors: Store) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every item and its vectors, (condition, reference, seed, tokens, head, channel), NaN where it has none."""
    rows: dict[str, list[tuple[Job, int, Pass]]] = {item: [] for item in _items(jobs)}
    for job in jobs:
        for row, one in enumerate(job.batch):
            rows[one.item].append((job, row, one))
    # A batch may reach into the next items; it is kept until its last row was taken.
    open_entries: dict[str, NDArray[np.float32]] = {}
    shape = (len(axes.conditions), len(axes.references), len(axes.seeds))
    left = Counter({job.key: len(job.batch) for job in jobs})
    for item, members in rows.items():
        found = None
        for job, row, one in members:
            if job.key not in open_entries:
                open_entries[job.key] = _read(vectors, job.key)
            values = open_entries[job.key][row]
            if found is None:
                found = np.full((*shape, *values.shape), np.nan, dtype=np.float32)
            found[axes.place(one)] = values
            left[job.key] -= 1
            if not left[job.key]:
                del open_entries[job.key]
        if found is not None:
            yield item, found


def _read(vectors: Store, key: str) -> NDArray[np.float32]:
    entry = vectors.read(key)
    if entry is None:
        raise Vanished(f"the vectors of a pass vanished from {vectors} before they were used. Fix: run again.")
    return np.asarray(entry["vectors"])


class _Sums:
    """What is summed over the items of each subset, for one token set."""

    def __init__(self, axes: Axes, heads: int, width: int) -> None:
        count = len(axes.conditions)
        pairs = count * (count + 1) // 2
        self._axes, self._inside = axes, {name: frozenset(some) for name, some in axes.subsets.items()}
        self._total = np.zeros((len(axes.views), len(axes.subsets), count, heads, width))
        self._items = np.zeros((len(axes.views), len(axes.subsets), count), dtype=np.int64)
        self._products = np.zeros((len(axes.views), len(axes.profiled), heads, pairs))
        self._counted = np.zeros((len(axes.views), len(axes.profiled), pairs), dtype=np.int64)

    def add(self, item: str, values: NDArray[np.float32]) -> None:
        """One item's vectors, (condition, reference, seed, head, channel)."""
        inside = [place for place, some in enumerate(self._inside.values()) if item in some]
        profiled = [place for place, name in enumerate(self._axes.profiled) if item in self._inside[name]]
        for at, view in enumerate(self._axes.views):
            vectors, present = _averaged(self._seen(values, view))
            for place in inside:
                self._total[at, place] += vectors
                self._items[at, place] += present
            products = centred_products(vectors, present) if profiled else vectors
            counted = ~np.isnan(products[0])
            for place in profiled:
                self._products[at, place] += products if present.all() else np.where(counted, products, 0.0)
                self._counted[at, place] += counted

    def means(self) -> NDArray[np.float32]:
        """(view, subset, head, pair): Gram matrices of the mean over items."""
        found = [
            [
                centred_products(total / np.maximum(items, 1)[:, None, None], items > 0)
                for total, items in zip(*row, strict=True)
            ]
            for row in zip(self._total, self._items, strict=True)
        ]
        return np.array(found, dtype=np.float32)

    def profiles(self) -> NDArray[np.float32]:
        """(view, subset, head, pair): means of the items' own Gram matrices."""
        count = self._counted[:, :, None]
        return np.where(count > 0, self._products / np.maximum(count, 1), np.nan).astype(np.float32)

    def _seen(self, values: NDArray[np.float32], view: View) -> NDArray[np.float32]:
        if view.seed is not None:
            values = values[:, :, [self._axes.seeds.index(view.seed)]]
        if view.reference is not None:
            values = values[:, [self._axes.references.index(view.reference)]]
        return values


def _averaged(values: NDArray[np.float32]) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean over the references and seeds that a condition has, 0 where it has none, and whether it has one."""
    present = ~np.isnan(values[..., 0, 0])
    if present.all():
        return values.mean(axis=(1, 2), dtype=np.float64), np.ones(len(values), dtype=np.bool_)
    total = np.where(present[..., None, None], values, 0).sum(axis=(1, 2), dtype=np.float64)
    count = present.sum(axis=(1, 2))
    return total / np.maximum(count, 1)[:, None, None], count > 0


def centred_products(vectors: Floats, present: NDArray[np.bool_]) -> Floats:
    """Inner products of every two conditions' vectors, centred over the conditions that are ``present``.

    Args:
        vectors: (condition, head, channel).
        present: (condition,)

    Returns:
        (head, pair), NaN for pairs of a condition that is not present.
    """
    first, second = np.triu_indices(len(vectors))
    if present.all():
        return _products(vectors).take(first * len(vectors) + second, axis=1)
    found = np.full((vectors.shape[1], len(first)), np.nan)
    if present.any():
        places, both = np.cumsum(present) - 1, present[first] & present[second]
        entries = places[first[both]] * int(present.sum()) + places[second[both]]
        found[:, both] = _products(vectors[present]).take(entries, axis=1)
    return found


def _products(vectors: Floats) -> Floats:
    """(condition, head, channel) to (head, condition x condition)."""
    centred = torch.from_numpy((vectors - vectors.mean(axis=0)).transpose(1, 0, 2).copy())
    threads = torch.get_num_threads()
    try:
        # How a product is parted among threads, and so its last bits, depends on their number.
        torch.set_num_threads(1)
        return np.asarray(torch.bmm(centred, centred.transpose(1, 2)).flatten(1).numpy())
    finally:
        torch.set_num_threads(threads)
