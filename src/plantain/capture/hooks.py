"""Hooks that reduce what a projection sees to group mean squares and mean vectors, and never outlive their use.

Which of torch's attention kernels computes, and whether blocks are compiled, changes the last bits of a result, so both
are in the keys. The plain way, which is the default, is the only one whose values are those of the plain pipeline call
bit for bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.params import AttentionKernel, CaptureParams
from plantain.model.geometry import Projection, projections
from plantain.records.activations import TOKENS
from plantain.records.lock import stored_width

_CHUNK = 1 << 22
"""Values taken to float32 at a time (16 MiB), so that a hook needs no copy of a whole activation."""

_WAITING = 1 << 22
"""Group means that may wait to be reduced together (16 MiB)."""


class _Stop(Exception):
    """Every projection has been seen; the rest of the forward would compute what nobody reads."""


class NotFinite(Exception):
    """A mean is infinite or no number, although its token set has tokens."""

    def __init__(self, row: int, projection: str, tokens: str) -> None:
        self.row = row
        """Row of the batch."""
        self.projection = projection
        """Name of the first projection that saw such values."""
        self.tokens = tokens
        """The token set, one of :data:`TOKENS`."""
        super().__init__(f"row {row}, {projection}, {tokens}")


Span = tuple[int, int]
"""First and past-the-last position."""

Spans = tuple[Span, ...]


@dataclass(frozen=True)
class Layout:
    """Where each token set stands in a pass: [text and pad | noise | reference] unless told otherwise."""

    text: tuple[Span, ...]
    """Real text among the text positions, one span a row of the batch."""
    text_length: int
    """Text positions, padding included."""
    noise: int
    reference: int
    """Positions of the image to be denoised and of the conditioning image."""
    later: tuple[Spans, ...] = ()
    """Further spans of real text of every row, where a second encoder's tokens follow the first's."""
    image_first: bool = False
    """Whether the image stands before the text where a projection sees both."""
    ahead: int = 0
    """Positions before the text that belong to no set."""
    multiple: int = 1
    """Text and image are each filled up to a multiple of so many: what fills the text is padding, what fills the image
    belongs to no set."""
    trimmed: bool = False
    """Whether a projection that sees image and text sees no padding."""

    def counts(self) -> list[list[int]]:
        """Positions in each token set, (rows, tokens)."""
        real = [sum(last - first for first, last in self._real(row)) for row in range(len(self.text))]
        return [[n, self._texts - self.ahead - n, self.noise, self.reference] for n in real]

    def length(self, stream: str) -> int:
        """Positions that a projection of ``stream`` sees."""
        text = 0 if stream == "image" else self._trim if self.trimmed and stream == "all" else self._texts
        return text + (self._images if stream != "text" else 0)

    def spans(self, row: int, stream: str) -> dict[int, Spans]:
        """Position in :data:`TOKENS` to the spans that a projection of ``stream`` sees; empty sets are left out."""
        both = stream == "all"
        found: dict[int, Spans] = {}
        if stream != "image":
            start = self.ahead + (self._images if both and self.image_first else 0)
            real = self._real(row)
            rest = () if both and self.trimmed else _gaps(real, self._texts - self.ahead)
            found = {0: _moved(real, start), 1: _moved(rest, start)}
        if stream != "text":
            start = self.length("all") - self._images if both and not self.image_first else 0
            middle = start + self.noise
            found |= {2: ((start, middle),), 3: ((middle, middle + self.reference),)}
        filled = {index: tuple(span for span in spans if span[1] > span[0]) for index, spans in found.items()}
        return {index: spans for index, spans in filled.items() if spans}

    def weights(self, stream: str) -> NDArray[np.float32]:
        """What averages what a projection of ``stream`` sees over the token sets among it, (rows, tokens, positions).

        0 throughout for empty sets.
        """
        seen = range(len(TOKENS))[_SEEN[stream]]
        found = np.zeros((len(self.text), len(seen), self.length(stream)), dtype=np.float32)
        for row in range(len(self.text)):
            for index, spans in self.spans(row, stream).items():
                for first, last in spans:
                    found[row, index - seen.start, first:last] = 1.0 / sum(end - start for start, end in spans)
        return found

    def _real(self, row: int) -> Spans:
        return (self.text[row], *(self.later[row] if self.later else ()))

    @property
    def _texts(self) -> int:
        return _filled(self.ahead + self.text_length, self.multiple)

    @property
    def _images(self) -> int:
        return _filled(self.noise + self.reference, self.multiple)

    @property
    def _trim(self) -> int:
        return self.ahead + max(row[0] for row in self.counts())


def _filled(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _moved(spans: Spans, by: int) -> Spans:
    return tuple((first + by, last + by) for first, last in spans)


def _gaps(spans: Spans, length: int) -> Spans:
    """What ``spans`` leave of ``length`` positions."""
    edges = [0, *(edge for span in spans for edge in span), length]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


_SEEN = {"text": slice(0, 2), "image": slice(2, 4), "all": slice(0, 4)}
"""Positions in :data:`TOKENS` of what projections of a stream see."""


@lru_cache(maxsize=4)
def _weights(layout: Layout, device: torch.device) -> dict[str, torch.Tensor]:
    """Stream to what averages the positions that its projections see over the token sets among them."""
    return {stream: torch.from_numpy(layout.weights(stream)).to(device) for stream in _SEEN}


class Vectors:
    """Mean vectors over token sets of what the attention heads of one forward gave: one small product a projection.

    Heads that no text can reach have none.
    """

    def __init__(self, projections: Sequence[Projection], layout: Layout) -> None:
        self._projections, self._layout = projections, layout
        self._alive = [index for index, one in enumerate(projections) if not one.dead]
        self._weights = _weights(layout, projections[0].module.weight.device)
        self._found: dict[int, torch.Tensor] = {}

    def add(self, index: int, first: int, part: torch.Tensor) -> None:
        """Take some positions of what the projection at ``index`` sees, float32 (rows, positions, channels)."""
        projection = self._projections[index]
        if projection.dead:
            return
        # Where blocks are offloaded, their weights are elsewhere until they run.
        weights, positions = self._weights[projection.stream].to(part.device), part.shape[1]
        if positions != weights.shape[2]:
            weights = weights[:, :, first : first + positions]
        if projection.mlp_width:
            part = part[:, :, : projection.attention_width]
        found = torch.bmm(weights, part)
        self._found[index] = self._found[index] + found if first else found

    def means(self) -> NDArray[np.float32]:
        """(rows, tokens, heads, channels of the widest head), NaN for a set that a row has no tokens of.

        The heads of a set are those of the projections that see it, in their order; where fewer see text than image, or
        the other way round, the last are NaN. A narrower head has zeros behind its channels, which change no inner
        product.

        Raises:
            NotFinite: a value of a set that has tokens is not finite.
        """
        found = self._empty()
        for (stream, width), members in self._alike().items():
            values = torch.cat([self._found[index] for index in members], dim=-1).cpu().numpy()
            values = values.reshape(*values.shape[:2], -1, width)
            if not np.isfinite(values).all():
                raise self._not_finite()
            for seen in ("text", "image") if stream == "all" else (stream,):
                offset = _SEEN[stream].start
                tokens = slice(_SEEN[seen].start - offset, _SEEN[seen].stop - offset)
                heads = self._places(seen, members)
                found[:, _SEEN[seen], heads, :width] = values[:, tokens]
                found[:, _SEEN[seen], heads, width:] = 0.0
        absent = np.array(self._layout.counts()) == 0
        if absent.any():
            found[absent] = np.nan
        return found

    def _empty(self) -> NDArray[np.float32]:
        alive = [self._projections[index] for index in self._alive]
        heads = max(sum(one.heads for one in alive if one.stream in ("all", kind)) for kind in _ENDS)
        width = max(one.head_width for one in alive)
        return np.full((len(self._layout.text), len(TOKENS), heads, width), np.nan, dtype=np.float32)

    def _alike(self) -> dict[tuple[str, int], list[int]]:
        """Stream and width of the heads to the projections that have them."""
        members: dict[tuple[str, int], list[int]] = {}
        for index in self._alive:
            one = self._projections[index]
            members.setdefault((one.stream, one.head_width), []).append(index)
        return members

    def _places(self, seen: str, members: Sequence[int]) -> slice | NDArray[np.int64]:
        """Where the heads of some projections stand among those that see text, or image."""
        counts = [0 if one.dead or one.stream not in ("all", seen) else one.heads for one in self._projections]
        ends = np.cumsum(counts)
        places = np.concatenate([np.arange(ends[index] - counts[index], ends[index]) for index in members])
        joined = int(places[-1]) - int(places[0]) + 1 == len(places)
        return slice(int(places[0]), int(places[-1]) + 1) if joined else places

    def _not_finite(self) -> NotFinite:
        """The first row, then token set, then projection with such a value."""
        bad = []
        for index in self._alive:
            one, values = self._projections[index], self._found[index].cpu().numpy()
            for row, token in np.argwhere(~np.isfinite(values).all(axis=-1)):
                bad.append((int(row), int(token) + _SEEN[one.stream].start, index))
        row, token, index = min(bad)
        return NotFinite(row, self._projections[index].name, TOKENS[token])


_ENDS = ("text", "image")


Each = Callable[[int, torch.Tensor], None]
"""Told the first position of a chunk, and its values in float32."""


class Capture:
    """What the hooks of one forward saw, reduced as it comes.

    Group means of several projections wait for one another, so that a small model pays for few operations; those of a
    large one are reduced to token sets at once.
    """

    def __init__(
        self, projections: Sequence[Projection], layout: Layout, group_width: int, *, vectors: bool = False
    ) -> None:
        self.fired: set[str] = set()
        """Names of the projections that ran."""
        self.layout = layout
        """Token sets of the pass."""
        self._projections, self._group_width = projections, group_width
        self._waiting: list[tuple[int, torch.Tensor]] = []
        self._values = 0
        self._pieces: dict[tuple[int, int, int], torch.Tensor] = {}
        self._vectors = Vectors(projections, layout) if vectors else None

    def add(self, index: int, activation: torch.Tensor) -> None:
        """Take what the projection at ``index`` sees, (rows, positions, channels)."""
        means = token_means(activation, self._group_width, self._each(index))
        self._waiting.append((index, means))
        self._values += means.numel()
        self.fired.add(self._projections[index].name)
        if self._values > _WAITING:
            self._reduce()

    def _each(self, index: int) -> Each | None:
        return None if self._vectors is None else partial(self._vectors.add, index)

    def vectors(self) -> NDArray[np.float32] | None:
        """As :meth:`Vectors.means`; None where none were asked for."""
        return None if self._vectors is None else self._vectors.means()

    def mean_square(self) -> torch.Tensor:
        """float32 (rows, tokens, groups), NaN where a set is empty or not seen.

        Raises:
            NotFinite: a value of a set that has tokens is not finite.
        """
        self._reduce()
        widths = [_width(projection) // self._group_width for projection in self._projections]
        device = next(iter(self._pieces.values())).device
        absent = torch.full((max(widths),), float("nan"), device=device)
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
                for token, spans in self.layout.spans(row, stream).items():
                    parts = [stacked[:, row, first:last] for first, last in spans]
                    found = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).mean(1).unbind(0)
                    self._pieces |= {(row, token, index): one for (index, _), one in zip(members, found, strict=True)}
        self._waiting, self._values = [], 0


class Taps:
    """One hook on every projection, for as many forwards as are wanted.

    All projections share one function: compiled blocks are compiled once for all of them, with the hooks that they had
    then, and the hook itself stays out of what is compiled.
    """

    def __init__(
        self, projections: Sequence[Projection], group_width: int, *, compiled: bool = False, vectors: bool = False
    ) -> None:
        """Put the hooks in place.

        Args:
            projections: in the order of the group axis.
            group_width: channels in a group.
            compiled: whether the blocks around the projections are compiled.
            vectors: whether mean vectors are taken too.
        """
        self._projections, self._group_width, self._vectors = projections, group_width, vectors
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
        self._capture = Capture(self._projections, layout, self._group_width, vectors=self._vectors)
        self._stop = stop
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
def reducing(
    projections: Sequence[Projection], layout: Layout, group_width: int, *, stop: bool, vectors: bool = False
) -> Iterator[Capture]:
    """Hook every projection for one forward alone; as :meth:`Taps.watch`.

    Raises:
        InputError: as :meth:`Taps.watch`.
    """
    taps = Taps(projections, group_width, vectors=vectors)
    try:
        with taps.watch(layout, stop=stop) as capture:
            yield capture
    finally:
        taps.remove()


def token_means(activation: torch.Tensor, group_width: int, each: Each | None = None) -> torch.Tensor:
    """Mean of x² over each group's channels, float32: (rows, positions, channels) to (rows, positions, groups).

    ``each`` is handed every chunk of positions, so that a low precision is converted once for all that is reduced.
    """
    rows, positions, channels = activation.shape
    step = max(1, _CHUNK // (rows * channels))
    parts = []
    for first in range(0, positions, step):
        part = activation[:, first : first + step].float()
        parts.append(part.view(*part.shape[:2], channels // group_width, group_width).square().mean(-1))
        if each is not None:
            each(first, part)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _width(projection: Projection) -> int:
    return int(projection.attention_width + projection.mlp_width)


def _refuse_other(projection: Projection, activation: torch.Tensor, capture: Capture) -> None:
    name, seen = projection.name, tuple(activation.shape)
    expected = (len(capture.layout.text), capture.layout.length(projection.stream), _width(projection))
    if seen != expected:
        fix = "use the plain pipeline, without key-value caching, token merging or tensor parallelism."
        raise InputError(f"{name} saw a tensor of shape {seen} where {expected} was expected.", fix=fix)
    if name in capture.fired:
        fix = "a pass is one transformer call: set the guidance scale to 1 and take one step."
        raise InputError(f"{name} ran twice in one pass.", fix=fix)


def _refuse_unseen(projections: Sequence[Projection], capture: Capture) -> None:
    missing = [projection.name for projection in projections if projection.name not in capture.fired]
    if missing:
        seen = f"no hook fired; the first of {len(missing)} projections is {missing[0]}"
        some = f"{len(missing)} of {len(projections)} projections never ran, the first of them {missing[0]}"
        fix = "the transformer computes its attention in another way than diffusers' own class does; use that."
        raise InputError(f"{some if capture.fired else seen}.", fix=fix)


def use_kernel(transformer: Any, kernel: AttentionKernel) -> None:
    """Let the transformer compute its attention by another kernel of torch than torch's own choice.

    diffusers makes it the choice of every model of the process too, which is put back.
    """
    if kernel is AttentionKernel.native:
        return
    from diffusers.models.attention_dispatch import attention_backend

    with attention_backend():
        transformer.set_attention_backend(f"_native_{kernel}")


Watch = Callable[[Layout], AbstractContextManager[Capture]]


def watcher(transformer: Any, params: CaptureParams) -> Watch:
    """Set the transformer up as ``params`` say; a context manager that sees one forward of it."""
    use_kernel(transformer, params.attention)
    hooked = projections(transformer)
    width = stored_width(hooked, params.group_width)
    if not params.compile:
        return partial(reducing, hooked, group_width=width, stop=True, vectors=params.grams)
    taps = Taps(hooked, width, compiled=True, vectors=params.grams)
    transformer.compile_repeated_blocks()
    return partial(taps.watch, stop=True)


def is_missing_kernel(error: BaseException) -> bool:
    """Whether torch has no attention kernel of the wanted kind for these tensors."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("no available kernel" in text or "no viable backend" in text)
