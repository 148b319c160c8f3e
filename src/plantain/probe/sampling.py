"""Which items stand for a probe where running all of them would cost too much."""

from collections.abc import Sequence

import numpy as np


def sampled_items(items: Sequence[str], count: int) -> tuple[str, ...]:
    """``count`` items evenly spaced over a probe, its first and last among them; all where there are no more."""
    if len(items) <= count:
        return tuple(items)
    return tuple(items[round(place)] for place in np.linspace(0, len(items) - 1, count))


def item_subsets(items: Sequence[str], sampled: int) -> dict[str, tuple[str, ...]]:
    """What Gram matrices are averaged over: all items, each of the halves that take turns, the sampled ones."""
    chosen = tuple(items)
    return {"all": chosen, "odd": chosen[::2], "even": chosen[1::2], "sampled": sampled_items(chosen, sampled)}
