"""Which wordings are exchanged with which: clusters become one row, frames are exchanged within themselves.

Wordings of one side that share what the other side never uses, or that are near copies, are one piece of evidence:
taken for several, they pass the test of wordings without any effect. Wordings of both sides that come in one frame (the
same sentence, one phrase changed) vary together: exchanged freely, their shared variation hides the difference.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.least import LEAST_FRAMES
from plantain.stats.signflip import Labels
from plantain.stats.validate import Bools, Floats, Ints, as_groups

Exchanged = Literal["frames", "clusters"]


@dataclass(frozen=True)
class Exchange:
    """How wordings become rows, and which rows are exchanged."""

    scheme: Exchanged
    """``frames``: the two rows of a component are exchanged. ``clusters``: rows are exchanged freely."""
    clusters: Ints
    """``(wordings,)``: the cluster of each wording, numbered in order of first appearance."""
    rows: Ints
    """``(clusters,)``: the row of each cluster; rows of side a come first."""
    observed: Bools
    """``(rows,)``: true for side a."""
    strata: Ints
    """``(rows,)``: labels are exchanged among rows of one stratum; under frames, the component of the row."""

    @property
    def sides(self) -> tuple[int, int]:
        """Rows of side a and of side b."""
        first = int(np.count_nonzero(self.observed))
        return first, len(self.observed) - first

    @property
    def units(self) -> int:
        """What is exchanged: components under frames, rows otherwise."""
        return self.sides[0] if self.scheme == "frames" else len(self.observed)

    def average(self, table: Floats) -> Floats:
        """Rows ``(rows, units)`` of wordings ``(wordings, units)``: mean of the clusters, which are means in turn."""
        return group_means(group_means(table, self.clusters), self.rows)


def group_means(values: Floats, groups: Ints) -> Floats:
    """Means of the rows of each group, ``(groups, units)``; the same array where each row is its own group."""
    count = int(groups.max()) + 1
    if count == len(groups):
        return values
    return np.stack([values[groups == group].mean(axis=0) for group in range(count)])


def plan_exchange(
    sides: tuple[int, int],
    *,
    clusters: Labels | None = None,
    frames: Labels | None = None,
    strata: Labels | None = None,
) -> Exchange:
    """How the wordings of two sides are exchanged.

    Exchange units are the connected components of clusters and frames. Each component gives one row a side, and its two
    rows are exchanged, where every wording has a frame, every component holds wordings of both sides and of one stratum
    only, and there are at least `LEAST_FRAMES` of them. Otherwise each cluster gives a row, and rows are exchanged
    freely within strata: with frames that loses power and never passes too often.

    Args:
        sides: Wordings of side a and of side b.
        clusters: Labels of the wordings of a, then b; wordings of one label are averaged. None is a wording by itself.
        frames: Labels of the wordings of a, then b; None is a wording without a frame.
        strata: Labels of the wordings of a, then b; None is a stratum too.

    Raises:
        InputError: A number of labels that is not that of the wordings, a cluster on both sides or in several strata.
    """
    count, of_a = sum(sides), np.arange(sum(sides)) < sides[0]
    groups = np.zeros(count, np.int64) if strata is None else as_groups(strata, count, "stratum")
    members = _numbered(clusters, count, "cluster")
    _refuse(members, of_a, clusters, "wordings of both sides", "Give the wordings of each side labels of their own.")
    _refuse(members, groups, clusters, "wordings of several strata", "Give each cluster one stratum.")
    _, first = np.unique(members, return_index=True)
    side, stratum = of_a[first], groups[first]
    joined = None if frames is None else _components(members, frames, count)
    if joined is not None and _paired(joined, of_a, groups):
        component, number = joined[first], int(joined.max()) + 1
        rows = np.where(side, component, component + number)
        return Exchange("frames", members, rows, np.arange(2 * number) < number, np.tile(np.arange(number), 2))
    return Exchange("clusters", members, np.arange(len(first)), side, stratum)


def _numbered(labels: Labels | None, count: int, what: str) -> Ints:
    """Labels as numbers; each None is a label of its own."""
    if labels is None:
        return np.arange(count, dtype=np.int64)
    return as_groups([(at,) if label is None else label for at, label in enumerate(labels)], count, what)


def _refuse(members: Ints, values: NDArray[np.generic], labels: Labels | None, what: str, fix: str) -> None:
    for cluster in range(int(members.max()) + 1 if labels is not None else 0):
        places = np.flatnonzero(members == cluster)
        if len(np.unique(values[places])) > 1 and labels is not None:
            raise InputError(f"Cluster {labels[int(places[0])]!r} holds {what}.", fix=fix, field="clusters")


def _components(members: Ints, frames: Labels, count: int) -> Ints | None:
    """``(wordings,)`` numbers of the connected components; None where a wording has no frame."""
    framed = _numbered(frames, count, "frame")
    if any(label is None for label in frames):
        return None
    found, before = members, np.full(count, -1)
    while not np.array_equal(found, before):
        before, found = found, _lowest(_lowest(found, framed), members)
    return as_groups(found, count, "component")


def _lowest(values: Ints, groups: Ints) -> Ints:
    """The lowest value of each row's group."""
    lowest = np.full(int(groups.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, groups, values)
    return np.asarray(lowest[groups])


def _paired(component: Ints, side: Bools, stratum: Ints) -> bool:
    """Whether there are enough components, each of both sides and of one stratum."""
    number = int(component.max()) + 1
    each = [component == one for one in range(number)]
    return number >= LEAST_FRAMES and all(
        len(np.unique(side[one])) == 2 and len(np.unique(stratum[one])) == 1 for one in each
    )
