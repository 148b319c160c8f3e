"""What heads did when they were swapped: the study's tests of rung 7, and the same statistic of untrained draws."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from plantain.base.params import Method, WordingMeasure
from plantain.records.base import Frozen, read
from plantain.records.study_keys import Inputs

Finite = Annotated[float, Field(allow_inf_nan=False)]


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


class CausalTable(Frozen):
    """``reports/study/causal/<model>/<probe>.json``."""

    schema_: Literal["plantain.causal/1"] = Field(default="plantain.causal/1", alias="schema")
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


def read_causal(path: Path) -> CausalTable:
    """Read the interventions of a cell.

    Raises:
        InputError: they are not of this version.
    """
    return read(path, CausalTable, what="a table of interventions", fix=_FIX.format(path))


def read_causal_draws(path: Path) -> CausalDraws:
    """Read the interventions of an untrained family.

    Raises:
        InputError: they are not of this version.
    """
    return read(path, CausalDraws, what="a table of interventions", fix=_FIX.format(path))
