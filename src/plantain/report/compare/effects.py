"""The effect of a result at the number of pairs that all results have, with an interval over items.

A count of heads over a threshold grows with the square root of N, and a median of absolute means shrinks towards the
true one: whatever is set beside another is what so many pairs would give.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from plantain.base.files import six_digits
from plantain.report.result import Analysis, Result

SUBSETS: Final = 200
"""Random subsets of the pairs that a mean at fewer of them is taken over."""
LEVEL: Final = 0.95


@dataclass(frozen=True)
class EqualEffect:
    """Median over heads of the absolute mean difference over ``pairs`` pairs, in the measure's own units."""

    pairs: int
    value: float
    """The mean over random subsets of so many pairs; where that is all of them, the observed one."""
    low: float | None
    """Ends of an interval that holds what so many pairs give on average, 95%; None where it cannot be told."""
    high: float | None


def effect_at(result: Result, count: int) -> EqualEffect | None:
    """The effect of what stands first with ``count`` of the pairs; None where differences are not stored.

    The interval is the jackknife's over items, or over flip blocks where the contrast has them: items of one block are
    no independent draws. It says how much other items like these would change the number; other wordings, seeds and
    images are not among them. Its coverage is simulated in ``studies/halved.py``.
    """
    frame = result.main.differences
    if frame is None:
        return None
    return equal_effect(frame.drop("item").to_numpy(), count, _blocks(result, result.main, frame["item"].to_list()))


def equal_effect(differences: np.ndarray, count: int, blocks: np.ndarray) -> EqualEffect | None:
    """The same for an array.

    Args:
        differences: (items, units), side a minus side b.
        count: How many items; at most those that there are.
        blocks: (items,) labels; items of one label are drawn and left out together.

    Returns:
        None where no unit has any difference.
    """
    values = differences[:, (differences != 0).any(axis=0)]
    if not values.size:
        return None
    count = min(count, len(values))
    number = _median(values) if count == len(values) else float(_over_subsets(values, count, blocks).mean())
    half = _half_width(values, blocks)
    low, high = (None, None) if half is None else (max(0.0, number - half), number + half)
    return EqualEffect(count, six_digits(number), *(None if end is None else six_digits(end) for end in (low, high)))


def _median(values: np.ndarray) -> float:
    return float(np.median(np.abs(values.mean(axis=0))))


def _over_subsets(values: np.ndarray, count: int, blocks: np.ndarray) -> np.ndarray:
    """(subsets,) the median over random subsets of ``count`` items; blocks come whole, but for the last one."""
    rng = np.random.Generator(np.random.Philox(count))
    place = {name: at for at, name in enumerate(dict.fromkeys(blocks.tolist()))}
    label = np.array([place[name] for name in blocks.tolist()])
    weights = np.zeros((SUBSETS, len(values)))
    for row in weights:
        row[np.argsort(rng.permutation(len(place))[label], kind="stable")[:count]] = 1 / count
    found: np.ndarray = np.median(np.abs(weights @ values), axis=1)
    return found


def _half_width(values: np.ndarray, blocks: np.ndarray) -> float | None:
    """Half of the interval by Student's t, from medians over halves of the items; None with fewer than four blocks.

    The jackknife that leaves out half (Shao & Wu 1989): that which leaves out one item is wrong for a median.
    """
    number = len(np.unique(blocks))
    if number < 4:
        return None
    from scipy.special import stdtrit

    kept = len(values) // 2
    spread = _over_subsets(values, kept, blocks).std(ddof=1)
    return float(stdtrit(number - 1, (1 + LEVEL) / 2) * spread * np.sqrt(kept / (len(values) - kept)))


def _blocks(result: Result, analysis: Analysis, items: Sequence[str]) -> np.ndarray:
    """The flip block of every item; its own where the contrast has none."""
    declared = result.declared.get("contrasts") or {}
    field = (declared.get(analysis.contrast) or {}).get("flip_blocks")
    if field is None or field not in result.records.columns:
        return np.asarray(items)
    known = dict(result.records.select("item", field).unique().iter_rows())
    return np.asarray([str(known.get(item, item)) for item in items])
