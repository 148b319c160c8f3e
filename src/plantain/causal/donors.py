"""Whose heads they were: the donors' test, and the same statistic with other donors and other sets as a description."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from plantain.base.files import six_digits
from plantain.base.params import VerdictParams
from plantain.causal.described import How
from plantain.causal.examine import Donated, Floats
from plantain.probe.halves import CausalDesign, Half
from plantain.records.causal import DonatedRow, InnerProducts
from plantain.stats.inner import apart, centred, inner_test
from plantain.stats.selection import LabelTest


def kept_products(products: Floats) -> InnerProducts:
    """Inner products as a table keeps them, to twelve digits: tests are made of these, so that they come out again."""
    return [[float(f"{value:.12g}") for value in row] for row in products.tolist()]


def label_test(products: InnerProducts, half: Half, rules: VerdictParams) -> LabelTest:
    """Whether it matters which side a donor, or a wording itself, is of: labels exchanged over clusters."""
    permutations, seed = rules.permutations, rules.seed
    return inner_test(products, len(half.a), clusters=half.clusters, permutations=permutations, seed=seed)


class LabelledDonors(NamedTuple):
    """Donors in the order in which a label parts them, and what else binds them."""

    wordings: list[str]
    groups: list[int]
    """The label that is exchanged: 0, then 1."""
    clusters: list[int]
    strata: list[int] | None = None

    @classmethod
    def of(cls, half: Half) -> "LabelledDonors":
        """The sides of a half."""
        return cls([*half.a, *half.b], _sides(half), list(half.clusters))


def donor_rows(
    design: CausalDesign, contrast: str, rules: VerdictParams, found: Donated, ruled: Sequence[How]
) -> list[DonatedRow]:
    """The donors' statistic with other sets and other donors, each in units of how far the target's donors part.

    Args:
        design: donors and decoys.
        contrast: of the donors.
        rules: relabellings and their seed.
        found: what came out; the chosen set stands first.
        ruled: what chose the other sets.
    """
    own, whole = LabelledDonors.of(design.test), apart(found.patched[0], len(design.test.a))
    rows = [
        _row(how, contrast, own, products, whole, rules) for how, products in zip(ruled, found.patched[1:], strict=True)
    ]
    rows += _paraphrase(design.test, contrast, found.patched[0], whole, rules)
    for name, products in found.decoys.items():
        rows.append(_row("decoy", name, LabelledDonors.of(design.decoys[name]), products, whole, rules))
    return rows


def _paraphrase(half: Half, contrast: str, products: Floats, whole: float, rules: VerdictParams) -> list[DonatedRow]:
    """Wordings of one side against others of it, the sides taken out: labels that mean nothing.

    Clusters of a side take turns; nothing where a side has but one.
    """
    sides = _sides(half)
    labels = [_turn(half, side, cluster) for side, cluster in zip(sides, half.clusters, strict=True)]
    if any(len(set(half.clusters_of(side))) < 2 for side in (0, 1)):
        return []
    order = sorted(range(len(labels)), key=labels.__getitem__)
    names, kept = [*half.a, *half.b], centred(products, sides)[np.ix_(order, order)]
    taken = [[values[at] for at in order] for values in (labels, half.clusters, sides)]
    return [_row("paraphrase", contrast, LabelledDonors([names[at] for at in order], *taken), kept, whole, rules)]


def _turn(half: Half, side: int, cluster: int) -> int:
    """0 for the first, third, … cluster of a side, 1 for the others."""
    return list(dict.fromkeys(half.clusters_of(side))).index(cluster) % 2


def _sides(half: Half) -> list[int]:
    return [0] * len(half.a) + [1] * len(half.b)


def _row(
    kind: str, contrast: str, exchanged: LabelledDonors, products: Floats, whole: float, rules: VerdictParams
) -> DonatedRow:
    kept, first = kept_products(products), exchanged.groups.count(0)
    test = inner_test(
        kept,
        first,
        clusters=exchanged.clusters,
        strata=exchanged.strata,
        permutations=rules.permutations,
        seed=rules.seed,
    )
    found = {
        "kind": kind,
        "contrast": contrast,
        "statistic": six_digits(test.statistic),
        "p": six_digits(test.p),
        "floor": six_digits(test.floor_p),
        "rows": list(test.rows),
        "apart": six_digits(apart(kept, first) / whole) if whole else 0.0,
        "products": kept,
    }
    return DonatedRow.model_validate(found | exchanged._asdict())
