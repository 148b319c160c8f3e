"""Mean squares by spans of positions: the plain way, whose values are those of the plain pipeline call bit for bit."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.capture.means.mean_vectors import Vectors
from plantain.capture.means.token_sets import Layout
from plantain.capture.not_finite import NotFinite
from plantain.model.geometry import Projection
from plantain.records.activations import TOKENS

_CHUNK = 1 << 22
"""Values taken to float32 at a time (16 MiB), so that a hook needs no copy of a whole activation."""

_WAITING = 1 << 22
"""Group means that may wait to be reduced together (16 MiB)."""

Each = Callable[[int, torch.Tensor], None]
"""Told the first position of a chunk, and its values in float32."""


class _Found(NamedTuple):
    """Means of one row over one token set."""

    members: Sequence[int]
    """Places of projections that see the same positions and have as many groups, in ascending order."""
    row: int
    token: int
    means: torch.Tensor
    """(members, groups of each)"""


class SpanMeans:
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
        self._found: list[_Found] = []
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

    def leave(self) -> None:
        """Nothing leaves before it is asked for."""

    def vectors(self) -> NDArray[np.float32] | None:
        """As :meth:`Vectors.means`; None where none were asked for."""
        return None if self._vectors is None else self._vectors.means()

    def mean_square(self) -> NDArray[np.float32]:
        """(rows, tokens, groups), NaN where a set is empty or not seen.

        Raises:
            NotFinite: a value of a set that has tokens is not finite.
        """
        self._reduce()
        ends = np.cumsum([projection.width // self._group_width for projection in self._projections])
        found = np.full((len(self.layout.text), len(TOKENS), ends[-1]), np.nan, dtype=np.float32)
        present = 0
        for members, row, token, means in self._found:
            values = means.cpu().numpy()
            present += values.size
            for some, part in _neighbours(members, values):
                found[row, token, ends[some[-1]] - part.size : ends[some[-1]]] = part.reshape(-1)
        # One sum for all: what is absent is not finite either, and is left out of both counts.
        if np.isfinite(found).sum() != present:
            raise self._not_finite()
        return found

    def _not_finite(self) -> NotFinite:
        bad = [
            (index, row, token)
            for members, row, token, means in self._found
            for index, piece in zip(members, means, strict=True)
            if not piece.isfinite().all()
        ]
        index, row, token = min(bad)
        return NotFinite(row, self._projections[index].name, TOKENS[token])

    def _reduce(self) -> None:
        alike: dict[tuple[str, int], list[tuple[int, torch.Tensor]]] = {}
        for index, means in sorted(self._waiting, key=itemgetter(0)):
            alike.setdefault((self._projections[index].stream, means.shape[-1]), []).append((index, means))
        for (stream, _), waiting in alike.items():
            members = [index for index, _ in waiting]
            stacked = torch.stack([means for _, means in waiting]) if len(waiting) > 1 else waiting[0][1][None]
            for row in range(len(self.layout.text)):
                for token, spans in _spans(self.layout, row, stream).items():
                    parts = [stacked[:, row, first:last] for first, last in spans]
                    means = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).mean(1)
                    self._found.append(_Found(members, row, token, means))
        self._waiting, self._values = [], 0


_spans = lru_cache(maxsize=256)(Layout.spans)


def _neighbours(
    members: Sequence[int], values: NDArray[np.float32]
) -> Iterable[tuple[Sequence[int], NDArray[np.float32]]]:
    """Projections that stand together on the group axis, with what was found of them."""
    if members[-1] - members[0] + 1 == len(members):
        return [(members, values)]
    return (([index], part) for index, part in zip(members, values, strict=True))


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
