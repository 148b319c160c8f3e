"""What heads did when they were swapped: the study's tests of rung 7, and the same statistic of untrained draws."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from plantain.base.files import six_digits
from plantain.base.params import Method, WordingMeasure
from plantain.records.base import Frozen, absent, read
from plantain.records.study_keys import Inputs

Finite = Annotated[float, Field(allow_inf_nan=False)]
InnerProducts = list[list[Finite]]
"""Inner products of what came out, a row a donor of side a, then of b; the mean over donors taken out."""


class LabelledTest(Frozen):
    """One exact test of rung 7."""

    name: Literal["gate", "donors", "selection"]
    says: str
    """What it asks, in words."""
    statistic: Finite
    p: Annotated[float, Field(gt=0, le=1)]
    floor: Annotated[float, Field(gt=0, le=1)]
    """The smallest p that these wordings can give."""
    rows: list[int]
    """Of side a and of side b: what is exchanged."""


class ChosenHead(Frozen):
    """A head of the set, and what it does alone."""

    block_kind: str
    block: int
    head: int
    score: Finite
    """By what it was chosen."""
    mediation: Finite
    """Share of the change between the sides that it carries alone."""


class SizePoint(Frozen):
    """The heads chosen first, so many of them, swapped together: a description."""

    heads: int
    sufficiency: Finite
    """Share of the change that these carry."""
    necessity: Finite
    """1 minus the share that all others carry."""
    random: Finite
    """Sufficiency of matched random heads, as many."""


SHEET_LINE: Final = 14
"""Pixels of a line of text on a contact sheet,"""
SHEET_GAP: Final = 4
"""and between its pictures."""


class SwappedSet(Frozen):
    """What one set of heads does at image tokens, on the test half: a description."""

    how: Literal["chosen", "kind", "dose", "magnitude", "direction", "probe", "paraphrase"]
    """``chosen``: the set. ``kind``: random heads of its block kinds; ``dose``: others of like dose, each matched.
    ``magnitude``, ``direction``: as many heads, those first in the map. ``probe``: the set of another probe.
    ``paraphrase``: the set, from another wording of the recipient's own side."""
    of: str = ""
    """The other probe."""
    heads: int
    shared: int
    """Heads that are in the chosen set too."""
    into_a: Finite
    """Share of the change that the set carries from side b into wordings of side a."""
    into_b: Finite
    """From side a into wordings of side b."""
    sufficiency: Finite
    """Mean of both."""
    necessity: Finite | None
    """1 minus the share that all other heads carry; null where that was not run."""
    redundancy: Finite | None
    """Sufficiency less necessity: what others can do as well."""
    off_axis: Finite
    """Size of the change that is not along that between the sides, in units of it."""
    dose: Finite
    """What the swap puts in, sum over heads, over that of the chosen set."""


class DonatedRow(Frozen):
    """The donors' statistic with other donors, or with another set: a description."""

    kind: Literal["magnitude", "direction", "paraphrase", "decoy"]
    """``magnitude``, ``direction``: the target's donors, heads chosen by that map. The others are the chosen set:
    ``paraphrase``: labels that part wordings of one side, the sides taken out; ``decoy``: wordings of a control."""
    contrast: str
    """Whose wordings the donors are."""
    statistic: Finite
    p: Annotated[float, Field(gt=0, le=1)]
    floor: Annotated[float, Field(gt=0, le=1)]
    rows: list[int]
    wordings: list[str]
    """The donors in the order of ``products``."""
    groups: list[int]
    """The label that is exchanged, 0 or 1, a wording."""
    clusters: list[int]
    strata: list[int] | None = None
    """Wordings of one label are exchanged among themselves."""
    apart: Finite
    """Distance between what comes out of both groups, mean over donors, in units of that of the target's donors."""
    products: InnerProducts


class RouteRow(Frozen):
    """Swaps at some tokens alone, in one pair of wordings an item: a description."""

    tokens: Literal["image", "noise", "reference", "text"]
    all_heads: Finite
    """Share of the change that all heads carry there."""
    chosen: Finite
    """And the chosen set."""


class SizeAreas(Frozen):
    """Areas over the size curve, the number of heads on a log scale from 1 to all (MIB, arXiv 2504.13151)."""

    cpr: Finite
    """Under the sufficiency f: 1 where one head carries everything."""
    cmd: Finite
    """Under the distance of f from 1: 0 there."""
    random_cpr: Finite
    random_cmd: Finite


