"""Ways to split items into halves."""

import numpy as np

from plantain.errors import InputError
from plantain.stats.flips import random_stream
from plantain.stats.validate import Bools, Ints

SMALLEST_HALF = 2


def draw_halves(groups: Ints, strata: Ints, splits: int, seed: int) -> Bools:
    """Random halves that keep groups whole and strata even.

    Groups are shuffled within strata and dealt to the halves in turn, the second half getting the odd one out: 12 and
    13 of 25 items.

    Args:
        groups: ``(items,)`` numbers of the groups that stay together.
        strata: ``(items,)`` numbers of the strata, one a group.
        splits: How many splits.
        seed: Seed of the shuffles.

    Returns:
        ``(splits, items)``, true for the first half.

    Raises:
        InputError: A group in two strata, or a half of fewer than 2 items.
    """
    count = int(groups.max()) + 1
    stratum = np.zeros(count, np.int64)
    stratum[groups] = strata
    if (stratum[groups] != strata).any():
        raise InputError("A block has items in two strata.", fix="Give all items of a block one stratum.")
    if splits < 1:
        raise InputError(f"{splits} splits are none.", field="splits")
    keys = random_stream(seed, 3).random_raw(splits * count).reshape(splits, count)
    order = np.argsort(keys, axis=1, kind="stable")
    order = np.take_along_axis(order, np.argsort(stratum[order], axis=1, kind="stable"), axis=1)
    first = np.zeros((splits, count), np.bool_)
    np.put_along_axis(first, order, np.arange(count) % 2 == 1, axis=1)
    halves = np.ascontiguousarray(first[:, groups])
    sizes = halves.sum(axis=1)
    if min(int(sizes.min()), len(groups) - int(sizes.max())) < SMALLEST_HALF:
        raise InputError("A half has fewer than 2 items.", fix="Add items, or use smaller blocks.")
    return halves
