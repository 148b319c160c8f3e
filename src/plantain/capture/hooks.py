"""Hooks that reduce what a projection sees to group mean squares, and never outlive their use."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import torch

from plantain.capture.activations import TOKENS
from plantain.errors import InputError
from plantain.model.geometry import Projection

_CHUNK = 1 << 22
"""Values squared in float32 at a time (16 MiB), so that a hook needs no copy of a whole activation."""


class _Stop(Exception):
    """Every projection has been seen; the rest of the forward would compute what nobody reads."""


@dataclass(frozen=True)
class Layout:
    """Where each token set stands in a pass: [text and pad | noise | reference]."""

    text: tuple[tuple[int, int], ...]
    """First and past-the-last position of real text, one pair a row of the batch."""
    text_length: int
    """Text positions, padding included."""
    noise: int
    reference: int
    """Positions of the image to be denoised and of the conditioning image."""

    def counts(self) -> list[list[int]]:
        """Positions in each token set, (rows, tokens)."""
        real = [last - first for first, last in self.text]
        return [[n, self.text_length - n, self.noise, self.reference] for n in real]

    def length(self, stream: str) -> int:
        """Positions that a projection of ``stream`` sees."""
        text = self.text_length if stream != "image" else 0
        return text + (self.noise + self.reference if stream != "text" else 0)

    def spans(self, row: int, stream: str) -> dict[int, tuple[int, int]]:
        """Position in :data:`TOKENS` to the span that a projection of ``stream`` sees; empty sets are left out."""
        first, last = self.text[row]
        pad = (last, self.text_length) if first == 0 else (0, first)
        image = self.text_length if stream == "all" else 0
        middle = image + self.noise
        found = {0: (first, last), 1: pad} if stream != "image" else {}
        if stream != "text":
            found |= {2: (image, middle), 3: (middle, middle + self.reference)}
        return {index: span for index, span in found.items() if span[1] > span[0]}


@dataclass
class Capture:
    """What the hooks of one forward filled in."""

    mean_square: torch.Tensor
    """float32 (rows, tokens, groups), NaN where a set is empty or not seen."""
    fired: set[str] = field(default_factory=set)
    """Names of the projections that ran."""


def group_count(projections: Sequence[Projection], group_width: int) -> int:
    """Length of the group axis."""
    return sum(_width(projection) // group_width for projection in projections)


@contextmanager
def reducing(projections: Sequence[Projection], layout: Layout, group_width: int, *, stop: bool) -> Iterator[Capture]:
    """Hook every projection for one forward; the body of the ``with`` runs that forward.

    Args:
        projections: in the order of the group axis.
        layout: token sets of the pass.
        group_width: channels in a group.
        stop: leave the forward as soon as every projection has been seen.

    Raises:
        InputError: on leaving, if a projection never ran, ran twice, or saw something else than ``layout`` says.
    """
    device = projections[0].module.weight.device
    shape = (len(layout.text), len(TOKENS), group_count(projections, group_width))
    capture = Capture(torch.full(shape, float("nan"), dtype=torch.float32, device=device))
    handles = []
    start = 0
    try:
        for projection in projections:
            width = _width(projection) // group_width
            target = capture.mean_square[:, :, start : start + width]
            done = len(projections) if stop else None
            hook = _hook(projection, layout, group_width, capture, target=target, stop_after=done)
            handles.append(projection.module.register_forward_pre_hook(hook))
            start += width
        with suppress(_Stop):
            yield capture
        _refuse_unseen(projections, capture)
    finally:
        for handle in handles:
            handle.remove()


def token_means(activation: torch.Tensor, group_width: int) -> torch.Tensor:
    """Mean of x² over each group's channels, float32: (rows, positions, channels) to (rows, positions, groups)."""
    rows, positions, channels = activation.shape
    step = max(1, _CHUNK // (rows * channels))
    grouped = activation.view(rows, positions, channels // group_width, group_width)
    parts = [grouped[:, first : first + step].float().square().mean(-1) for first in range(0, positions, step)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _hook(
    projection: Projection,
    layout: Layout,
    group_width: int,
    capture: Capture,
    *,
    target: torch.Tensor,
    stop_after: int | None,
) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], None]:
    spans = [
        (row, first, last, target[row, index])
        for row in range(len(layout.text))
        for index, (first, last) in layout.spans(row, projection.stream).items()
    ]

    expected = (len(layout.text), layout.length(projection.stream), _width(projection))

    def reduce(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        _refuse_other(projection.name, expected, tuple(inputs[0].shape), capture)
        means = token_means(inputs[0], group_width)
        for row, first, last, place in spans:
            torch.mean(means[row, first:last], 0, out=place)
        capture.fired.add(projection.name)
        if len(capture.fired) == stop_after:
            raise _Stop

    return reduce


def _width(projection: Projection) -> int:
    return int(projection.attention_width + projection.mlp_width)


def _refuse_other(name: str, expected: tuple[int, ...], seen: tuple[int, ...], capture: Capture) -> None:
    if seen != expected:
        fix = "use a plain FLUX.2 pipeline, without key-value caching, token merging or tensor parallelism."
        raise InputError(f"{name} saw a tensor of shape {seen} where {expected} was expected.", fix=fix)
    if name in capture.fired:
        fix = "a pass is one transformer call: set the guidance scale to 1 and take one step."
        raise InputError(f"{name} ran twice in one pass.", fix=fix)


def _refuse_unseen(projections: Sequence[Projection], capture: Capture) -> None:
    missing = [projection.name for projection in projections if projection.name not in capture.fired]
    if missing:
        seen = f"no hook fired; the first of {len(missing)} projections is {missing[0]}"
        some = f"{len(missing)} of {len(projections)} projections never ran, the first of them {missing[0]}"
        fix = "the transformer computes its attention in another way than diffusers' Flux2 classes do; use those."
        raise InputError(f"{some if capture.fired else seen}.", fix=fix)
