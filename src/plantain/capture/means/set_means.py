"""Mean squares by one product with the token sets: for an accelerator, and where blocks are compiled.

A few operations a projection, whatever the prompt, and no Python that a compiler cannot follow: what a hook knows and
finds are plain attributes of an object beside the module, so that blocks of one class are compiled once for all of
them, with the reduction in it. Values agree with those by spans (:mod:`plantain.capture.means.span_means`) up to the
order of float32 sums.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plantain.base.errors import InputError
from plantain.capture.means.mean_vectors import Vectors
from plantain.capture.means.token_sets import SEEN, Layout
from plantain.capture.not_finite import NotFinite
from plantain.capture.overlap import transfer
from plantain.model.geometry import Projection
from plantain.records.activations import TOKENS


class Tap:
    """What stands beside one projection during a forward."""

    def __init__(self, projection: Projection, group_width: int, *, vectors: bool) -> None:
        self.name = projection.name
        self.width = projection.width
        self.weights: Tensor | None = None
        """(rows, tokens that it sees, positions): what averages over them; None between forwards."""
        self.squares: Tensor | None = None
        """Mean squares, float32 (rows, tokens that it sees, groups), once it ran."""
        self.vectors: Tensor | None = None
        """Mean vectors, float32 (rows, tokens that it sees, channels); None where none are wanted."""
        self._group_width = group_width
        self._vector_width = projection.attention_width if vectors and not projection.dead else 0

    def take(self, seen: Tensor) -> None:
        """Reduce what the projection sees, (rows, positions, channels).

        Raises:
            InputError: it saw another shape, or something in this forward already.
        """
        if self.weights is None:
            return
        weights = self.weights.to(seen.device)  # offloaded blocks compute elsewhere than their weights are
        rows, _, positions = weights.shape
        if seen.shape[0] != rows or seen.shape[1] != positions or seen.shape[2] != self.width:
            raise unlike(self.name, tuple(seen.shape), (rows, positions, self.width))
        if self.squares is not None:
            raise twice(self.name)
        self.squares = set_means(seen, weights, self._group_width)
        if self._vector_width:
            self.vectors = torch.bmm(weights, seen[:, :, : self._vector_width].float())


def set_means(seen: Tensor, weights: Tensor, group_width: int) -> Tensor:
    """Mean of x² over each group's channels and each token set: (rows, tokens, groups).

    The norm is one operation that reads a low precision and adds up in float32, without a copy of the activation.
    """
    grouped = seen.view(*seen.shape[:2], -1, group_width)
    norms = torch.linalg.vector_norm(grouped, dim=-1, dtype=torch.float32)
    return torch.bmm(weights, norms.square() / group_width)


class SetMeans:
    """What the taps of one forward found."""

    def __init__(
        self, projections: Sequence[Projection], taps: Sequence[Tap], layout: Layout, *, vectors: bool
    ) -> None:
        self.layout = layout
        """Token sets of the pass."""
        self._projections, self._taps = projections, taps
        self._vectors = Vectors(projections, layout) if vectors else None
        self._groups: list[int] = []
        self._arriving: transfer.Arriving | None = None

    @property
    def fired(self) -> set[str]:
        """Names of the projections that ran, until :meth:`leave`."""
        return {tap.name for tap in self._taps if tap.squares is not None}

    def leave(self) -> None:
        """Send what was found to the host; the taps are free for the next forward."""
        if self._arriving is not None:
            return
        found = [tap.squares for tap in self._taps if tap.squares is not None]
        self._groups = [one.shape[-1] for one in found]
        joined = [torch.cat([found[index] for index in some], dim=-1) for some in self._alike().values()]
        self._arriving = transfer.carrier_for(joined[0].device).down(joined)
        if self._vectors is not None:
            for index, tap in enumerate(self._taps):
                if tap.vectors is not None:
                    self._vectors.put(index, tap.vectors)
            self._vectors.leave()
        for tap in self._taps:
            tap.squares = tap.vectors = None

    def vectors(self) -> NDArray[np.float32] | None:
        """As :meth:`Vectors.means`; None where none were asked for."""
        self.leave()
        return None if self._vectors is None else self._vectors.means()

    def mean_square(self) -> NDArray[np.float32]:
        """(rows, tokens, groups), NaN where a set is empty or not seen.

        Raises:
            NotFinite: a value of a set that has tokens is not finite.
        """
        self.leave()
        assert self._arriving is not None  # it left
        parts = self._parts(self._arriving())
        self._refuse_infinite(parts)
        shape = (len(self.layout.text), len(TOKENS), sum(part.shape[-1] for part in parts))
        found, first = np.full(shape, np.nan, dtype=np.float32), 0
        for projection, part in zip(self._projections, parts, strict=True):
            found[:, SEEN[projection.stream], first : first + part.shape[-1]] = part
            first += part.shape[-1]
        found[np.array(self.layout.counts()) == 0] = np.nan
        return found

    def _alike(self) -> dict[str, list[int]]:
        """Stream to the projections that see it."""
        members: dict[str, list[int]] = {}
        for index, one in enumerate(self._projections):
            members.setdefault(one.stream, []).append(index)
        return members

    def _parts(self, arrived: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """What was found of each projection, in their order."""
        found: dict[int, NDArray[np.float32]] = {}
        for members, values in zip(self._alike().values(), arrived, strict=True):
            ends = np.cumsum([self._groups[index] for index in members])
            found |= dict(zip(members, np.split(values, ends[:-1], axis=-1), strict=True))
        return [found[index] for index in range(len(self._projections))]

    def _refuse_infinite(self, parts: Sequence[NDArray[np.float32]]) -> None:
        if all(np.isfinite(part).all() for part in parts):
            return
        counts = self.layout.counts()
        for projection, part in zip(self._projections, parts, strict=True):
            for row, place in np.argwhere(~np.isfinite(part).all(axis=-1)):
                token = int(place) + SEEN[projection.stream].start
                if counts[row][token]:
                    raise NotFinite(int(row), projection.name, TOKENS[token])


def unlike(name: str, seen: Sequence[int], expected: Sequence[int]) -> InputError:
    """What a projection is refused for that sees something else than the layout says."""
    fix = "use the plain pipeline, without key-value caching, token merging or tensor parallelism."
    return InputError(f"{name} saw a tensor of shape {tuple(seen)} where {tuple(expected)} was expected.", fix=fix)


def twice(name: str) -> InputError:
    """What a forward is refused for whose projection runs again."""
    fix = "a pass is one transformer call: set the guidance scale to 1 and take one step."
    return InputError(f"{name} ran twice in one pass.", fix=fix)
