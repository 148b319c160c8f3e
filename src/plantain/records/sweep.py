"""Sweep tables: what wordings give at other noise levels than a run's own, and what of that stands beside a verdict.

They are kept in git as the other tables of the study are. They describe: no rung rests on one.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from plantain.base.params import WordingMeasure
from plantain.records.base import Frozen, absent, read
from plantain.records.study_keys import Inputs

NoiseLevel = Annotated[float, Field(gt=0, le=1)]
Chance = Annotated[float, Field(gt=0, le=1)]


class LevelTest(Frozen):
    """The test of wordings at one noise level, floats to 6 significant digits."""

    sigma: NoiseLevel
    heads_lower_bound: Annotated[int, Field(ge=0)]
    """Heads that separate the sides more than rewording does, at least so many at this level alone."""
    alive: Annotated[int, Field(ge=0)]
    """Heads that could."""
    p: Chance
    floor: Chance
    """The smallest p that the design can give."""
    delta: float | None
    """Median over heads of the shift in standard deviations between wordings; null where no head has one."""
    concept_information: float


ByMeasure = dict[WordingMeasure, Annotated[list[LevelTest], Field(min_length=1)]]
"""The levels by every measure that the captures kept, from pure noise down."""


class SweptContrast(Frozen):
    """One contrast at every level."""

    inputs: Inputs
    """What decided the numbers beside the level, by name."""
    against: str | None = Field(default=None, exclude_if=absent)
    """The control whose frames the contrast's own are held against, where that is how it is compared."""
    measures: ByMeasure


class SweepTable(Frozen):
    """``reports/study/sweeps/<model>/<probe>.json``."""

    schema_: Literal["plantain.sweep/1"] = Field(default="plantain.sweep/1", alias="schema")
    model: str
    probe: str
    items: list[str]
    seed: Annotated[int, Field(ge=0)]
    """The noise seed."""
    sigmas: Annotated[list[NoiseLevel], Field(min_length=1)]
    """From pure noise down."""
    contrasts: dict[str, SweptContrast]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Every measure has a number at every level."""
        if sorted(set(self.sigmas), reverse=True) != self.sigmas:
            raise ValueError("its noise levels are not in descending order, or one stands twice")
        for name, one in self.contrasts.items():
            for measure, levels in one.measures.items():
                if [level.sigma for level in levels] != self.sigmas:
                    raise ValueError(f"contrast {name} has other noise levels by {measure} than the table")
        return self


class Levels(Frozen):
    """What a sweep says beside a verdict: a description that decides nothing."""

    contrasts: dict[str, ByMeasure] = Field(default={})
    """The contrasts for which the table is what this cell would give."""
    problems: dict[str, str] = Field(default={})
    """Contrast to why its numbers are not shown."""
    items: int
    """On how many items."""
    own: NoiseLevel
    """That of the run itself."""
    twins: dict[str, dict[str, ByMeasure]] = Field(default={})
    """The same of untrained versions of the model."""


def read_sweep(path: Path) -> SweepTable:
    """Read a sweep table.

    Raises:
        InputError: it is not one of this version.
    """
    fix = f"bring it back with `git checkout {path}`, or make it anew with `plantain run --study`."
    return read(path, SweepTable, what="a sweep over noise levels", fix=fix)
