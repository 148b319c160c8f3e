"""From the flips asked for to the flips counted: drawn, enumerated, or enumerated beyond what can be stored."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.stats.flips.draw import STORED_FLIPS, FlipSet, draw_flips
from plantain.stats.flips.engine import Query, Tally, tally
from plantain.stats.flips.exact import tally_all
from plantain.stats.flips.quantise import Scores
from plantain.stats.validate import Bools, Floats, Ints

Flips = int | Literal["exact"]


@dataclass(frozen=True)
class Counted:
    """Counts over all flips; unit arrays in the ascending order of the query."""

    hits: Ints
    """``(units,)``: flips that reach the unit's own score."""
    steps: Ints
    """``(units,)``: flips whose successive maximum reaches it."""
    counts: NDArray[np.int32] | None
    """``(flips, thresholds)``, row 0 the identity; None beyond `STORED_FLIPS`."""
    histogram: Ints | None
    """``(thresholds, units + 1)``; only where `counts` is None."""
    observed: Ints
    """``(thresholds,)``: counts of the identity."""
    flips: int
    exact: bool
    space: int

    @property
    def smallest_p(self) -> float:
        """No p-value can be smaller, by the flips counted and by the flips that exist."""
        return max(1 / self.flips, 1 / self.space)


def build_query(scores: Scores, alive: Bools, thresholds: Floats, *, signed: bool) -> tuple[Query, Ints]:
    """The question to put to the flips, and the order of the alive units in it."""
    observed = scores.observed if signed else np.abs(scores.observed)
    places = np.flatnonzero(alive)
    order = places[np.argsort(observed[places], kind="stable")]
    reach = (observed[order] - scores.tolerance).astype(np.int32)
    parts = np.ascontiguousarray(scores.parts[:, order])
    return Query(parts, reach, scores.limits(thresholds).astype(np.int32), signed), order


def count_flips(
    query: Query, flips: Flips, *, unique: bool, seed: int, device: str | None, threads: int | None
) -> Counted:
    """Count over the flips asked for.

    Args:
        query: What to count.
        flips: How many, the identity counted, or ``"exact"``.
        unique: See `plantain.stats.flips.draw.draw_flips`.
        seed: Seed of drawn flips.
        device: Torch device; None for NumPy or Numba.
        threads: Threads of the Numba route.

    Raises:
        InputError: More flips than can be drawn or enumerated.
    """
    blocks = len(query.parts)
    distinct = 1 << (blocks - 1)
    if flips != "exact" and flips < 1:
        raise InputError(f"{flips} flips leave no room for the identity.", fix="Ask for at least 1.", field="flips")
    every = flips == "exact" or (unique and distinct <= flips)
    if every and distinct * (1 + query.signed) > STORED_FLIPS:
        return _enumerated(query, device, threads)
    wanted = distinct if flips == "exact" else flips
    drawn = draw_flips(blocks, wanted, folded=not query.signed, unique=unique or every, seed=seed)
    result = tally(query, drawn, device=device, threads=threads)
    return _from_tally(result, drawn)


def _from_tally(result: Tally, drawn: FlipSet) -> Counted:
    flips, thresholds = result.counts.shape
    counts, histogram = result.counts, None
    observed = counts[0].astype(np.int64)
    if flips > STORED_FLIPS:
        length = len(result.hits) + 1
        columns = [np.bincount(column, minlength=length) for column in counts.T]
        histogram = np.array(columns, np.int64).reshape(thresholds, length)
    stored = None if flips > STORED_FLIPS else counts
    return Counted(result.hits, result.steps, stored, histogram, observed, flips, drawn.exact, drawn.space)


def _enumerated(query: Query, device: str | None, threads: int | None) -> Counted:
    if device is not None:
        raise InputError(
            "Flips beyond what can be stored are enumerated on the processor only.",
            fix="Leave out `device`, or ask for fewer flips.",
            field="device",
        )
    hits, steps, histogram = tally_all(query, threads=threads)
    space = 1 << (len(query.parts) - 1 + query.signed)
    observed = query.observed_counts
    return Counted(hits, steps, None, histogram, observed, space, True, space)
