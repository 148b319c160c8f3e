"""One probe on one network: every test of rung 7 with its descriptions, or the statistic of every untrained draw."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.files import six_digits
from plantain.base.params import CaptureParams, VerdictParams, WordingMeasure
from plantain.capture.progress import Lines
from plantain.causal.cost import SwapCost, ranked_draws, swap_cost
from plantain.causal.examine import Curve, Donated, curve, donate, single_mediation, swap_pairs
from plantain.causal.heads import TokenRoute, all_heads
from plantain.causal.identities import Identities, check_identities
from plantain.causal.mediation import rounding_floor
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign, Half
from plantain.records.causal import CausalDraws, CausalTable, ChosenHead, LabelledTest, SizePoint
from plantain.records.keys import Pass
from plantain.records.lock import ModelLock
from plantain.records.study_keys import Inputs
from plantain.stats.selection import LabelTest, donor_test, selection_test
from plantain.stats.template import template_test

Floats = NDArray[np.float64]
CHOSEN_BY = "norm of the projected difference between the sides that survives wordings and items"
_SAYS = {
    "gate": "the sides change the velocity more than rewording does",
    "donors": "heads put into neutral sentences do other things from one side than from the other",
    "selection": "heads ranked by the map carry more than those ranked on relabelled wordings",
}


@dataclass(frozen=True)
class CausalCell:
    """What is swapped in one cell, and by which rules."""

    probe: str
    contrast: str
    lock: ModelLock
    capture: CaptureParams
    rules: VerdictParams
    design: CausalDesign
    passes: Mapping[tuple[str, str], Pass]
    """Condition and item to the pass."""
    images: Mapping[str, Path]
    inputs: Inputs

    @property
    def cost(self) -> SwapCost:
        """What the cell takes, in forwards."""
        heads = all_heads(self.lock.geometry, TokenRoute.image)
        return swap_cost(self.design, heads, self.lock.geometry, ranked_draws(self.lock, self.rules))

    def pass_of(self, condition: str, item: str) -> Pass:
        """The pass of a wording."""
        return self.passes[condition, item]

    def theatre(self, draw: int = 0) -> Theatre:
        """The network of one draw."""
        items = {*self.design.selection.items, *self.design.test.items}
        asked = [one for one in self.passes.values() if one.item in items]
        return Theatre.open(asked, self.images, self.lock, self.capture, draw=draw, progress=Lines())

    def donors(self, found: Donated) -> LabelTest:
        """Whether it matters which side the donor is of."""
        return self._labels(found.patched)

    def gate(self, found: Donated) -> LabelTest:
        """Whether the sides change the output more than rewording does."""
        return self._labels(found.plain)

    def _labels(self, sides: tuple[Floats, Floats]) -> LabelTest:
        clusters = self.design.test.clusters
        return donor_test(*sides, clusters=clusters, permutations=self.rules.permutations, seed=self.rules.seed)


def causal_draws(cell: CausalCell) -> CausalDraws:
    """The donors' statistic of as many draws of an untrained family as rung 7 asks for, and of one more.

    One more, since a model may itself be one of them.

    Raises:
        InputError: the model is no untrained family.
    """
    if cell.lock.method is None:
        raise InputError(f"'{cell.lock.name}' is not untrained.", fix="name a family: `source: untrained`, `seeds: n`.")
    statistics = []
    count = ranked_draws(cell.lock, cell.rules)
    for draw in range(count):
        found = donate(cell.theatre(draw), cell.design, cell.pass_of, cell.rules.swapped)
        statistics.append(six_digits(cell.donors(found).statistic))
        print(f"{cell.lock.name}, draw {draw}: {statistics[-1]:g}", file=sys.stderr, flush=True)
    return CausalDraws(
        family=cell.lock.name,
        method=cell.lock.method,
        of=cell.lock.files_model,
        probe=cell.probe,
        contrast=cell.contrast,
        inputs=cell.inputs,
        draws=cell.lock.draws[:count],
        statistics=statistics,
    )


def causal_table(cell: CausalCell, rows: tuple[Floats, Floats], measure: WordingMeasure) -> CausalTable:
    """Every test and description of a network.

    Args:
        cell: what is swapped.
        rows: the selection wordings of both sides, ``(wordings, heads)`` or of vectors: what the map is made of.
        measure: what they are measured by.

    Raises:
        InputError: rounding drowns what the sides change.
        CheckFailed: an identity is broken.
    """
    theatre, clusters = cell.theatre(), cell.design.selection.clusters
    identities = _identities(cell, theatre)
    found = donate(theatre, cell.design, cell.pass_of, cell.rules.swapped)
    pairs = swap_pairs(cell.design, cell.pass_of)
    mediation = single_mediation(theatre, pairs)
    permutations, seed = cell.rules.permutations, cell.rules.seed
    t = np.abs(template_test(*rows, clusters=clusters, permutations=permutations, seed=seed).t)
    drawn = curve(theatre, pairs, np.where(np.isnan(t), 0.0, t), seed)
    tests = {"gate": cell.gate(found), "donors": cell.donors(found)}
    tests["selection"] = selection_test(*rows, mediation, clusters=clusters, permutations=permutations, seed=seed)
    return CausalTable(
        model=cell.lock.name,
        probe=cell.probe,
        contrast=cell.contrast,
        inputs=cell.inputs,
        measure=measure,
        chosen_by=CHOSEN_BY,
        items={"selection": list(cell.design.selection.items), "test": list(cell.design.test.items)},
        wordings={"selection": _names(cell.design.selection), "test": _names(cell.design.test)},
        recipients=list(cell.design.recipients),
        tests=[
            _written("gate", tests["gate"]),
            _written("donors", tests["donors"]),
            _written("selection", tests["selection"]),
        ],
        heads=_chosen(theatre, found, mediation),
        identities=_checked(identities),
        output_change=six_digits(found.change),
        additivity=six_digits(float(mediation.sum())),
        mediation_by_head=[six_digits(float(one)) for one in mediation],
        curve=_points(drawn),
    )


def _identities(cell: CausalCell, theatre: Theatre) -> Identities:
    """What must hold in any network; and whether rounding drowns the change."""
    test = cell.design.test
    one, other = (cell.pass_of(side[0], test.items[0]) for side in (test.a, test.b))
    recipient, donor = theatre.clean(one), theatre.clean(other)
    rounding_floor(theatre, [one, other]).refuse(recipient, donor)
    return check_identities(theatre, recipient, donor)


def _names(half: Half) -> list[str]:
    return [*half.a, *half.b]


def _chosen(theatre: Theatre, found: Donated, mediation: Floats) -> list[ChosenHead]:
    every = list(theatre.heads())
    places = sorted((every.index(head) for head in found.heads), key=lambda place: -found.doses[place])
    return [
        ChosenHead(
            block_kind=theatre.projections[every[place].projection].block_kind,
            block=theatre.projections[every[place].projection].block,
            head=every[place].head,
            score=six_digits(float(found.doses[place])),
            mediation=six_digits(float(mediation[place])),
        )
        for place in places
    ]


def _written(name: Literal["gate", "donors", "selection"], test: LabelTest) -> LabelledTest:
    return LabelledTest(
        name=name,
        says=_SAYS[name],
        statistic=six_digits(test.statistic),
        p=six_digits(test.p),
        floor=six_digits(test.floor_p),
        rows=list(test.rows),
    )


def _checked(found: Identities) -> dict[str, float]:
    return {
        "self_swap": found.self_swap,
        "all_heads": six_digits(min(found.all_heads)),
        "off_axis": six_digits(max(found.off_axis)),
        "modulation_share": six_digits(found.modulation_share),
        "batch": six_digits(found.batch),
        "swaps": float(found.swaps),
    }


def _points(drawn: Curve) -> list[SizePoint]:
    return [
        SizePoint(
            heads=size,
            sufficiency=six_digits(float(drawn.sufficiency[at])),
            necessity=six_digits(float(drawn.necessity[at])),
            random=six_digits(float(drawn.random[at])),
        )
        for at, size in enumerate(drawn.sizes)
    ]
