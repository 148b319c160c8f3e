"""What swaps do in many pairs of passes: resumable, and on as many workers as there are, with the same bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import CheckFailed
from plantain.capture.progress import Progress, shown
from plantain.capture.shards import Arrays, Store
from plantain.capture.workers import share, worker_count
from plantain.causal.clean import CleanPass
from plantain.causal.heads import HeadSet, TokenRoute
from plantain.causal.mediation import RoundingFloor, mediation, relative_change
from plantain.causal.sets import doses_of
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre
from plantain.records.keys import Pass, causal_key, shard_frame, shard_key

Floats = NDArray[np.float64]


class SwapPair(NamedTuple):
    """Two passes of one item in different wordings."""

    recipient: Pass
    donor: Pass


@dataclass(frozen=True)
class SwapMap:
    """What swaps did. ``directions`` is 2 where each pass was put into the other: donor into recipient comes first."""

    pairs: tuple[SwapPair, ...]
    sets: tuple[HeadSet, ...]
    tokens: TokenRoute
    m: Floats
    """(pairs, directions, sets) share of the change that each swap brought about."""
    off_axis: Floats
    """(pairs, directions, sets) size of the rest, in units of the change."""
    change: Floats
    """(pairs, directions) |v_B - v_A| / |v_A|."""
    dose: Floats
    """(pairs, heads) what a swap of each head puts in, for all heads that see the tokens."""

    def mean_m(self) -> Floats:
        """(sets,) m averaged over the pairs and directions of an item, then over items."""
        return self._over_items(self.m.mean(axis=1))

    def mean_ways(self) -> Floats:
        """(directions, sets) m averaged over the pairs of an item, then over items."""
        return self._over_items(self.m)

    def mean_off_axis(self) -> Floats:
        """(sets,) off-axis damage averaged over the pairs and directions of an item, then over items."""
        return self._over_items(self.off_axis.mean(axis=1))

    def mean_dose(self) -> Floats:
        """(heads,) dose averaged over the pairs of an item, then over items."""
        return self._over_items(self.dose)

    def _over_items(self, values: Floats) -> Floats:
        items = np.array([pair.recipient.item for pair in self.pairs])
        means = [values[items == item].mean(axis=0) for item in dict.fromkeys(items.tolist())]
        return np.asarray(np.mean(means, axis=0))


def single_head_mediation(
    theatre: Theatre, pairs: Sequence[SwapPair], *, tokens: TokenRoute = TokenRoute.image, **options: Any
) -> SwapMap:
    """:func:`mediate` of every single head that sees ``tokens``; sets stand in the order of ``theatre.heads(tokens)``.

    ``options`` are those of :func:`mediate`.
    """
    singles = [HeadSet((head,)) for head in theatre.heads(tokens)]
    return mediate(theatre, pairs, singles, tokens=tokens, **options)


def mediate(
    theatre: Theatre,
    pairs: Sequence[SwapPair],
    sets: Sequence[HeadSet],
    *,
    tokens: TokenRoute = TokenRoute.image,
    both: bool = True,
    floor: RoundingFloor | None = None,
    workers: int | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> SwapMap:
    """Swap every one of ``sets`` in every one of ``pairs``. What the store holds is not computed again.

    Args:
        theatre: the model; its prompts and references include those of ``pairs``.
        pairs: recipient and donor of each.
        sets: heads that are swapped together.
        tokens: where.
        both: whether each pass is put into the other, or the donor into the recipient alone.
        floor: pairs whose change is too near to it are refused before anything else; None asks for nothing.
        workers: processes for a small model on a CPU; None for as many as a capture takes.
        store: where finished pairs are kept; None for ``.plantain/causal``.
        progress: told how far it is; None for a bar on a terminal and plain lines elsewhere.

    Raises:
        InputError: a swap that cannot be made, or a pair below the floor.
        CheckFailed: a swap that was not made, or changed nothing.
    """
    with shown(progress) as told:
        work = _Work(theatre, tuple(sets), tokens, both, store or Store("causal", told.note))
        keys = work.keys(pairs)
        found = {key: work.store.read(key) for key in keys}
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if found[key] is None}
        if floor is not None:
            _refuse_small(theatre, floor, list(missing.values()))
        found |= work.compute(missing, workers, told)
    # Every key was computed, or `compute` had refused.
    entries = [entry for key in keys if (entry := found[key]) is not None]
    arrays = {name: np.stack([entry[name] for entry in entries]) for name in ("m", "off_axis", "change", "dose")}
    return SwapMap(tuple(pairs), tuple(sets), tokens, **arrays)


def _refuse_small(theatre: Theatre, floor: RoundingFloor, pairs: Sequence[SwapPair]) -> None:
    for recipient, donor in pairs:
        base, whole = theatre.velocities([recipient])[0], theatre.velocities([donor])[0]
        floor.refuse_change(recipient, donor, relative_change(base, whole))


class _Job(NamedTuple):
    key: str
    pair: SwapPair


@dataclass(frozen=True)
class _Work:
    theatre: Theatre
    sets: tuple[HeadSet, ...]
    tokens: TokenRoute
    both: bool
    store: Store

    def keys(self, pairs: Sequence[SwapPair]) -> list[str]:
        """Key of each pair."""
        theatre = self.theatre
        frame = shard_frame(theatre.lock, theatre.params, 1, theatre.draw, str(theatre.target.device))
        sets = [heads.digest for heads in self.sets]
        how = {"tokens": str(self.tokens), "both": self.both, "batch_size": theatre.batch_size}
        shards = [[shard_key(frame, (one,), theatre.images) for one in pair] for pair in pairs]
        return [causal_key(recipient, donor, sets, how) for recipient, donor in shards]

    @property
    def swaps(self) -> int:
        """Swaps of one pair."""
        return len(self.sets) * (2 if self.both else 1)

    def compute(self, missing: dict[str, SwapPair], workers: int | None, progress: Progress) -> dict[str, Arrays]:
        """Swap in the pairs that are missing; what one of several workers fails to do is done again alone."""
        jobs = [_Job(key, pair) for key, pair in missing.items()]
        if not jobs:
            return {}
        lock, device = self.theatre.lock, str(self.theatre.target.device)
        count = workers or worker_count(lock.components["transformer"], device, len(jobs) * self.swaps)
        progress.phase(f"{lock.name}: swap heads", len(jobs) * self.swaps, "swaps")
        try:
            for several in dict.fromkeys((min(count, len(jobs)), 1)):
                if left := self._left(jobs):
                    share(left, several, partial(_run, self), progress)
        except KeyboardInterrupt:
            done = len(jobs) - len(self._left(jobs))
            progress.note(f"interrupted: {done} of {len(jobs)} pairs are kept; run again to go on from there.")
            raise
        return {job.key: self._stored(job.key) for job in jobs}

    def _left(self, jobs: Sequence[_Job]) -> list[_Job]:
        return [job for job in jobs if not self.store.holds(job.key)]

    def _stored(self, key: str) -> Arrays:
        entry = self.store.read(key)
        if entry is None:
            raise CheckFailed(f"a result vanished from {self.store} after it was written. Fix: run again.")
        return entry

    def of(self, pair: SwapPair, advance: Callable[[int], None]) -> Arrays:
        """What the swaps of one pair do."""
        one, other = self.theatre.clean(pair.recipient), self.theatre.clean(pair.donor)
        ways = [(one, other), (other, one)][: 2 if self.both else 1]
        found = [self._one_way(recipient, donor, advance) for recipient, donor in ways]
        return {
            "m": np.stack([m for m, _ in found]),
            "off_axis": np.stack([off_axis for _, off_axis in found]),
            "change": np.array([relative_change(recipient, donor) for recipient, donor in ways]),
            "dose": doses_of(self.theatre, one, other, self.tokens),
        }

    def _one_way(self, recipient: CleanPass, donor: CleanPass, advance: Callable[[int], None]) -> tuple[Floats, Floats]:
        m, off_axis = np.empty(len(self.sets)), np.empty(len(self.sets))
        edits = [Swap(donor, heads, self.tokens) for heads in self.sets]
        for rows, velocities in self.theatre.swapped_batches(recipient, edits):
            m[rows], off_axis[rows] = mediation(velocities, recipient, donor)
            advance(len(rows))
        return m, off_axis


def _run(work: _Work, jobs: Sequence[_Job], progress: Progress) -> None:
    for job in jobs:
        work.store.write(job.key, work.of(job.pair, progress.advance))
