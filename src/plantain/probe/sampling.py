"""Which items stand for a probe where running all of them would cost too much."""

from collections.abc import Sequence

import numpy as np


def sampled_items(items: Sequence[str], count: int) -> tuple[str, ...]:
    """``count`` items evenly spaced over a probe, its first and last among them; all where there are no more."""
    if len(items) <= count:
        return tuple(items)
    return tuple(items[round(place)] for place in np.linspace(0, len(items) - 1, count))
