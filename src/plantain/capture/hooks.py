"""Hooks that reduce what a projection sees to group mean squares and mean vectors, and never outlive their use.

Which of torch's attention kernels computes, and whether blocks are compiled, changes the last bits of a result, so both
are in the keys. The plain way, which is the default, is the only one whose values are those of the plain pipeline call
bit for bit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

import torch

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams
from plantain.capture.kernels import use_kernel
from plantain.capture.means.mean_vectors import set_weights
from plantain.capture.means.set_means import SetMeans, Tap, twice, unlike
from plantain.capture.means.span_means import SpanMeans
from plantain.capture.means.token_sets import Layout
from plantain.capture.overlap import transfer
from plantain.model.geometry import Projection, projections
from plantain.records.lock import stored_width

Capture = SpanMeans | SetMeans
"""What the hooks of one forward saw."""


class _Stop(Exception):
    """Every projection has been seen; the rest of the forward would compute what nobody reads."""


class Taps:
    """One hook on every projection, for as many forwards as are wanted.

    All projections share one function, and what differs between them stands beside the modules: compiled blocks are
    compiled once for all of them, together with the hooks that they had then.
    """

    def __init__(
        self,
        projections: Sequence[Projection],
        group_width: int,
        *,
        vectors: bool = False,
        compiled: bool = False,
        after: Iterable[torch.nn.Module] = (),
    ) -> None:
        """Put the hooks in place.

        Args:
            projections: in the order of the group axis.
            group_width: channels in a group.
            vectors: whether mean vectors are taken too.
            compiled: whether the blocks around the projections are compiled.
            after: modules outside of these blocks, before which a forward can be left.
        """
        self._projections, self._group_width, self._vectors = projections, group_width, vectors
        self._device = projections[0].module.weight.device
        self._by_sets = compiled or transfer.carrier_for(self._device).late
        self._places = {id(projection.module): index for index, projection in enumerate(projections)}
        self._taps = [Tap(one, group_width, vectors=vectors) for one in projections] if self._by_sets else []
        self._capture: Capture | None = None
        self._stop = False
        for projection, tap in zip(projections, self._taps, strict=False):
            projection.module.plantain_tap = tap  # type: ignore[assignment]
        hook = _tapped if compiled else self._take
        self._handles = [projection.module.register_forward_pre_hook(hook) for projection in projections]
        self._handles += [module.register_forward_pre_hook(self._leave) for module in after]

    @contextmanager
    def watch(self, layout: Layout, *, stop: bool) -> Iterator[Capture]:
        """See one forward, which the body of the ``with`` runs.

        Args:
            layout: token sets of the pass.
            stop: leave the forward as soon as every projection has been seen.

        Raises:
            InputError: on leaving, if a projection never ran, ran twice, or saw something else than ``layout`` says.
        """
        self._capture = self._begun(layout)
        self._stop = stop
        try:
            with suppress(_Stop):
                yield self._capture
            _refuse_unseen(self._projections, self._capture)
        finally:
            self._capture = None
            for tap in self._taps:
                tap.weights = None

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        for projection, _ in zip(self._projections, self._taps, strict=False):
            del projection.module.plantain_tap

    def _begun(self, layout: Layout) -> Capture:
        if not self._by_sets:
            return SpanMeans(self._projections, layout, self._group_width, vectors=self._vectors)
        weights = set_weights(layout, self._device)
        for projection, tap in zip(self._projections, self._taps, strict=True):
            tap.weights, tap.squares, tap.vectors = weights[projection.stream], None, None
        return SetMeans(self._projections, self._taps, layout, vectors=self._vectors)

    def _take(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        capture = self._capture
        if capture is None:
            return
        if isinstance(capture, SetMeans):
            _tapped(module, inputs)
        else:
            index = self._places[id(module)]
            _refuse_other(self._projections[index], inputs[0], capture)
            capture.add(index, inputs[0])
        self._leave()

    def _leave(self, *_: Any) -> None:
        if self._stop and self._capture is not None and len(self._capture.fired) == len(self._projections):
            raise _Stop


def _tapped(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """A hook that a compiler can follow."""
    module.plantain_tap.take(inputs[0])  # type: ignore[operator]


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


def _refuse_other(projection: Projection, activation: torch.Tensor, capture: SpanMeans) -> None:
    seen = tuple(activation.shape)
    expected = (len(capture.layout.text), capture.layout.length(projection.stream), projection.width)
    if seen != expected:
        raise unlike(projection.name, seen, expected)
    if projection.name in capture.fired:
        raise twice(projection.name)


def _refuse_unseen(projections: Sequence[Projection], capture: Capture) -> None:
    missing = [projection.name for projection in projections if projection.name not in capture.fired]
    if missing:
        seen = f"no hook fired; the first of {len(missing)} projections is {missing[0]}"
        some = f"{len(missing)} of {len(projections)} projections never ran, the first of them {missing[0]}"
        fix = "the transformer computes its attention in another way than diffusers' own class does; use that."
        raise InputError(f"{some if capture.fired else seen}.", fix=fix)


Watch = Callable[[Layout], AbstractContextManager[Capture]]


def watcher(transformer: Any, params: CaptureParams) -> Watch:
    """Set the transformer up as ``params`` say; a context manager that sees one forward of it."""
    use_kernel(transformer, params.attention)
    hooked = projections(transformer)
    width = stored_width(hooked, params.group_width)
    if not params.compile:
        return partial(reducing, hooked, group_width=width, stop=True, vectors=params.grams)
    taps = Taps(hooked, width, vectors=params.grams, compiled=True, after=_outside(transformer, hooked))
    transformer.compile_repeated_blocks()
    return partial(taps.watch, stop=True)


def _outside(transformer: torch.nn.Module, hooked: Sequence[Projection]) -> list[torch.nn.Module]:
    """What the transformer calls before and after its blocks."""
    inside = {projection.name.split(".", maxsplit=1)[0] for projection in hooked}
    return [module for name, module in transformer.named_children() if name not in inside]
