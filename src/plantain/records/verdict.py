"""``data/verdicts/<model>/<probe>.json``: how far up the ladder of claims a cell reaches, and what stands beside it.

It holds what the cell decides alone. What depends on the other probes of the run is `plantain.records.holm`.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from plantain.base.errors import restored
from plantain.base.params import WordingMeasure
from plantain.records.base import ExactNumber, Frozen, absent, read
from plantain.records.causal import CausalTable
from plantain.records.sweep import Levels

SCHEMA: Final = "plantain.verdict/2"
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
REPORTED: Final = 2
"""The rung that is a number beside the others: it gates nothing, and no climb ends there."""


class Status(StrEnum):
    """What became of a rung."""

    passed = "passed"
    failed = "failed"
    untested = "not tested"
    reported = "reported"
    """A number that decides nothing."""


class Weighed(StrEnum):
    """What a deciding control says of the target."""

    differs = "differs"
    """Of the words: heads tell the target's frames from the control's, so that words alone are excluded."""
    lexical = "lexical"
    """Of the words: the control separates its own sides, and the target was not shown to differ from it."""
    alike = "not told apart"
    """Of the words: the target was not shown to differ from the control, nor the control to separate its sides."""
    passes = "passes"
    """Of the picture: the same change without the target's words separates its own sides."""
    fails = "fails"
    """Of the picture: it was not shown to."""
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


class TieRecord(Frozen):
    """Wordings of one side that are one piece of evidence."""

    reason: str
    wordings: list[str]
    shared: str
    """The word, or the frame; empty for copies."""


class DesignRecord(Frozen):
    """What is compared from rung 3 on, fixed before any number."""

    scheme: str
    """``frames``, ``clusters``, or ``control``: frames of the contrast with frames of the control of its words."""
    wordings: list[int]
    """Of side a and of side b."""
    rows: list[int]
    """Of either set: what is exchanged."""
    floor: float | None
    """The smallest p that these rows can give; null where nothing can be exchanged."""
    control: str | None = Field(default=None, exclude_if=absent)
    ties: list[TieRecord]
    problem: str = ""
    """Why nothing can be compared."""


class SpreadRecord(Frozen):
    """Whether the rows of one side scatter more than those of the other."""

    ratio: float | None
    """Standard deviation between rows of side a over that of side b, median over heads; null where b has none."""
    p: float
    floor: float
    significant: bool
    """Whether rung 3 may have been passed by spread alone: never where labels are exchanged within frames."""


class ControlRecord(Frozen):
    """What a deciding control says of the target."""

    contrast: str
    decides: str
    outcome: Weighed
    p: float | None
    """Of the words: of the difference between target and control. Of the picture: of the control's own sides."""
    floor: float | None
    number: int | None
    """Heads that tell target and control apart, or the control's sides; lower bound."""
    own_p: float | None
    """Of the control's own sides, its rung 3."""
    reason: str
    """What this says, or why it was not tested."""

    @property
    def of_words(self) -> bool:
        """Whether it has the target's words, and not its change of the picture."""
        return self.decides == "words"


class BothRecord(Frozen):
    """Heads that differ over items and over wordings at once."""

    measures: str
    number: int
    p: float


class Climb(Frozen):
    """How far one contrast got."""

    rung: int
    """The highest rung up to which none is missing, the reported one left aside."""
    rungs: list[RungRecord]
    sentence: str
    """What may be said, and no more."""
    metrics: dict[str, float]
    design: DesignRecord | None = None
    """None in records of older revisions."""
    spread: SpreadRecord | None = None
    """None where there is nothing to compare."""
    controls: list[ControlRecord] = Field(default=[])
    """Those of the probe that decide about this contrast."""
    both: BothRecord | None = None


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
    effective_wordings: float | None = Field(default=None, exclude_if=absent)
    """How many independent wordings the smaller side is worth in re-initialised draws, their mean."""


class RankRecord(Frozen):
    """The model's statistic among those of untrained draws, each with a set of heads of its own."""

    family: str
    draws: int
    largest: float
    """Of the draws."""
    p: float


class SwapsRecord(Frozen):
    """What heads did when they were swapped between wordings, of the contrast that the verdict rests on."""

    alpha: float
    """What a p is held against."""
    problem: str = ""
    """Why there is no table of this cell's inputs; empty where there is one."""
    table: CausalTable | None = Field(default=None, exclude_if=absent)
    ranks: list[RankRecord] = Field(default=[])


class Verdict(Climb):
    """The climb that the verdict rests on, and those of the other contrasts."""

    schema_: Literal["plantain.verdict/1", "plantain.verdict/2"] = Field(default=SCHEMA, alias="schema")
    """Those of revision 1 held what became of the claim among those of other probes, which is not read from there."""
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
    measure: WordingMeasure = WordingMeasure.log_rms
    """What the confirmatory climb compares wordings by."""
    measures: dict[WordingMeasure, Climb] = Field(default={})
    """The climbs of the same contrast by the other measures; exploratory."""
    levels: Levels | None = Field(default=None, exclude_if=absent)
    """The same at other noise levels, a description; absent where no sweep was made."""
    swaps: SwapsRecord | None = Field(default=None, exclude_if=absent)
    """Absent in records of older revisions."""


def read_verdict(source: Path | bytes, file: Path | None = None) -> Verdict:
    """Read the verdict of a cell; ``file`` says where ``source`` is from where that is bytes.

    Raises:
        InputError: it is missing or damaged.
    """
    place = source if isinstance(source, Path) else file
    return read(source, Verdict, what="a verdict", fix=restored(place or Path()), file=place)
