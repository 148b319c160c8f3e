"""One probe on one network: every test of rung 7 with its descriptions, or the statistic of every untrained draw."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.files import six_digits
from plantain.base.params import CaptureParams, VerdictParams, WordingMeasure
from plantain.capture.progress import Lines
from plantain.causal.cost import OTHER_SETS, Described, SwapCost, ranked_draws, swap_cost
from plantain.causal.described import How, named_sets, paraphrased, route_rows, set_of, set_rows, with_rests
from plantain.causal.donors import donor_rows, kept_products, label_test
from plantain.causal.examine import (
    Choice,
    Curve,
    choose,
    curve,
    curve_sets,
    donate,
    single_mediation,
    swap_pairs,
)
from plantain.causal.gallery import Gallery, draw_gallery
from plantain.causal.heads import HeadSet, TokenRoute, all_heads
from plantain.causal.heads_map import SwapMap, SwapPair, mediate
from plantain.causal.identities import Identities, check_identities
from plantain.causal.mediation import rounding_floor
from plantain.causal.sets import random_alike, top
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign, Half
from plantain.records.causal import (
    CausalDraws,
    CausalTable,
    ChosenHead,
    LabelledTest,
    RouteRow,
    SizePoint,
    SwappedSet,
    size_areas,
)
from plantain.records.keys import Pass
from plantain.records.lock import ModelLock
from plantain.records.study_keys import Inputs
from plantain.stats.selection import LabelTest, selection_test
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
    others: Mapping[str, Sequence[ChosenHead]] = field(default_factory=dict)
    """Other probes to the heads that their tables of this model name."""

    def cost(self, rules: int, batch_size: int = 1) -> SwapCost:
        """What the cell takes, in forwards, with as many other rules of choosing heads."""
        heads = all_heads(self.lock.geometry, TokenRoute.image)
        rounded = self.lock.dtype != "float32"
        others = min(len(self.others), OTHER_SETS)
        described = Described(self.rules.swapped, rules, others, bool(self.images), batch_size, rounded)
        return swap_cost(self.design, heads, self.lock.geometry, ranked_draws(self.lock, self.rules), described)

    def pass_of(self, condition: str, item: str) -> Pass:
        """The pass of a wording."""
        return self.passes[condition, item]

    def theatre(self, draw: int = 0) -> Theatre:
        """The network of one draw."""
        items = {*self.design.selection.items, *self.design.test.items}
        asked = [one for one in self.passes.values() if one.item in items]
        return Theatre.open(asked, self.images, self.lock, self.capture, draw=draw, progress=Lines())


def causal_draws(cell: CausalCell) -> CausalDraws:
    """The donors' statistic of as many draws of an untrained family as rung 7 asks for, and of one more.

    One more, since a model may itself be one of them.

    Raises:
        InputError: the model is no untrained family.
    """
    if cell.lock.method is None:
        raise InputError(f"'{cell.lock.name}' is not untrained.", fix="name a family: `source: untrained`, `seeds: n`.")
    statistics = []
    count, design = ranked_draws(cell.lock, cell.rules), replace(cell.design, decoys={})
    for draw in range(count):
        theatre = cell.theatre(draw)
        chosen = choose(theatre, design.selection, cell.pass_of, cell.rules.swapped)
        found = donate(theatre, design, cell.pass_of, [chosen.heads])
        statistics.append(six_digits(label_test(kept_products(found.patched[0]), design.test, cell.rules).statistic))
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


MapRows = tuple[Floats, Floats]
"""The selection wordings of both sides, ``(wordings, heads)`` or of vectors."""


def causal_table(cell: CausalCell, maps: Mapping[WordingMeasure, MapRows]) -> tuple[CausalTable, Gallery]:
    """Every test and description of a network, and pictures.

    Args:
        cell: what is swapped.
        maps: the selection wordings by what they are measured by; heads are ranked by the first.

    Raises:
        InputError: rounding drowns what the sides change.
        CheckFailed: an identity is broken.
    """
    theatre, design = cell.theatre(), cell.design
    identities = _identities(cell, theatre)
    chosen = choose(theatre, design.selection, cell.pass_of, cell.rules.swapped)
    sizes = {measure: _sizes(cell, rows) for measure, rows in maps.items()}
    ruled = {_RULES[measure]: top(theatre.heads(), size, len(chosen.heads)) for measure, size in sizes.items()}
    found = donate(theatre, design, cell.pass_of, [chosen.heads, *ruled.values()])
    pairs = swap_pairs(design, cell.pass_of)
    singles = single_mediation(theatre, pairs)
    carried = [six_digits(float(one)) for one in singles.mean_m()]
    rows = next(iter(maps.values()))
    permutations, seed = cell.rules.permutations, cell.rules.seed
    clusters = design.selection.clusters
    selection = selection_test(*rows, carried, clusters=clusters, permutations=permutations, seed=seed)
    products = {"gate": kept_products(found.plain), "donors": kept_products(found.patched[0])}
    drawn, sets, routes = _described(cell, theatre, pairs, singles, chosen, ruled, next(iter(sizes.values())))
    random = random_alike(theatre.heads(), chosen.heads, cell.lock.geometry, seed)
    gallery = draw_gallery(theatre, design, cell.pass_of, chosen.heads, random)
    table = CausalTable(
        model=cell.lock.name,
        probe=cell.probe,
        contrast=cell.contrast,
        inputs=cell.inputs,
        measure=next(iter(maps)),
        chosen_by=CHOSEN_BY,
        items={"selection": list(design.selection.items), "test": list(design.test.items)},
        wordings={"selection": _names(design.selection), "test": _names(design.test)},
        recipients=list(design.recipients),
        tests=[
            _labelled("gate", label_test(products["gate"], design.test, cell.rules)),
            _labelled("donors", label_test(products["donors"], design.test, cell.rules)),
            _labelled("selection", selection),
        ],
        heads=_chosen(theatre, chosen, carried),
        identities=_checked(identities),
        output_change=six_digits(found.change),
        additivity=six_digits(sum(carried)),
        mediation_by_head=carried,
        curve=drawn,
        clusters={"selection": list(design.selection.clusters), "test": list(design.test.clusters)},
        products=products,
        sets=sets,
        donors=donor_rows(design, cell.contrast, cell.rules, found, list(ruled)),
        routes=routes,
        areas=size_areas(drawn),
        pictures=gallery.record,
        permutations=permutations,
        seed=seed,
    )
    return table, gallery


_RULES: Final[Mapping[WordingMeasure, How]] = {
    WordingMeasure.direction: "direction",
    WordingMeasure.log_rms: "magnitude",
}
"""What heads chosen by a map are called."""


def _sizes(cell: CausalCell, rows: MapRows) -> Floats:
    """``(heads,)`` how far the sides of a map are apart; 0 for a head whose rows do not differ."""
    clusters, rules = cell.design.selection.clusters, cell.rules
    t = np.abs(template_test(*rows, clusters=clusters, permutations=rules.permutations, seed=rules.seed).t)
    return np.asarray(np.where(np.isnan(t), 0.0, t))


def _described(
    cell: CausalCell,
    theatre: Theatre,
    pairs: Sequence[SwapPair],
    singles: SwapMap,
    chosen: Choice,
    ruled: Mapping[How, HeadSet],
    order: Floats,
) -> tuple[list[SizePoint], list[SwappedSet], list[RouteRow]]:
    """The size curve, the rows of sets and those of tokens."""
    every, geometry, seed = theatre.heads(), cell.lock.geometry, cell.rules.seed
    others = {name: set_of(heads, geometry) for name, heads in list(cell.others.items())[:OTHER_SETS]}
    doses = singles.mean_dose()
    named = named_sets(every, chosen.heads, doses, geometry, seed, ruled=ruled, others=others)
    along = curve_sets(every, order, geometry, seed)
    swapped = mediate(theatre, pairs, [*with_rests(named, every), *along])
    cut = len(swapped.sets) - len(along)
    by_head = dict(zip(every, doses.tolist(), strict=True))
    rows = set_rows(named, swapped.mean_ways()[:, :cut], swapped.mean_off_axis()[:cut], by_head)
    dose = sum(by_head[head] for head in chosen.heads)
    rows.append(paraphrased(theatre, cell.design, cell.pass_of, chosen, dose))
    routes = route_rows(theatre, pairs, chosen.heads, swapped, 0, referenced=bool(cell.images))
    return _points(curve(swapped.mean_m()[cut:], len(every))), rows, routes


def _identities(cell: CausalCell, theatre: Theatre) -> Identities:
    """What must hold in any network; and whether rounding drowns the change."""
    test = cell.design.test
    one, other = (cell.pass_of(side[0], test.items[0]) for side in (test.a, test.b))
    recipient, donor = theatre.clean(one), theatre.clean(other)
    rounding_floor(theatre, [one, other]).refuse(recipient, donor)
    return check_identities(theatre, recipient, donor)


def _names(half: Half) -> list[str]:
    return [*half.a, *half.b]


def _chosen(theatre: Theatre, found: Choice, carried: Sequence[float]) -> list[ChosenHead]:
    every = list(theatre.heads())
    places = sorted((every.index(head) for head in found.heads), key=lambda place: -found.doses[place])
    return [
        ChosenHead(
            block_kind=theatre.projections[every[place].projection].block_kind,
            block=theatre.projections[every[place].projection].block,
            head=every[place].head,
            score=six_digits(float(found.doses[place])),
            mediation=carried[place],
        )
        for place in places
    ]


def _labelled(name: Literal["gate", "donors", "selection"], test: LabelTest) -> LabelledTest:
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
