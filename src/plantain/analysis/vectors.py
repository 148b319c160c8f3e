"""One contrast by the vector measures: the wording-level test of what magnitude cannot see, head by head."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from plantain.analysis.summary import known_numbers, template_level_of
from plantain.base.params import AnalysisParams, WordingMeasure
from plantain.measure.plan import frames_of
from plantain.measure.vectors import TOKENS_OF, MeasuredVectors, kept
from plantain.probe.clusters import design_of
from plantain.probe.records import ExpandedContrast
from plantain.records.activations import Activations
from plantain.records.grams import Grams
from plantain.records.summary import VectorSummary
from plantain.stats import TemplateTest, template_test

_VECTORS = (WordingMeasure.direction, WordingMeasure.profile, WordingMeasure.text_direction)
_SAID = {
    WordingMeasure.direction: "in the direction of their output over image tokens",
    WordingMeasure.profile: "in the direction of their output over image tokens, item by item",
    WordingMeasure.text_direction: "in the direction of their output over text tokens",
}


@dataclass(frozen=True)
class VectorFindings:
    """What one contrast shows by one vector measure."""

    measure: WordingMeasure
    table: pl.DataFrame
    """A row a head: geometry, ``alive``, ``template_t``, ``template_delta``, ``template_p``."""
    summary: VectorSummary


def vector_findings(
    activations: Activations,
    grams: Grams,
    groups: pl.DataFrame,
    contrasts: Sequence[ExpandedContrast],
    params: AnalysisParams,
) -> Iterator[tuple[ExpandedContrast, VectorFindings]]:
    """Contrasts by every vector measure that their capture kept; those whose wordings are too few are left out.

    Args:
        activations: Labels and token counts of the cell.
        grams: Of the same cell.
        groups: The model's groups, in the order of the group axis.
        contrasts: The sides; what a measure makes of all wordings is computed once for all of them.
        params: The analysis whose permutations, thresholds and confidence hold.
    """
    chosen = [one for one in contrasts if params.permutations >= 1 and design_of(one).enough]
    for measure in (one for one in _VECTORS if kept(grams, one)):
        vectors = MeasuredVectors(grams, activations, measure)
        for contrast in chosen:
            yield contrast, _found(vectors, groups, contrast, params)


def _found(
    vectors: MeasuredVectors, groups: pl.DataFrame, contrast: ExpandedContrast, params: AnalysisParams
) -> VectorFindings:
    sides = vectors.wordings(contrast.a), vectors.wordings(contrast.b)
    included = np.asarray(np.isfinite(np.concatenate(sides)).all(axis=(0, 2)))
    test = template_test(
        sides[0][:, included],
        sides[1][:, included],
        clusters=contrast.clusters,
        frames=frames_of(contrast),
        permutations=params.permutations,
        threshold=params.thresholds[0],
        confidence=params.confidence,
        seed=params.seed,
    )
    summary = VectorSummary(
        role=str(contrast.role),
        tokens=list(TOKENS_OF[vectors.measure]),
        a=list(contrast.a),
        b=list(contrast.b),
        metrics=known_numbers(
            {"units": included.size, "alive_units": int(test.alive.sum()), **template_level_of(test)}
        ),
        sentence=_sentence(vectors.measure, test, params),
    )
    return VectorFindings(vectors.measure, _rows(vectors.units(groups), test, included), summary)


def _sentence(measure: WordingMeasure, test: TemplateTest, params: AnalysisParams) -> str:
    return (
        f"With {100 * params.confidence:g}% confidence at least {test.lower_bound} of these {int(test.alive.sum())} "
        f"heads separate the two sets of wordings more than wordings differ within them, {_SAID[measure]}."
    )


def _rows(units: pl.DataFrame, test: TemplateTest, included: np.ndarray) -> pl.DataFrame:
    columns = {"template_t": test.t, "template_delta": test.delta, "template_p": test.p}
    alive = np.zeros(included.size, bool)
    alive[included] = test.alive
    spread = {name: pl.Series(_spread(column, included)).fill_nan(None) for name, column in columns.items()}
    return units.with_columns(alive=pl.Series(alive), **spread)


def _spread(column: np.ndarray, included: np.ndarray) -> np.ndarray:
    full = np.full(included.size, np.nan)
    full[included] = column
    return full