class CausalPictures(Frozen):
    """Pictures of one step beside the table, a row a recipient."""

    sha256: str
    """Of the file."""
    columns: list[str]
    rows: list[str]
    width: int
    """Pixels of a picture as it is drawn."""
    height: int

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a picture on the sheet, in pixels."""
        left = SHEET_GAP + column * (self.width + SHEET_GAP)
        top = SHEET_LINE + row * (SHEET_LINE + self.height + SHEET_GAP) + SHEET_LINE
        return left, top, left + self.width, top + self.height


class CausalTable(Frozen):
    """``reports/study/causal/<model>/<probe>.json``."""

    schema_: Literal["plantain.causal/1", "plantain.causal/2"] = Field(default="plantain.causal/2", alias="schema")
    model: str
    probe: str
    contrast: str
    inputs: Inputs
    measure: WordingMeasure
    """What the map is made of."""
    chosen_by: str
    """How the set is chosen."""
    items: dict[str, list[str]]
    """``selection`` and ``test``: other items."""
    wordings: dict[str, list[str]]
    """``selection`` and ``test``: other wordings, both sides."""
    recipients: list[str]
    """Neutral wordings that the set was put into."""
    tests: list[LabelledTest]
    """In the order in which they count."""
    heads: list[ChosenHead]
    """The set."""
    identities: dict[str, Finite]
    """What the run checked on itself."""
    output_change: Finite
    """Relative change of the velocity between the sides."""
    additivity: Finite
    """Sum over heads of what each carries alone; 1 where heads add up."""
    mediation_by_head: list[Finite]
    """Every head, in unit order."""
    curve: list[SizePoint]
    permutations: int | None = Field(default=None, exclude_if=absent)
    """Relabellings wanted in the tests; this and what follows is not in tables of the first revision."""
    seed: int | None = Field(default=None, exclude_if=absent)
    clusters: dict[str, list[int]] = Field(default={})
    """``selection`` and ``test``: which wordings are one piece of evidence."""
    products: dict[str, InnerProducts] = Field(default={})
    """``gate`` and ``donors``: what these tests are made of."""
    sets: list[SwappedSet] = Field(default=[])
    donors: list[DonatedRow] = Field(default=[])
    routes: list[RouteRow] = Field(default=[])
    areas: SizeAreas | None = Field(default=None, exclude_if=absent)
    pictures: CausalPictures | None = Field(default=None, exclude_if=absent)

    def test(self, name: str) -> LabelledTest:
        """The test of that name."""
        return next(one for one in self.tests if one.name == name)

    def numbers(self) -> dict[str, float]:
        """Every number by name, as searches and trackers call it; of sets of one kind, each with its place."""
        found: dict[str, float] = {"output_change": self.output_change, "additivity": self.additivity}
        for test in self.tests:
            found |= {f"{test.name}.statistic": test.statistic, f"{test.name}.p": test.p}
        if self.areas is not None:
            found |= self.areas.model_dump()
        for at, row in enumerate(self.sets):
            place = row.of or str(sum(one.how == row.how for one in self.sets[:at]) + 1)
            name = "set" if row.how == "chosen" else f"{row.how}.{place}"
            known = row.model_dump(exclude={"how", "of", "heads", "shared"})
            found |= {f"{name}.{part}": value for part, value in known.items() if value is not None}
        for donor in self.donors:
            name = f"donors.{donor.kind}" + (f".{donor.contrast}" if donor.kind == "decoy" else "")
            found |= {f"{name}.{part}": getattr(donor, part) for part in ("statistic", "p", "apart")}
        for route in self.routes:
            found |= {f"all.at_{route.tokens}": route.all_heads, f"set.at_{route.tokens}": route.chosen}
        for size in self.curve:
            parts = size.model_dump(exclude={"heads"})
            found |= {f"first_{size.heads}.{part}": value for part, value in parts.items()}
        for head in self.heads:
            found[f"{head.block_kind}_{head.block}.head_{head.head}.mediation"] = head.mediation
        return {name: float(value) for name, value in found.items()}

    @property
    def chosen(self) -> SwappedSet | None:
        """The row of the chosen set; None in tables of the first revision."""
        return next((one for one in self.sets if one.how == "chosen"), None)


def size_areas(curve: list[SizePoint]) -> SizeAreas:
    """Areas under f and under |1 - f|, trapezoids over the logarithm of the number of heads, from one head to all.

    Mueller et al. 2025 (MIB, arXiv 2504.13151) give both as CPR and CMD on a linear scale; on it half of the weight
    lies between half of the heads and all. The last point of the curve is all heads.
    """
    f, random = ([getattr(one, name) for one in curve] for name in ("sufficiency", "random"))
    found = {
        "cpr": _log_area(curve, f),
        "cmd": _log_area(curve, [abs(1 - value) for value in f]),
        "random_cpr": _log_area(curve, random),
        "random_cmd": _log_area(curve, [abs(1 - value) for value in random]),
    }
    return SizeAreas(**{name: six_digits(value) for name, value in found.items()})


def _log_area(curve: list[SizePoint], values: list[float]) -> float:
    at = [math.log(one.heads) for one in curve]
    steps = zip(pairwise(at), pairwise(values), strict=True)
    return sum((right - left) * (one + other) / 2 for (left, right), (one, other) in steps) / at[-1]


class CausalDraws(Frozen):
    """``reports/study/causal/<family>/<probe>.json``: the donors' statistic of every untrained draw, own set each."""

    schema_: Literal["plantain.causal-draws/1"] = Field(default="plantain.causal-draws/1", alias="schema")
    family: str
    method: Method
    of: str
    probe: str
    contrast: str
    inputs: Inputs
    draws: Annotated[list[str], Field(min_length=1)]
    """Digest of each draw's transformer weights."""
    statistics: list[Finite]


_FIX = "bring it back with `git checkout {0}`, or make it anew with `plantain run --study`."


def read_causal(source: Path | bytes, file: Path | None = None) -> CausalTable:
    """Read the interventions of a cell; ``file`` says where ``source`` is from where that is bytes.

    Raises:
        InputError: they are not of this version.
    """
    place = source if isinstance(source, Path) else file
    return read(source, CausalTable, what="a table of interventions", fix=_FIX.format(place), file=place)


def read_causal_draws(path: Path) -> CausalDraws:
    """Read the interventions of an untrained family.

    Raises:
        InputError: they are not of this version.
    """
    return read(path, CausalDraws, what="a table of interventions", fix=_FIX.format(path))
