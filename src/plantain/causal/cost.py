"""What interventions will take, in forwards, without running or loading anything (needs no torch)."""

from collections.abc import Sequence
from dataclasses import dataclass

from plantain.base.params import VerdictParams
from plantain.causal.heads import HeadSet, blocks_in, first_block
from plantain.probe.halves import CausalDesign
from plantain.records.lock import Geometry, ModelLock


@dataclass(frozen=True)
class SwapCost:
    """Forwards of one piece of work."""

    clean: int
    """Whole passes without a change."""
    swapped: int
    """Swaps; each is computed from its first changed block on."""
    forwards: float
    """All of them in whole passes, a swap counted as the share of the blocks that it runs."""

    def __add__(self, other: "SwapCost") -> "SwapCost":
        return SwapCost(self.clean + other.clean, self.swapped + other.swapped, self.forwards + other.forwards)


def passes_of(geometry: Geometry, sets: Sequence[HeadSet], pairs: int, *, directions: int = 2) -> SwapCost:
    """What it takes to swap every one of ``sets`` in every pair of passes.

    Swaps that share a batch run from the earliest change among them, which is not counted here.

    Args:
        geometry: of the transformer.
        sets: heads that are swapped together.
        pairs: of recipient and donor.
        directions: 2 where each is put into the other, 1 where the donor is put into the recipient alone.
    """
    blocks = blocks_in(geometry)
    share = sum(1.0 - first_block(heads, geometry) / blocks for heads in sets)
    return SwapCost(2 * pairs, pairs * directions * len(sets), pairs * (2 + directions * share))


SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Heads that are swapped together in the curve, as far as there are so many."""
RANDOM_SETS = 3
"""Matched random sets of every size."""
MATCHED = 3
"""Matched random sets beside the chosen one, of its block kinds and of its dose each."""
OTHER_SETS = 5
"""Other probes whose sets are swapped in, at most: a study of many probes must not grow with their square."""
SHOWN_ITEMS = 3
"""Items that pictures are drawn of."""
BOTH_ALONE = 8
"""Swaps that are made both alone and together, to see whether a batch changes them."""
LARGEST_FLOOR_BATCH = 32
"""Passes of the batch in which rounding is measured, at most."""


def curve_sizes(heads: int) -> tuple[int, ...]:
    """The sizes of the curve below all heads."""
    return tuple(size for size in SIZES if size < heads)


def chosen_count(share: float, heads: int) -> int:
    """How many heads the set has."""
    return max(1, round(share * heads))


def can_match(chosen: int, heads: int) -> bool:
    """Whether enough heads are left to match a set by dose."""
    return 2 * chosen <= heads


def floor_batch(batch_size: int) -> int:
    """Passes of the batch in which rounding is measured."""
    return max(2, min(batch_size, LARGEST_FLOOR_BATCH))


def other_probes(probes: Sequence[str], probe: str) -> list[str]:
    """The other probes of a run, those after ``probe`` first, then those before it."""
    at = list(probes).index(probe)
    return [*probes[at + 1 :], *probes[:at]]


def route_pairs(items: Sequence[str]) -> list[int]:
    """The first pair of every item, by place; ``items`` are those of the pairs."""
    return [items.index(item) for item in dict.fromkeys(items)]


def swapped_wordings(design: CausalDesign) -> list[tuple[str, str, str]]:
    """Item and wordings of the pairs of the test half: for every item every second pair of wordings, in turn."""
    wordings = list(zip(design.test.a, design.test.b, strict=False))
    return [(item, a, b) for place, item in enumerate(design.test.items) for a, b in wordings[place % 2 :: 2]]


@dataclass(frozen=True)
class Described:
    """What decides how many rows a table has besides its tests."""

    share: float
    """Of the heads, that are in the set."""
    rules: int
    """Maps by which as many heads are chosen."""
    others: int
    """Other probes whose sets are swapped in."""
    referenced: bool
    """Whether passes have reference tokens."""
    batch_size: int = 1
    rounded: bool = False
    """Whether the model is in a lower precision than float32."""


def swap_cost(design: CausalDesign, heads: HeadSet, geometry: Geometry, draws: int, described: Described) -> SwapCost:
    """What one cell takes, or a family with its draws: choosing, donors, and for a model every row of its table.

    A set of heads counts as a whole pass each time, since which block is its first is known only when it is chosen.

    Args:
        design: halves of wordings and items, decoys and recipients.
        heads: every head.
        geometry: of the transformer.
        draws: of a family; 0 for a model with weights.
        described: what else is described; nothing of it in a family.
    """
    chosen = _choosing(design)
    if draws:
        once = chosen + _donating(design, 1, decoys=False)
        return SwapCost(once.clean * draws, once.swapped * draws, once.forwards * draws)
    pairs, items = len(swapped_wordings(design)), len(design.test.items)
    singles = passes_of(geometry, [HeadSet((head,)) for head in heads], pairs)
    at_image = _wholes(2 * pairs, 2 * pairs * _image_sets(heads, described))
    routes = 3 if described.referenced else 1
    parts = [
        _checking(heads, geometry, described),
        chosen,
        _donating(design, 1 + described.rules, decoys=True),
        singles,
        at_image,
        _wholes(2 * items * routes, 4 * items * routes),
        _wholes(4 * items, 2 * items),
        _drawing(items),
    ]
    return sum(parts, SwapCost(0, 0, 0.0))


def _wholes(clean: int, swapped: int) -> SwapCost:
    return SwapCost(clean, swapped, float(clean + swapped))


def _checking(heads: HeadSet, geometry: Geometry, described: Described) -> SwapCost:
    """The rounding floor, and swaps whose outcome is known."""
    floor = 2 + 2 * floor_batch(described.batch_size) + (2 if described.rounded else 0)
    alone = alone_and_together(heads)
    blocks = blocks_in(geometry)
    share = 2 * sum(1.0 - first_block(one, geometry) / blocks for one in alone)
    known = 2 * 2 + 2
    return SwapCost(2 + floor, known + 2 * len(alone), 2 + floor + known + share)


def alone_and_together(heads: HeadSet) -> list[HeadSet]:
    """Single heads, evenly spaced, that are swapped both alone and in one batch."""
    step = max(1, len(heads) // BOTH_ALONE)
    return [HeadSet((head,)) for head in heads.heads[::step]][:BOTH_ALONE]


def _choosing(design: CausalDesign) -> SwapCost:
    return _wholes((len(design.selection.a) + len(design.selection.b)) * len(design.selection.items), 0)


def _donating(design: CausalDesign, sets: int, *, decoys: bool) -> SwapCost:
    donors, items, into = len(design.test.a) + len(design.test.b), len(design.test.items), len(design.recipients)
    strange = sum(len(one.a) + len(one.b) for one in design.decoys.values()) if decoys else 0
    return _wholes(items * (donors + into + strange), items * into * (donors * sets + strange))


def _image_sets(heads: HeadSet, described: Described) -> int:
    """Sets that are swapped at image tokens: the curve with all heads, the rows, and for some rows all others."""
    matched = MATCHED * (2 if can_match(chosen_count(described.share, len(heads)), len(heads)) else 1)
    return len(curve_sizes(len(heads))) * (2 + RANDOM_SETS) + 1 + 2 * (1 + matched) + described.rules + described.others


def _drawing(items: int) -> SwapCost:
    """Pictures: three sets both ways in a pair of every item shown, and in a neutral sentence from both sides."""
    shown = min(SHOWN_ITEMS, items)
    return _wholes(2 * shown + 1, 6 * shown + 6)


def ranked_draws(lock: ModelLock, rules: VerdictParams) -> int:
    """How many draws of a family have their heads swapped."""
    return min(len(lock.seeds), rules.untrained_draws + 1)
