"""Clean passes: what a pass without any change gave, and what is needed to go on from any of its blocks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from plantain.base.errors import InputError
from plantain.capture.means.token_sets import Layout
from plantain.causal.heads import TokenRoute
from plantain.model.geometry import Projection
from plantain.records.keys import Pass

_STREAMS = ("hidden_states", "encoder_hidden_states")
"""What a block changes; all else that it is called with is the same in every block of its kind."""

_FIX = "use diffusers' Flux2Transformer2DModel, unchanged and not compiled."


@dataclass(frozen=True)
class BlockInput:
    """What one block was called with."""

    image: Tensor
    """(1, positions, width): image tokens in a joint block, all tokens in a single one."""
    text: Tensor | None
    """(1, positions, width) in a joint block."""
    rest: Mapping[str, Any]
    """Modulation and rotary embedding, the same for every row."""


@dataclass(frozen=True)
class Kept:
    """Attention output at the input of a projection."""

    values: Tensor
    """(positions, attention width), in the model's dtype."""
    first: int
    """Position of the first of them in the projection's stream."""

    def at(self, span: tuple[int, int]) -> Tensor:
        """The positions of ``span`` in the projection's stream."""
        return self.values[span[0] - self.first : span[1] - self.first]

    def holds(self, span: tuple[int, int]) -> bool:
        """Whether all of ``span`` was kept."""
        return self.first <= span[0] and span[1] <= self.first + len(self.values)


@dataclass(frozen=True, eq=False)
class CleanPass:
    """One pass as the model makes it."""

    asked: Pass
    layout: Layout
    velocity: Tensor
    """At the noise tokens, float32 (positions, channels), on the CPU."""
    attention: Mapping[int, Kept]
    """Place of a projection to the attention output that it sees."""
    blocks: tuple[BlockInput, ...]
    """What every block was called with, joint ones first."""
    modulation: Tensor
    """What modulates the final norm."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Text, noise and reference positions: what passes must share to be swapped between."""
        return self.layout.text_length, self.layout.noise, self.layout.reference


def span_of(layout: Layout, tokens: TokenRoute, stream: str) -> tuple[int, int]:
    """First and past-the-last position of ``tokens`` in a projection's stream; equal where there are none."""
    if tokens is TokenRoute.text:
        return (0, layout.text_length) if stream != "image" else (0, 0)
    if stream == "text":
        return 0, 0
    start = layout.text_length if stream == "all" else 0
    middle = start + layout.noise
    last = middle + layout.reference
    return {TokenRoute.noise: (start, middle), TokenRoute.reference: (middle, last)}.get(tokens, (start, last))


class Recorder:
    """What the hooks of one clean forward saw."""

    def __init__(self, projections: Sequence[Projection], layout: Layout, routes: Sequence[TokenRoute]) -> None:
        self.attention: dict[int, Kept] = {}
        self.blocks: list[BlockInput] = []
        self.modulation: Tensor | None = None
        self._projections, self._layout, self._routes = projections, layout, routes

    def block(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Take what a block is called with."""
        if arguments or _STREAMS[0] not in named:
            raise InputError(f"a {type(module).__name__} was called in another way than expected.", fix=_FIX)
        rest = {name: value for name, value in named.items() if name not in _STREAMS}
        self.blocks.append(BlockInput(named[_STREAMS[0]], named.get(_STREAMS[1]), rest))

    def projection(self, index: int, _module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """Take a copy of the attention channels that a projection sees at the wanted tokens."""
        one = self._projections[index]
        spans = [span_of(self._layout, tokens, one.stream) for tokens in self._routes]
        spans = [span for span in spans if span[1] > span[0]]
        if spans:
            first, last = min(span[0] for span in spans), max(span[1] for span in spans)
            self.attention[index] = Kept(arguments[0][0, first:last, : one.attention_width].clone(), first)

    def norm(self, _module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """Take what modulates the final norm."""
        self.modulation = arguments[1]


@contextmanager
def recording(transformer: Any, recorder: Recorder, projections: Sequence[Projection]) -> Iterator[None]:
    """Hook blocks, projections and the final norm for one forward; no hook is left, whatever happens.

    Raises:
        InputError: on leaving, if a block did not run exactly once.
    """
    handles: list[Any] = []
    try:
        for block in stack_of(transformer):
            handles.append(block.register_forward_pre_hook(recorder.block, with_kwargs=True))
        for index, one in enumerate(projections):
            handles.append(one.module.register_forward_pre_hook(partial(recorder.projection, index)))
        handles.append(transformer.norm_out.register_forward_pre_hook(recorder.norm))
        yield
    finally:
        for handle in handles:
            handle.remove()
    if len(recorder.blocks) != len(stack_of(transformer)) or recorder.modulation is None:
        raise InputError(f"{len(recorder.blocks)} of {len(stack_of(transformer))} blocks ran in one pass.", fix=_FIX)


def stack_of(transformer: Any) -> list[nn.Module]:
    """Every block in the order in which they run."""
    return [*transformer.transformer_blocks, *transformer.single_transformer_blocks]


def resume(transformer: Any, clean: CleanPass, start: int, rows: int) -> Tensor:
    """Go on with a clean pass from block ``start``, ``rows`` times over, as ``Flux2Transformer2DModel.forward`` does.

    Returns:
        The velocity at all image tokens, (rows, positions, channels), in the model's dtype.
    """
    joint = transformer.transformer_blocks
    begin = clean.blocks[start]
    image = _repeated(begin.image, rows)
    if start < len(joint):
        text = _repeated(begin.text, rows)
        for index in range(start, len(joint)):
            inputs = dict(zip(_STREAMS, (image, text), strict=True))
            text, image = joint[index](**inputs, **clean.blocks[index].rest)
        image = torch.cat([text, image], dim=1)
    for index in range(max(start, len(joint)), len(clean.blocks)):
        block = transformer.single_transformer_blocks[index - len(joint)]
        image = block(hidden_states=image, encoder_hidden_states=None, **clean.blocks[index].rest)
    image = transformer.norm_out(image[:, clean.layout.text_length :, ...], clean.modulation)
    found: Tensor = transformer.proj_out(image)
    return found


def _repeated(values: Any, rows: int) -> Any:
    return values if rows == 1 else values.expand(rows, -1, -1).contiguous()
