"""``summary.json``: what the analyze stage found in a cell, for every contrast and analysis."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from plantain.base.errors import restored
from plantain.base.params import WordingMeasure
from plantain.records.base import ExactNumber, Frozen, read

SCHEMA: Final = "plantain.summary/1"


class BlockRow(Frozen):
    """What one part of one transformer block shows."""

    block_kind: str
    block: int
    part: str
    stream: str
    units: int
    """Alive ones."""
    max_abs_t: float | None
    over_t3: int
    median_abs_d: float | None
    median_abs_effect: float | None
    lower_bound: int | None
    """At least so many units of the block differ, all blocks at once; None where that was not asked."""


class SignFlipNull(Frozen):
    """The sign-flip null of one analysis. The keys are ``t3`` and ``t5``."""

    flips: int
    """The observed sign pattern counted."""
    exact: bool
    flip_space: float | str
    """How many flips there are: a number, or the text ``2^n`` where it is beyond a float."""
    smallest_p: float
    mean: dict[str, float | None]
    p99: dict[str, float | None]
    """Null where the identity is the only flip."""
    p99_interval: dict[str, list[float | None]]
    """95% interval for Monte Carlo error; an end is None where so few flips do not bound it."""


class SplitHalves(Frozen):
    """Agreement of the t maps of two halves of the items; None for what the sample does not define."""

    r: list[float | None]
    """One a split; None where a half does not vary."""
    median: float | None
    q25: float | None
    q75: float | None
    spearman_brown: float | None
    jackknife_interval: list[float | None] | None
    null_p: float | None


class AnalysisSummary(Frozen):
    """One analysis of one contrast."""

    role: str
    unit: str
    tokens: str
    measure: str
    a: list[str]
    b: list[str]
    exploratory: bool
    metrics: dict[str, ExactNumber]
    """Those that exist."""
    blocks: list[BlockRow]
    null: SignFlipNull
    split_half: SplitHalves
    sentences: list[str]
    warnings: list[str]


class VectorSummary(Frozen):
    """One contrast by a vector measure, at the level of wordings."""

    role: str
    tokens: list[str]
    a: list[str]
    b: list[str]
    metrics: dict[str, ExactNumber]
    """Those that exist."""
    sentence: str


class Summary(Frozen):
    """``data/stats/<model>/<probe>/summary.json``."""

    schema_: Literal["plantain.summary/1"] = Field(default=SCHEMA, alias="schema")
    probe: str
    model: str
    contrasts: dict[str, dict[str, AnalysisSummary]]
    """By contrast and analysis."""
    vectors: dict[str, dict[WordingMeasure, VectorSummary]] = Field(default={})
    """By contrast and vector measure; none in summaries of older revisions."""


def read_summary(source: Path | bytes, file: Path | str | None = None) -> Summary:
    """Read the summary of a cell.

    Raises:
        InputError: it is missing or damaged.
    """
    place = source if isinstance(source, Path) else Path(str(file))
    return read(source, Summary, what="the summary of a cell", fix=restored(place), file=place)
