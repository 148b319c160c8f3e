"""The compiled loops of a shuffle, apart from what needs none: their compiler takes a while to import."""

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def deal(values, dealt, out, places):  # type: ignore[no-untyped-def] # pragma: no cover
    """Move each entry to the next place of its bucket."""
    for index in range(values.size):
        bucket = dealt[index]
        out[places[bucket]] = values[index]
        places[bucket] += 1


@numba.njit(nogil=True, cache=True)
def fisher_yates(values, draws):  # type: ignore[no-untyped-def] # pragma: no cover
    """Exchange each entry, from the last, with one at or before it."""
    for last in range(values.size - 1, 0, -1):
        other = (np.uint64(draws[last]) * np.uint64(last + 1)) >> np.uint64(32)
        values[last], values[other] = values[other], values[last]
