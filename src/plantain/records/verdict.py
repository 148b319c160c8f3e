"""``data/verdicts/<model>/<probe>.json``: how far up the ladder of claims a cell reaches, and what stands beside it."""

from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from plantain.base.errors import restored
from plantain.records.base import ExactNumber, Frozen, absent, read

SCHEMA: Final = "plantain.verdict/1"
NAMES: Final = (
    "differs",
    "reproducible",
    "exceeds paraphrase",
    "exceeds untrained",
    "not token count",
    "every seed and reference",
    "causal",
)
"""The rungs in the order in which they are tested; the first is rung 1."""


class Status(StrEnum):
    """What became of a rung."""

    passed = "passed"
    failed = "failed"
    untested = "not tested"


class RungRecord(Frozen):
    """What became of one rung, numbers to 6 significant digits."""

    rung: int
    name: str
    status: Status
    measures: str = ""
    """What ``number`` is."""
    number: float | None = None
    p: float | None = None
    floor: float | None = None
    """The smallest p that this design can give."""
    reason: str = ""
    """Why it was not passed or not tested."""
    guarantee: str = ""
    not_claimed: str = ""


class Climb(Frozen):
    """How far one contrast got."""

    rung: int
    """The highest rung up to which none is missing."""
    rungs: list[RungRecord]
    sentence: str
    """What may be said, and no more."""
    metrics: dict[str, float]


class TrendRecord(Frozen):
    """The trend over the items' rank, their token count held constant."""

    field: str
    nuisance: str
    threshold: float
    identifiable: bool
    inflation: float | None
    heads_over_unadjusted: int
    heads_over: int | None = Field(default=None, exclude_if=absent)
    """Absent where rank and token count cannot be told apart."""
    p: float | None = Field(default=None, exclude_if=absent)


class LengthRecord(Frozen):
    """What is left of a contrast at item level when the difference in tokens is held at 0."""

    contrast: str
    tokens_fewest: float
    tokens_most: float
    heads_over: int
    heads_over_adjusted: int | str
    """Why it cannot be told, where it cannot."""


class Information(Frozen):
    """Concept information in nats a head, where it was measured; what was not is absent."""

    model: float | None = Field(default=None, exclude_if=absent)
    text: float | None = Field(default=None, exclude_if=absent)
    """Of the prompt embeddings, before the first block."""
    reinit: float | None = Field(default=None, exclude_if=absent)
    """Of re-initialised draws, their mean."""
    shuffle: float | None = Field(default=None, exclude_if=absent)
    untrained_items: list[str] | None = Field(default=None, exclude_if=absent)
    """The items that the draws were run on."""
    model_on_these: float | None = Field(default=None, exclude_if=absent)


class Verdict(Climb):
    """The climb that the verdict rests on, and those of the other contrasts."""

    schema_: Literal["plantain.verdict/1"] = Field(default=SCHEMA, alias="schema")
    probe: str
    model: str
    contrast: str
    """The one that speaks for the cell."""
    analysis: str
    rules_sha256: str
    information: Information
    trend: TrendRecord | None
    """None where items have no rank."""
    length: list[LengthRecord]
    exploratory: dict[str, Climb]
    untrained: dict[str, dict[str, dict[str, ExactNumber]]] = Field(default={})
    """Metrics of the published protocol on untrained versions of the model: by model, by contrast."""


def read_verdict(path: Path) -> Verdict:
    """Read the verdict of a cell.

    Raises:
        InputError: it is missing or damaged.
    """
    return read(path, Verdict, what="a verdict", fix=restored(path))
