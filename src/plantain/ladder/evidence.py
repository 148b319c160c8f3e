"""What a ladder is climbed with, and what becomes of each rung."""

from dataclasses import dataclass

from plantain.base.params import Method
from plantain.records.verdict import Status
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
    own: int
    """Heads of the model over the threshold."""
    draws: tuple[int, ...]
    """Heads over the threshold, one count a draw. Counts know no order of heads: nothing aligns them."""
    heads: int
    """Heads that are alive in the model."""
    itself: int = 0
    """Draws that were left out because they are the model itself."""


@dataclass(frozen=True)
class Replica:
    """The larger p of rungs 3 and 5 in one cell of noise seed and reference image."""

    seed: int
    reference: str
    p: float


@dataclass(frozen=True)
class Evidence:
    """What a ladder is climbed with. Rows are items or wordings; seeds and references are averaged beforehand."""

    differences: Floats
    """Side a minus side b, ``(items, heads)``."""
    a: Floats
    """A row a wording of side a, averaged over items, seeds and references, ``(wordings a, heads)``."""
    b: Floats
    """``(wordings b, heads)``."""
    reliability: Reliability | None
    strata: tuple[str, ...] | None = None
    """Labels of equal token count, of a then b; None where a wording has none."""
    unequal: str = ""
    """Why the strata are not of equal token count; empty where they are."""
    flip_blocks: tuple[str, ...] | None = None
    families: tuple[Family, ...] = ()
    missing: str = ""
    """Why a family of untrained draws is not here."""
    replicas: tuple[Replica, ...] = ()
    unrepeated: str = ""
    """Why a table of further seeds and references does not serve; empty where there is none, or it does."""
    has_reference: bool = False
