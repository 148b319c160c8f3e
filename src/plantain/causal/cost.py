"""What interventions will take, in forwards, without running or loading anything (needs no torch)."""

from collections.abc import Sequence
from dataclasses import dataclass

from plantain.causal.heads import HeadSet, blocks_in, first_block
from plantain.records.lock import Geometry


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
