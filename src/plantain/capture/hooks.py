"""Hooks that reduce what a projection sees to group mean squares, and never outlive their use; and how it is computed.

Which of torch's attention kernels computes, and whether blocks are compiled, changes the last bits of a result, so both
are in the keys. The plain way, which is the default, is the only one whose values are those of the plain pipeline call
bit for bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from plantain.base.errors import InputError
from plantain.base.params import AttentionKernel, CaptureParams
from plantain.model.geometry import Projection, projections
from plantain.records.activations import TOKENS

_CHUNK = 1 << 22
"""Values squared in float32 at a time (16 MiB), so that a hook needs no copy of a whole activation."""

_WAITING = 1 << 22
"""Group means that may wait to be reduced together (16 MiB)."""


class _Stop(Exception):
    """Every projection has been seen; the rest of the forward would compute what nobody reads."""


class NotFinite(Exception):
    """A mean square is infinite or no number, although its token set has tokens."""

    def __init__(self, row: int, projection: str, tokens: str) -> None:
        self.row = row
        """Row of the batch."""
        self.projection = projection
        """Name of the first projection that saw such values."""
        self.tokens = tokens
        """The token set, one of :data:`TOKENS`."""
        super().__init__(f"row {row}, {projection}, {tokens}")


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


class Capture:
    """What the hooks of one forward saw, reduced as it comes.

    Group means of several projections wait for one another, so that a small model pays for few operations; those of a
    large one are reduced to token sets at once.
    """

    def __init__(self, projections: Sequence[Projection], layout: Layout, group_width: int) -> None:
        self.fired: set[str] = set()
        """Names of the projections that ran."""
        self.layout = layout
        """Token sets of the pass."""
        self._projections, self._group_width = projections, group_width
        self._waiting: list[tuple[int, torch.Tensor]] = []
        self._values = 0
        self._pieces: dict[tuple[int, int, int], torch.Tensor] = {}

    def add(self, index: int, activation: torch.Tensor) -> None:
        """Take what the projection at ``index`` sees, (rows, positions, channels)."""
        means = token_means(activation, self._group_width)
        self._waiting.append((index, means))
        self._values += means.numel()
        self.fired.add(self._projections[index].name)
        if self._values > _WAITING:
            self._reduce()

    def mean_square(self) -> torch.Tensor:
        """float32 (rows, tokens, groups), NaN where a set is empty or not seen.

        Raises:
            NotFinite: a value of a set that has tokens is not finite.
        """
        self._reduce()
        widths = [_width(projection) // self._group_width for projection in self._projections]
        absent = torch.full((max(widths),), float("nan"), device=self._projections[0].module.weight.device)
        rows = range(len(self.layout.text))
        found = torch.stack(
            [torch.stack([self._along(r, t, widths, absent) for t in range(len(TOKENS))]) for r in rows]
        )
        # One sum for all: what is absent is not finite either, and is left out of both counts.
        if int(found.isfinite().sum()) != sum(piece.numel() for piece in self._pieces.values()):
            raise self._not_finite()
        return found

    def _not_finite(self) -> NotFinite:
        bad = [(at, row, token) for (row, token, at), piece in self._pieces.items() if not piece.isfinite().all()]
        index, row, token = min(bad)
        return NotFinite(row, self._projections[index].name, TOKENS[token])

    def _along(self, row: int, token: int, widths: Sequence[int], absent: torch.Tensor) -> torch.Tensor:
        pieces = [self._pieces.get((row, token, index), absent[:width]) for index, width in enumerate(widths)]
        return torch.cat(pieces)

    def _reduce(self) -> None:
        alike: dict[tuple[str, int], list[tuple[int, torch.Tensor]]] = {}
        for index, means in self._waiting:
            alike.setdefault((self._projections[index].stream, means.shape[-1]), []).append((index, means))
        for (stream, _), members in alike.items():
            stacked = torch.stack([means for _, means in members]) if len(members) > 1 else members[0][1][None]
            for row in range(len(self.layout.text)):
                for token, (first, last) in self.layout.spans(row, stream).items():
                    found = stacked[:, row, first:last].mean(1).unbind(0)
                    self._pieces |= {(row, token, index): one for (index, _), one in zip(members, found, strict=True)}
        self._waiting, self._values = [], 0


class Taps:
    """One hook on every projection, for as many forwards as are wanted.

    All projections share one function: compiled blocks are compiled once for all of them, with the hooks that they had
    then, and the hook itself stays out of what is compiled.
    """

    def __init__(self, projections: Sequence[Projection], group_width: int, *, compiled: bool = False) -> None:
        """Put the hooks in place.

        Args:
            projections: in the order of the group axis.
            group_width: channels in a group.
            compiled: whether the blocks around the projections are compiled.
        """
        self._projections, self._group_width = projections, group_width
        self._places = {id(projection.module): index for index, projection in enumerate(projections)}
        self._capture: Capture | None = None
        self._stop = False
        # Kept apart, since it loads torch's compiler.
        hook = torch.compiler.disable(self._take) if compiled else self._take  # type: ignore[no-untyped-call]
        self._handles = [projection.module.register_forward_pre_hook(hook) for projection in projections]

    @contextmanager
    def watch(self, layout: Layout, *, stop: bool) -> Iterator[Capture]:
        """See one forward, which the body of the ``with`` runs.

        Args:
            layout: token sets of the pass.
            stop: leave the forward as soon as every projection has been seen.

        Raises:
            InputError: on leaving, if a projection never ran, ran twice, or saw something else than ``layout`` says.
        """
        self._capture, self._stop = Capture(self._projections, layout, self._group_width), stop
        try:
            with suppress(_Stop):
                yield self._capture
            _refuse_unseen(self._projections, self._capture)
        finally:
            self._capture = None

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def _take(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if self._capture is None:
            return
        index = self._places[id(module)]
        _refuse_other(self._projections[index], inputs[0], self._capture)
        self._capture.add(index, inputs[0])
        if self._stop and len(self._capture.fired) == len(self._projections):
            raise _Stop


@contextmanager
def reducing(projections: Sequence[Projection], layout: Layout, group_width: int, *, stop: bool) -> Iterator[Capture]:
    """Hook every projection for one forward alone; as :meth:`Taps.watch`.

    Raises:
        InputError: as :meth:`Taps.watch`.
    """
    taps = Taps(projections, group_width)
    try:
        with taps.watch(layout, stop=stop) as capture:
            yield capture
    finally:
        taps.remove()


def token_means(activation: torch.Tensor, group_width: int) -> torch.Tensor:
    """Mean of x² over each group's channels, float32: (rows, positions, channels) to (rows, positions, groups)."""
    rows, positions, channels = activation.shape
    step = max(1, _CHUNK // (rows * channels))
    grouped = activation.view(rows, positions, channels // group_width, group_width)
    parts = [grouped[:, first : first + step].float().square().mean(-1) for first in range(0, positions, step)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _width(projection: Projection) -> int:
    return int(projection.attention_width + projection.mlp_width)


def _refuse_other(projection: Projection, activation: torch.Tensor, capture: Capture) -> None:
    name, seen = projection.name, tuple(activation.shape)
    expected = (len(capture.layout.text), capture.layout.length(projection.stream), _width(projection))
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


Watch = Callable[[Layout], AbstractContextManager[Capture]]


def watcher(transformer: Any, params: CaptureParams) -> Watch:
    """Set the transformer up as ``params`` say; a context manager that sees one forward of it."""
    if params.attention is not AttentionKernel.native:
        transformer.set_attention_backend(f"_native_{params.attention}")
    hooked = projections(transformer)
    if not params.compile:
        return partial(_alone, hooked, params.group_width)
    taps = Taps(hooked, params.group_width, compiled=True)
    transformer.compile_repeated_blocks()
    return partial(taps.watch, stop=True)


def is_missing_kernel(error: BaseException) -> bool:
    """Whether torch has no attention kernel of the wanted kind for these tensors."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("no available kernel" in text or "no viable backend" in text)


def _alone(hooked: Any, group_width: int, layout: Layout) -> AbstractContextManager[Capture]:
    return reducing(hooked, layout, group_width, stop=True)
