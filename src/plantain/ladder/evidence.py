"""What a ladder is climbed with, and what becomes of each rung."""

from dataclasses import dataclass

from plantain.base.params import Method, WordingMeasure
from plantain.measure.plan import Rows
from plantain.probe.spec import Decides
from plantain.records.causal import CausalTable, LabelledTest
from plantain.records.verdict import DesignRecord, Status
from plantain.stats.validate import Floats


@dataclass(frozen=True)
class Rung:
    """One rung of one ladder."""

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
    """Why it failed or was not tested."""
    guarantee: str = ""
    """What passing says, with the numbers; empty where it was not passed."""
    not_claimed: str = ""


@dataclass(frozen=True)
class Reliability:
    """Split-half agreement of the item-level t maps, items of the two halves disjoint."""

    spearman_brown: float
    null_p: float
    floor: float
    """1 / flips of its null."""


@dataclass(frozen=True)
class Family:
    """One family of untrained draws beside the model, on the same items, wordings, noise and references."""

    name: str
    method: Method
    own: float
    """The ranked statistic of the model."""
    draws: tuple[float, ...]
    """The same of every draw. It knows no order of heads: nothing aligns them."""
    heads: int
    """Heads that are alive in the model."""
    counts: tuple[int, ...] = ()
    """Heads over the threshold, one count a draw: where nearly all are, no draw can be exceeded."""
    itself: int = 0
    """Draws that were left out because they are the model itself."""


@dataclass(frozen=True)
class Replica:
    """The larger p of rungs 3 and 5 in one cell of noise seed and reference image."""

    seed: int
    reference: str
    p: float


@dataclass(frozen=True)
class ControlEvidence:
    """A control that decides about the target."""

    name: str
    decides: Decides
    target: Floats | None = None
    """Of the words: frames of the target, side a minus side b, ``(frames, heads)``; None where these are not to be
    had."""
    control: Floats | None = None
    """The same of the control."""
    problem: str = ""
    """Why target and control cannot be compared."""
    own: Rows | None = None
    """The control's own sides; None where its clusters are too few."""
    own_problem: str = ""


@dataclass(frozen=True)
class CausalEvidence:
    """What swapped heads did, beside the same of untrained draws."""

    tests: tuple[LabelledTest, ...] = ()
    """Gate, donors and selection, in this order; empty where none was made."""
    own: float = 0.0
    """The donors' statistic of the model."""
    families: tuple[Family, ...] = ()
    """The same of every draw, each with a set of its own."""
    problem: str = ""
    """Why rung 7 cannot be tested."""
    table: CausalTable | None = None
    """All that was found, where it is of this cell's inputs."""


@dataclass(frozen=True)
class Evidence:
    """What a ladder is climbed with. Rows are items or wordings; seeds and references are averaged beforehand."""

    differences: Floats
    """Side a minus side b, ``(items, heads)``."""
    a: Floats
    """A row a wording of side a, averaged over items, seeds and references, ``(wordings a, heads)``; where the words
    decide, a row a frame, side a minus side b. Of vector measures ``(rows, heads, dimensions)``."""
    b: Floats
    """``(wordings b, heads)``; where the words decide, frames of the control."""
    reliability: Reliability | None
    measure: WordingMeasure = WordingMeasure.log_rms
    """What wordings are compared by; items are by magnitude."""
    clusters: tuple[int, ...] | None = None
    """Which rows are one piece of evidence, a label each, of a then b; None: each is its own."""
    frames: tuple[str | None, ...] | None = None
    """The frame of each row, of a then b."""
    few: str = ""
    """Why the rows cannot be exchanged, known before any number; empty where they can."""
    against: str = ""
    """The control of the same words whose frames are in ``b``; empty where a and b are the two sides."""
    crossed: tuple[Floats, Floats] | None = None
    """The rows of ``a`` and ``b`` item by item, ``(rows, items, heads)``."""
    design: DesignRecord | None = None
    """What is compared, for the record."""
    controls: tuple[ControlEvidence, ...] = ()
    strata: tuple[str, ...] | None = None
    """Labels of equal token count, of a then b; None where a wording has none."""
    equal: bool = False
    """Whether every frame holds sentences of equal token count for every item, so that rung 3 is rung 5."""
    unequal: str = ""
    """Why the token count cannot be held equal; empty where it can."""
    flip_blocks: tuple[str, ...] | None = None
    families: tuple[Family, ...] = ()
    missing: str = ""
    """Why a family of untrained draws is not here."""
    replicas: tuple[Replica, ...] = ()
    unrepeated: str = ""
    """Why a table of further seeds and references does not serve; empty where there is none, or it does."""
    has_reference: bool = False
    causal: CausalEvidence | None = None
    """None where no head was swapped."""

    @property
    def rows(self) -> Rows:
        """What is compared from rung 3 on."""
        return Rows(self.a, self.b, self.clusters, self.frames)
