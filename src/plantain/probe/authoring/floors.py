"""The smallest p-value that the wordings of a contrast can give: known before anything is run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import comb, prod

from plantain.probe.clusters import Design, Scheme


def floor(strata: Iterable[tuple[int, int]]) -> float:
    """Smallest attainable two-sided p-value of a label permutation test.

    ``strata`` holds the numbers of wordings of the two sides in each stratum. The observed labelling is one of
    ``prod(C(a + b, a))``; where the sides are equally large in every stratum, swapping all labels gives the same |t|.
    """
    sizes = list(strata)
    labellings = prod(comb(a + b, a) for a, b in sizes)
    mirrored = all(a == b for a, b in sizes)
    return (2 if mirrored else 1) / labellings


def floor_of(design: Design) -> float:
    """Smallest p-value of exchanging the rows of ``design``; 1 where nothing can be exchanged."""
    if design.problem:
        return 1.0
    if design.scheme is Scheme.frames:
        return floor([(1, 1)] * design.fewest)
    return floor([(len(set(design.rows_a)), len(set(design.rows_b)))])


def floor_in_strata(design: Design, strata: Sequence[str | None]) -> float | None:
    """The same where labels move within ``strata`` alone, which are those of the wordings of a, then b.

    None where a wording has no stratum, or a cluster lies in several, so that it can be exchanged in none.
    """
    if None in strata or torn(design, strata):
        return None
    components = (*design.components_a, *design.components_b)
    if design.scheme is Scheme.frames and not _in_several(components, strata):
        return floor_of(design)
    return 1.0 if design.problem else floor(_sizes(design, strata))


def _sizes(design: Design, strata: Sequence[str | None]) -> list[tuple[int, int]]:
    """Clusters of either side, by stratum."""
    cut = len(design.clusters_a)
    a = Counter(stratum for _, stratum in set(zip(design.clusters_a, strata[:cut], strict=True)))
    b = Counter(stratum for _, stratum in set(zip(design.clusters_b, strata[cut:], strict=True)))
    return [(a[stratum], b[stratum]) for stratum in dict.fromkeys(strata)]


def torn(design: Design, strata: Sequence[str | None]) -> tuple[int, ...]:
    """Places of the wordings, of a then b, of the first cluster that lies in several strata; empty where none does."""
    clusters = (*design.clusters_a, *design.clusters_b)
    found = _in_several(clusters, strata)
    return tuple(place for place, one in enumerate(clusters) if one == found[0]) if found else ()


def _in_several(labels: Sequence[int], strata: Sequence[str | None]) -> list[int]:
    """The labels whose wordings lie in more than one stratum."""
    counts = Counter(label for label, _ in set(zip(labels, strata, strict=True)))
    return [label for label in dict.fromkeys(labels) if counts[label] > 1]
