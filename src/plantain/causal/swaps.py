"""Swaps: heads' outputs in one pass replaced by those of another, many swaps of one recipient at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from plantain.base.errors import CheckFailed, InputError
from plantain.causal.clean import CleanPass, span_of
from plantain.causal.heads import Head, HeadSet, TokenRoute
from plantain.model.geometry import Projection

__all__ = ["Head", "HeadSet", "Swap", "Swapper", "TokenRoute", "refuse_unfit", "swapping"]


@dataclass(frozen=True, eq=False)
class Swap:
    """One intervention: the attention output of ``heads`` at ``tokens`` comes from ``donor``."""

    donor: CleanPass
    heads: HeadSet
    tokens: TokenRoute = TokenRoute.image

    def __str__(self) -> str:
        asked = self.donor.asked
        return f"the swap of {len(self.heads)} heads at {self.tokens} tokens from '{asked.condition}' of '{asked.item}'"


class Swapper:
    """The hooks of one batch, a row a swap, and what they did."""

    def __init__(self, projections: Sequence[Projection], recipient: CleanPass, swaps: Sequence[Swap]) -> None:
        self._projections, self._recipient, self._swaps = projections, recipient, swaps
        self._places = sorted({place for swap in swaps for place in swap.heads.projections})
        self._fired = dict.fromkeys(self._places, 0)
        self._changed: list[Tensor | None] = [None] * len(swaps)

    @property
    def places(self) -> list[int]:
        """The projections that see a change."""
        return self._places

    @property
    def fired(self) -> int:
        """How often a hook ran."""
        return sum(self._fired.values())

    def take(self, place: int, _module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """Put the donors' values into what a projection sees; MLP channels are not looked at.

        They are put in place: the block has just computed this tensor, for the projection alone, and a copy of it
        would be a fifth of what a batch needs.
        """
        self._fired[place] += 1
        one = self._projections[place]
        layout, values = self._recipient.layout, arguments[0]
        expected = (len(self._swaps), layout.length(one.stream), one.attention_width + one.mlp_width)
        if tuple(values.shape) != expected:
            found = f"{one.name} saw a tensor of shape {tuple(values.shape)} where {expected} was expected."
            raise InputError(found, fix="use diffusers' Flux2Transformer2DModel, unchanged.")
        for row, swap in enumerate(self._swaps):
            first, last = span_of(layout, swap.tokens, one.stream)
            for start, stop in swap.heads.runs(place):
                channels = slice(start * one.head_width, stop * one.head_width)
                given = swap.donor.attention[place].at((first, last))[:, channels]
                self._note(row, (values[row, first:last, channels] != given).any())
                values[row, first:last, channels] = given

    def _note(self, row: int, differs: Tensor) -> None:
        known = self._changed[row]
        self._changed[row] = differs if known is None else known | differs

    def check(self) -> None:
        """Whether every swap was made.

        Raises:
            CheckFailed: a projection did not run exactly once; or a swap changed nothing, though its donor is another
                pass than the recipient.
        """
        for place, times in self._fired.items():
            if times != 1:
                raise CheckFailed(f"the hook on {self._projections[place].name} ran {times} times in one swapped pass.")
        for swap, changed in zip(self._swaps, self._changed, strict=True):
            if swap.donor is not self._recipient and (changed is None or not bool(changed)):
                asked = self._recipient.asked
                raise CheckFailed(
                    f"{swap} changed nothing in '{asked.condition}' of '{asked.item}': both passes have the same "
                    "values there. Fix: use wordings that the model reads differently."
                )


@contextmanager
def swapping(swapper: Swapper, projections: Sequence[Projection]) -> Iterator[None]:
    """Hook the projections that see a change for one forward; no hook is left, whatever happens.

    Raises:
        CheckFailed: on leaving, as :meth:`Swapper.check`.
    """
    handles: list[Any] = []
    try:
        for place in swapper.places:
            handles.append(projections[place].module.register_forward_pre_hook(partial(swapper.take, place)))
        yield
    finally:
        for handle in handles:
            handle.remove()
    swapper.check()


def refuse_unfit(projections: Sequence[Projection], recipient: CleanPass, swap: Swap) -> None:
    """Refuse a swap that cannot be made.

    Raises:
        InputError: no head; a head that is not there, or whose projection does not see the tokens; a pass without such
            tokens; a donor of another shape, or one that did not keep them.
    """
    if not len(swap.heads):
        raise InputError("a swap names no head.", fix="give it at least one.")
    if swap.donor.shape != recipient.shape:
        found = f"donor and recipient differ in their tokens (text, noise, reference): {swap.donor.shape}"
        raise InputError(f"{found} and {recipient.shape}.", fix="swap between passes with references of one size.")
    for head in swap.heads:
        _refuse_head(projections, recipient, swap, head)


def _refuse_head(projections: Sequence[Projection], recipient: CleanPass, swap: Swap, head: Head) -> None:
    if not 0 <= head.projection < len(projections) or not 0 <= head.head < projections[head.projection].heads:
        raise InputError(f"there is no head {head.head} at projection {head.projection}.", fix="take `all_heads`.")
    one = projections[head.projection]
    span = span_of(recipient.layout, swap.tokens, one.stream)
    if one.stream not in swap.tokens.streams or span[0] == span[1]:
        fix = "choose among `all_heads` of the same tokens; reference tokens need a reference."
        raise InputError(f"{one.name} sees no {swap.tokens} tokens in this pass.", fix=fix)
    kept = swap.donor.attention.get(head.projection)
    if kept is None or not kept.holds(span):
        fix = f"name TokenRoute.{swap.tokens} among the `routes` of the theatre."
        raise InputError(f"the donor's pass kept no {swap.tokens} tokens at {one.name}.", fix=fix)


def is_finite(values: Tensor) -> bool:
    """Whether every value is."""
    return bool(torch.isfinite(values).all())
