"""Study tables: what untrained draws of a model score on a probe, and what further noise seeds and images say.

They are kept in git so that a verdict need not compute them again. A table is addressed by what it was made from, see
:mod:`plantain.records.study_keys`; a verdict uses it only where that is what the cell at hand was made from.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from plantain.base.params import Method, WordingMeasure
from plantain.records.base import Frozen, Kind, read
from plantain.records.study_keys import Inputs


class Drawn(Frozen):
    """One contrast by one measure, one entry a draw."""

    counts: list[Annotated[int, Field(ge=0)]]
    """Heads over the threshold over templates."""
    pivots: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(default=[])
    """The largest pivot, which rung 4 ranks; none in tables of older revisions, which serve no cell."""
    concept_information: list[Annotated[float, Field(allow_inf_nan=False)]]
    effective_wordings: list[float | None] = Field(default=[])
    """How many independent wordings the smaller side is worth, see `plantain.stats.dispersion.effective_rows`."""

    @property
    def draws(self) -> set[int]:
        """For how many draws its lists have numbers: one size, where it is whole."""
        return {len(self.counts), len(self.concept_information), len(self.pivots) or len(self.counts)}


class DrawnContrast(Drawn):
    """One contrast by log RMS, and by the vector measures."""

    inputs: Inputs
    """What decided the numbers, by name."""
    vectors: dict[WordingMeasure, Drawn] = Field(default={})
    """None in tables of older revisions, or where the capture kept no Gram matrices."""

    def by(self, measure: WordingMeasure) -> Drawn | None:
        """The numbers of one measure."""
        return self if measure is WordingMeasure.log_rms else self.vectors.get(measure)


class NullTable(Frozen):
    """``reports/study/nulls/<family>/<probe>.json``."""

    schema_: Literal["plantain.null/1"] = Field(default="plantain.null/1", alias="schema")
    family: str
    method: Method
    of: str
    probe: str
    items: list[str]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Noise seeds."""
    draws: Annotated[list[str], Field(min_length=1)]
    """Digest of each draw's transformer weights."""
    contrasts: dict[str, DrawnContrast]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Every contrast has a number of every draw, and no item stands twice."""
        for name, one in self.contrasts.items():
            if any(drawn.draws != {len(self.draws)} for drawn in (one, *one.vectors.values())):
                sizes = f"{len(one.counts)} counts, {len(one.concept_information)} values of information"
                sizes += f" and {len(one.pivots)} pivots"
                raise ValueError(f"contrast {name} has {sizes} for {len(self.draws)} draws")
        if len(set(self.items)) < len(self.items) or (self.contrasts and not self.items):
            raise ValueError("its items are none, or one stands twice")
        return self


ReplicatedCells = list[tuple[Annotated[int, Field(ge=0)], str, Annotated[float, Field(gt=0, le=1)]]]
"""Noise seed, reference label, and the larger p of rungs 3 and 5."""


class ReplicatedContrast(Frozen):
    """One contrast in every cell of noise seed and reference image."""

    inputs: Inputs
    cells: ReplicatedCells
    """By log RMS."""
    vectors: dict[WordingMeasure, ReplicatedCells] = Field(default={})

    def by(self, measure: WordingMeasure) -> ReplicatedCells | None:
        """The cells by one measure."""
        return self.cells if measure is WordingMeasure.log_rms else self.vectors.get(measure)


class ReplicationTable(Frozen):
    """``reports/study/replications/<model>/<probe>.json``."""

    schema_: Literal["plantain.replication/1"] = Field(default="plantain.replication/1", alias="schema")
    model: str
    probe: str
    items: list[str]
    contrasts: dict[str, ReplicatedContrast]


def read_null(path: Path) -> NullTable:
    """Read a null table.

    Raises:
        InputError: it is not one of this version.
    """
    return _read(path, NullTable)


def read_replications(path: Path) -> ReplicationTable:
    """Read a table of replications.

    Raises:
        InputError: it is not one of this version.
    """
    return _read(path, ReplicationTable)


def _read(path: Path, kind: type[Kind]) -> Kind:
    fix = f"bring it back with `git checkout {path}`, or make it anew with `plantain run --study`."
    return read(path, kind, what="a table of the study", fix=fix)
