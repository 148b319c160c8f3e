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


def swap_cost(design: CausalDesign, heads: HeadSet, geometry: Geometry, draws: int) -> SwapCost:
    """What one cell takes, or a family with its draws: choosing, donors, and for a model every head and the curve.

    Args:
        design: halves of wordings and items, and recipients.
        heads: every head.
        geometry: of the transformer.
        draws: of a family; 0 for a model with weights.
    """
    selection, test = design.selection, design.test
    donors, items = len(test.a) + len(test.b), len(test.items)
    clean = (len(selection.a) + len(selection.b)) * len(selection.items) + items * (donors + len(design.recipients))
    swapped = items * donors * len(design.recipients)
    once = SwapCost(clean, swapped, float(clean + swapped))
    if draws:
        return SwapCost(once.clean * draws, once.swapped * draws, once.forwards * draws)
    pairs = sum(len(range(place % 2, min(len(test.a), len(test.b)), 2)) for place in range(items))
    singles = passes_of(geometry, [HeadSet((head,)) for head in heads], pairs)
    sizes = [size for size in SIZES if size < len(heads)]
    sets = len(sizes) * (2 + RANDOM_SETS)
    return once + singles + SwapCost(2 * pairs, 2 * pairs * sets, float(2 * pairs * (1 + sets)))


def ranked_draws(lock: ModelLock, rules: VerdictParams) -> int:
    """How many draws of a family have their heads swapped."""
    return min(len(lock.seeds), rules.untrained_draws + 1)
