"""Mean vectors over token sets of what attention heads gave."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.capture.means.token_sets import SEEN, Layout
from plantain.capture.not_finite import NotFinite
from plantain.capture.overlap import transfer
from plantain.model.geometry import Projection
from plantain.records.activations import TOKENS

_ENDS = ("text", "image")


@lru_cache(maxsize=4)
def set_weights(layout: Layout, device: torch.device) -> dict[str, torch.Tensor]:
    """Stream to what averages the positions that its projections see over the token sets among them."""
    up = transfer.carrier_for(device).up
    return {stream: up(torch.from_numpy(layout.weights(stream))) for stream in SEEN}


class Vectors:
    """Mean vectors of one forward: one small product a projection. Heads that no text can reach have none."""

    def __init__(self, projections: Sequence[Projection], layout: Layout) -> None:
        self._projections, self._layout = projections, layout
        self._alive = [index for index, one in enumerate(projections) if not one.dead]
        self._found: dict[int, torch.Tensor] = {}
        self._arriving: transfer.Arriving | None = None

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

    def put(self, index: int, found: torch.Tensor) -> None:
        """Take the mean vectors of a projection, (rows, tokens that it sees, channels)."""
        self._found[index] = found

    def leave(self) -> None:
        """Send what was found to the host; nothing more is taken."""
        if self._arriving is None:
            joined = [torch.cat([self._found[index] for index in some], dim=-1) for some in self._alike.values()]
            self._arriving = transfer.carrier_for(joined[0].device).down(joined)
            self._found = {}

    def means(self) -> NDArray[np.float32]:
        """(rows, tokens, heads, channels of the widest head), NaN for a set that a row has no tokens of.

        The heads of a set are those of the projections that see it, in their order; where fewer see text than image, or
        the other way round, the last are NaN. A narrower head has zeros behind its channels, which change no inner
        product.

        Raises:
            NotFinite: a value of a set that has tokens is not finite.
        """
        self.leave()
        assert self._arriving is not None  # it left
        found, arrived = self._empty(), self._arriving()
        if not all(np.isfinite(values).all() for values in arrived):
            raise self._not_finite(arrived)
        for ((stream, width), members), values in zip(self._alike.items(), arrived, strict=True):
            heads_of = values.reshape(*values.shape[:2], -1, width)
            for seen in _ENDS if stream == "all" else (stream,):
                offset = SEEN[stream].start
                tokens = slice(SEEN[seen].start - offset, SEEN[seen].stop - offset)
                heads = self._places(seen, members)
                found[:, SEEN[seen], heads, :width] = heads_of[:, tokens]
                found[:, SEEN[seen], heads, width:] = 0.0
        absent = np.array(self._layout.counts()) == 0
        if absent.any():
            found[absent] = np.nan
        return found

    @cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        return set_weights(self._layout, self._projections[0].module.weight.device)

    def _empty(self) -> NDArray[np.float32]:
        alive = [self._projections[index] for index in self._alive]
        heads = max(sum(one.heads for one in alive if one.stream in ("all", kind)) for kind in _ENDS)
        width = max(one.head_width for one in alive)
        return np.full((len(self._layout.text), len(TOKENS), heads, width), np.nan, dtype=np.float32)

    @cached_property
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

    def _not_finite(self, arrived: Sequence[NDArray[np.float32]]) -> NotFinite:
        """The first row, then token set, then projection with such a value."""
        bad = []
        for ((stream, _), members), values in zip(self._alike.items(), arrived, strict=True):
            widths = [self._projections[index].attention_width for index in members]
            for index, part in zip(members, np.split(values, np.cumsum(widths)[:-1], axis=-1), strict=True):
                for row, token in np.argwhere(~np.isfinite(part).all(axis=-1)):
                    bad.append((int(row), int(token) + SEEN[stream].start, index))
        row, token, index = min(bad)
        return NotFinite(row, self._projections[index].name, TOKENS[token])
