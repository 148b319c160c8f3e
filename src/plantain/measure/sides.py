"""What of a cell enters the ladder: the items that untrained draws are run on, sides as wordings, equal lengths."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base.params import AnalysisParams, VerdictParams, WordingMeasure
from plantain.measure.magnitude import item_level, measure, template_level
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.sampling import sampled_items
from plantain.records.activations import Activations

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sides:
    """One contrast of one cell, as the ladder needs it; heads without a finite measure are left out."""

    differences: Floats
    """Side a minus side b, ``(items, heads)``."""
    a: Floats
    """``(wordings a, heads)``."""
    b: Floats
    """``(wordings b, heads)``."""


@dataclass(frozen=True)
class Measured:
    """The measure of every head, with the labels of its axes."""

    values: Floats
    """(item, condition, reference, seed, head)"""
    activations: Activations

    measure: ClassVar = WordingMeasure.log_rms
    """What this is a measure of, among those that wordings are compared by."""

    @classmethod
    def of(cls, activations: Activations, groups: pl.DataFrame, analysis: AnalysisParams, draw: int = 0) -> "Measured":
        """Measure one draw by the analysis that the ladder rests on."""
        values = measure(activations, groups, analysis.unit, analysis.tokens, analysis.measure, draw)
        return cls(values, activations)

    def sides(self, contrast: ExpandedContrast) -> Sides:
        """Item level and wording level of a contrast; seeds and references are averaged, never rows."""
        conditions = self.activations.conditions
        differences = item_level(self.values, conditions, contrast.a, contrast.b)
        a = template_level(self.values, conditions, contrast.a)
        b = template_level(self.values, conditions, contrast.b)
        finite = np.isfinite(np.concatenate([differences, a, b])).all(axis=0)
        return Sides(differences[:, finite], a[:, finite], b[:, finite])

    def rows(self, contrast: ExpandedContrast) -> tuple[Floats, Floats]:
        """The wordings of both sides, ``(wordings, heads)``; heads without a finite measure are left out."""
        sides = self.sides(contrast)
        return sides.a, sides.b

    def wordings(self, names: Sequence[str]) -> Floats:
        """Each wording averaged over items, references and seeds, ``(wordings, heads)``."""
        return template_level(self.values, self.activations.conditions, names)

    def only(self, *, seed: int | None = None, reference: int | None = None) -> "Measured":
        """One noise seed or reference alternative, by position."""
        values = self.values if seed is None else self.values[:, :, :, seed : seed + 1]
        return replace(self, values=values if reference is None else values[:, :, reference : reference + 1])

    def restricted(self, items: Sequence[str], seeds: Sequence[int]) -> "Measured":
        """The same for some of the items and noise seeds."""
        rows = [self.activations.items.index(item) for item in items]
        columns = [self.activations.seeds.index(seed) for seed in seeds]
        return replace(self, values=self.values[rows][:, :, :, columns])


def judged(contrasts: Iterable[ExpandedContrast], rules: VerdictParams) -> list[ExpandedContrast]:
    """The contrasts with enough wordings a side to say something about a concept."""
    return [one for one in contrasts if min(len(one.a), len(one.b)) >= rules.min_templates]


def sampled_records(
    records: Sequence[Record], contrasts: Iterable[ExpandedContrast], rules: VerdictParams
) -> tuple[Record, ...]:
    """The records that untrained draws and further seeds and references are run on."""
    items = sampled_items(list(dict.fromkeys(record.item for record in records)), rules.items)
    conditions = {name for contrast in judged(contrasts, rules) for name in (*contrast.a, *contrast.b)}
    return tuple(record for record in records if record.item in items and record.condition in conditions)


def strata_of(contrast: ExpandedContrast) -> tuple[str, ...] | None:
    """The strata of a's wordings, then b's; None where a wording has none."""
    named = tuple(label for label in contrast.strata if label is not None)
    return named if len(named) == len(contrast.strata) else None


def text_tokens(activations: Activations, conditions: Sequence[str]) -> NDArray[np.int64]:
    """Text tokens of every prompt by the model's own tokenizer, chat markup included, (item, condition)."""
    columns = [activations.conditions.index(name) for name in conditions]
    text = activations.tokens.index("text")
    return np.asarray(activations.token_count[..., text][:, columns].max(axis=2), dtype=np.int64)


def unequal_strata(activations: Activations, contrast: ExpandedContrast) -> str:
    """Which stratum holds prompts of different token counts for one item; empty where none does."""
    strata = strata_of(contrast)
    if strata is None:
        return ""
    counts = text_tokens(activations, (*contrast.a, *contrast.b))
    for stratum in dict.fromkeys(strata):
        chosen = counts[:, [label == stratum for label in strata]]
        uneven = np.flatnonzero(chosen.min(axis=1) != chosen.max(axis=1))
        if uneven.size:
            item, low, high = activations.items[uneven[0]], chosen[uneven[0]].min(), chosen[uneven[0]].max()
            return f"stratum '{stratum}' holds {low} to {high} tokens for item '{item}' with this model's tokenizer"
    return ""
