"""What magnitude cannot see: the direction of a head's output, as rows of vectors whose inner products are kept.

A capture keeps no vectors, but per head the Gram matrix of the wordings' mean vectors. Any vectors of the same inner
products do as well for tests that know distances alone, so wordings get coordinates from a decomposition of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base.params import AnalysisParams, WordingMeasure
from plantain.measure.sides import Floats, Measured
from plantain.measure.views import head_streams
from plantain.probe.records import ExpandedContrast
from plantain.records.activations import Activations
from plantain.records.grams import Grams, View

ROUNDING: Final = 1e-7
"""Share of the largest squared length below which a float32 Gram matrix holds rounding alone."""
EVERY_ITEM: Final = "all"
"""The subset that holds every item."""

_KINDS: Final = {
    WordingMeasure.direction: ("mean", ("noise", "reference")),
    WordingMeasure.profile: ("profile", ("noise", "reference")),
    WordingMeasure.text_direction: ("mean", ("text",)),
}

TOKENS_OF: Final = {measure: tokens for measure, (_, tokens) in _KINDS.items()}
"""Vector measures to the token sets that they look at."""


@dataclass(frozen=True)
class MeasuredVectors:
    """One vector measure of every head of one draw.

    ``direction``: a head's mean vectors over noise and over reference tokens, averaged over items. ``profile``: the
    same of every item by itself, so that an effect counts whose sign varies over items. ``text_direction``: over the
    tokens of the text, where the joint blocks' text stream has heads of its own.
    """

    grams: Grams
    activations: Activations
    """Of the same cell: labels and token counts."""
    measure: WordingMeasure
    draw: int = 0
    """Position on the draw axis."""
    view: int = 0
    subset: str = EVERY_ITEM

    def rows(self, contrast: ExpandedContrast) -> tuple[Floats, Floats]:
        """The wordings of both sides, ``(wordings, heads, dimensions)``; heads unknown in any of them are left out."""
        return known(self.wordings(contrast.a), self.wordings(contrast.b))

    def wordings(self, names: Sequence[str]) -> Floats:
        """Coordinates of wordings, ``(wordings, heads, dimensions)``; NaN where a wording was not captured.

        A token set that none of them has, such as reference tokens without a reference, is zero for all.
        """
        places = [self.grams.conditions.index(name) for name in names]
        parts = [part[places] for part in self._coordinates]
        absent = [np.isnan(part).all(axis=(0, 2), keepdims=True) for part in parts]
        return np.concatenate([np.where(gone, 0.0, part) for gone, part in zip(absent, parts, strict=True)], axis=2)

    def only(self, *, seed: int, reference: int) -> "MeasuredVectors":
        """One noise seed and reference alternative, by position."""
        wanted = View(self.activations.seeds[seed], self.activations.references[reference])
        return replace(self, view=self.grams.views.index(wanted) if len(self.grams.views) > 1 else 0)

    def restricted(self, items: Sequence[str], seeds: Sequence[int]) -> "MeasuredVectors | None":
        """The same for some of the items and noise seeds; None where the capture did not keep that."""
        names = self.grams.subsets if self._source == "mean" else self.grams.profile_subsets
        subset = next((name for name in names if self.grams.subsets[name] == tuple(items)), None)
        view = self._view_of(seeds)
        return None if subset is None or view is None else replace(self, view=view, subset=subset)

    def units(self, groups: pl.DataFrame) -> pl.DataFrame:
        """One row a head, in the order of the heads axis."""
        table = head_streams(groups).table
        own = table[list(self.grams.heads[self._tokens[0]])]
        return own.drop("unit").with_row_index("unit")

    def _view_of(self, seeds: Sequence[int]) -> int | None:
        if tuple(seeds) == tuple(self.activations.seeds):
            return 0
        alone = len(seeds) == 1 and len(self.activations.references) == 1
        wanted = View(seeds[0], self.activations.references[0])
        return self.grams.views.index(wanted) if alone and wanted in self.grams.views else None

    @property
    def _source(self) -> str:
        return _KINDS[self.measure][0]

    @property
    def _tokens(self) -> tuple[str, ...]:
        return _KINDS[self.measure][1]

    @cached_property
    def _coordinates(self) -> list[Floats]:
        """One a token set, ``(conditions, heads, dimensions)``."""
        kept = self.grams.mean if self._source == "mean" else self.grams.profile
        names = tuple(self.grams.subsets) if self._source == "mean" else self.grams.profile_subsets
        at = (self.draw, self.view, names.index(self.subset))
        return [embedded(kept[name][at], len(self.grams.conditions)) for name in self._tokens if name in kept]


Looked = Measured | MeasuredVectors
"""A model as a measure sees it: a number a head, or a vector a head."""
Climbing: Final = (WordingMeasure.log_rms, WordingMeasure.direction, WordingMeasure.profile)
"""The measures that a ladder is climbed by; over text tokens any two sentences differ, since their words do."""


def every_measure(
    activations: Activations, groups: pl.DataFrame, analysis: AnalysisParams, grams: Grams, draw: int = 0
) -> dict[WordingMeasure, Looked]:
    """One draw by every measure that its capture allows to climb by; magnitude is always one, and the first.

    Args:
        activations: group mean squares of the cell.
        groups: the model's groups, in the order of the group axis.
        analysis: unit, tokens and kind of magnitude.
        grams: of the same cell.
        draw: position on the draw axis.
    """
    found: dict[WordingMeasure, Looked] = {WordingMeasure.log_rms: Measured.of(activations, groups, analysis, draw)}
    vectors = [one for one in Climbing[1:] if kept(grams, one)]
    return found | {one: MeasuredVectors(grams, activations, one, draw) for one in vectors}


def kept(grams: Grams, measure: WordingMeasure) -> bool:
    """Whether a capture kept what this measure needs; the reference tokens are missing where no pass has any."""
    source, tokens = _KINDS[measure]
    return tokens[0] in (grams.mean if source == "mean" else grams.profile)


BLOCK_VALUES: Final = 32_768
"""Values of the Gram matrices that are decomposed at once: they stay in the second-level cache."""


def embedded(pairs: NDArray[np.float32], conditions: int) -> Floats:
    """Coordinates with given inner products, ``(conditions, heads, conditions)``; NaN for unknown conditions.

    By pivoted Cholesky decomposition in plain steps: the eigenvectors of a library would differ in their last bits with
    its number of threads.

    Args:
        pairs: ``(heads, pairs)`` upper triangles of Gram matrices, row by row.
        conditions: how many conditions there are.
    """
    full = np.full((len(pairs), conditions, conditions), np.nan)
    rows, columns = np.triu_indices(conditions)
    full[:, rows, columns] = full[:, columns, rows] = pairs
    present = np.flatnonzero(np.isfinite(full[:, range(conditions), range(conditions)]).all(axis=0))
    found = np.full((conditions, len(pairs), conditions), np.nan)
    found[present] = 0.0
    found[present, :, : len(present)] = np.moveaxis(_factor(full[:, present[:, None], present]), 1, 0)
    return found


def _factor(grams: Floats) -> Floats:
    """L of L L^T, ``(heads, n, n)``: a column for the largest squared length that is left, 0 where that is rounding."""
    found = np.zeros_like(grams)
    together = max(1, BLOCK_VALUES // max(grams.shape[1] ** 2, 1))
    for start in range(0, len(grams), together):
        chosen = slice(start, start + together)
        _fill(found[chosen], grams[chosen].copy())
    return found


def _fill(found: Floats, left: Floats) -> None:
    """Columns of L of a few heads, ``(heads, n, n)``, into ``found``; ``left`` is used up."""
    heads, taken, lengths = np.arange(len(left)), np.empty_like(left), np.einsum("hcc->hc", left)
    least = ROUNDING * lengths.max(axis=1, initial=0.0)
    for step in range(left.shape[1]):
        pivot = lengths.argmax(axis=1)
        length = lengths[heads, pivot]
        live = length > least
        root = np.sqrt(np.where(live, length, 1.0))
        column = np.where(live[:, None], left[heads, :, pivot] / root[:, None], 0.0)
        found[:, :, step] = column
        np.multiply(column[:, :, None], column[:, None, :], out=taken)
        left -= taken


def known(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Rows of vectors ``(rows, heads, dimensions)`` without the heads that are unknown in some row."""
    finite = np.isfinite(np.concatenate([a, b])).all(axis=(0, 2))
    return a[:, finite], b[:, finite]
