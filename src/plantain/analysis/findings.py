"""One contrast by one analysis: the sides measured, differenced and tested at both levels."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.params import AnalysisParams
from plantain.measure.magnitude import Magnitude
from plantain.measure.views import block_sets
from plantain.probe.clusters import design_of
from plantain.probe.records import ExpandedContrast
from plantain.stats import (
    SignFlipTest,
    SplitHalf,
    TemplateTest,
    sign_flip_test,
    split_half,
    template_test,
    true_discoveries,
)
from plantain.stats.flips.counting import Flips
from plantain.stats.flips.draw import STORED_FLIPS
from plantain.stats.splithalf import TooFewItems


@dataclass(frozen=True)
class Bounds:
    """Lower bounds on the number of units that truly differ, all valid at once."""

    everywhere: int
    blocks: list[int]
    """One a row of :func:`plantain.analysis.summary.block_sets`."""


@dataclass(frozen=True)
class Findings:
    """One contrast by one analysis. Arrays over ``units`` cover every unit; excluded ones are NaN."""

    contrast: ExpandedContrast
    params: AnalysisParams
    units: pl.DataFrame
    differences: NDArray[np.float64]
    """(items, units)"""
    included: NDArray[np.bool_]
    """(units,): units whose measure exists for every item; the tests see these alone."""
    flips: SignFlipTest
    splits: SplitHalf | None
    """None where the items, or the blocks that share a sign, are too few to be halved."""
    bounds: Bounds | None
    """None for the published protocol, which makes no such claim."""
    templates: TemplateTest | None
    """None where a side has too few independent wordings, or the analysis is the published protocol."""


def analyse(
    magnitude: Magnitude,
    units: pl.DataFrame,
    contrast: ExpandedContrast,
    params: AnalysisParams,
) -> Findings:
    """One contrast by one analysis.

    Args:
        magnitude: The measure of every unit.
        units: A row a unit.
        contrast: The two sides.
        params: The analysis.
    """
    differences = magnitude.item_level(contrast.a, contrast.b)
    included = np.asarray(np.isfinite(differences).all(axis=0))
    if not included.any():
        fix = f"choose other tokens than '{params.tokens}' for this probe."
        raise InputError(f"contrast {contrast.name}: no unit has a finite {params.measure} for every item.", fix=fix)
    usable = differences[:, included]
    names = [str(unit) for unit in units["unit"].to_numpy()[included]]
    flips = sign_flip_test(
        usable,
        flips=params.flips,
        unique=params.unique,
        blocks=contrast.flip_blocks,
        thresholds=tuple(params.thresholds),
        seed=params.seed,
        items=list(magnitude.activations.items),
        units=names,
    )
    splits = _splits(usable, contrast, params)
    bounds = _bounds(usable, units, included, contrast, params)
    templates = _templates(magnitude, contrast, params, included)
    return Findings(contrast, params, units, differences, included, flips, splits, bounds, templates)


def _splits(usable: NDArray[np.float64], contrast: ExpandedContrast, params: AnalysisParams) -> SplitHalf | None:
    try:
        return split_half(
            usable, splits=params.splits, blocks=contrast.flip_blocks, flips=params.split_flips, seed=params.seed
        )
    except TooFewItems:
        return None


def _bounds(
    usable: NDArray[np.float64],
    units: pl.DataFrame,
    included: NDArray[np.bool_],
    contrast: ExpandedContrast,
    params: AnalysisParams,
) -> Bounds | None:
    if not params.unique:
        return None
    members = [np.flatnonzero(mask[included]) for _, mask in block_sets(units)]
    everywhere, *blocks = true_discoveries(
        usable,
        unit_sets=[np.arange(usable.shape[1]), *members],
        confidence=params.confidence,
        family=str(params.family),
        shift=params.shift,
        flips=_calibrating(params.flips, contrast, len(usable)),
        blocks=contrast.flip_blocks,
        seed=params.seed,
    )
    return Bounds(int(everywhere), [int(bound) for bound in blocks])


def _calibrating(flips: Flips, contrast: ExpandedContrast, items: int) -> Flips:
    """The flips of the bounds: as many as asked for, or drawn ones where all are more than can be stored."""
    signs = items if contrast.flip_blocks is None else len(set(contrast.flip_blocks))
    wanted = 1 << (signs - 1) if flips == "exact" else flips
    return STORED_FLIPS if wanted > STORED_FLIPS else flips


def _templates(
    magnitude: Magnitude,
    contrast: ExpandedContrast,
    params: AnalysisParams,
    included: NDArray[np.bool_],
) -> TemplateTest | None:
    if params.permutations < 1 or not design_of(contrast).enough:
        return None
    a = magnitude.template_level(contrast.a)[:, included]
    b = magnitude.template_level(contrast.b)[:, included]
    return template_test(
        a,
        b,
        clusters=contrast.clusters,
        frames=contrast.frames if any(contrast.frames) else None,
        permutations=params.permutations,
        threshold=params.thresholds[0],
        confidence=params.confidence,
        seed=params.seed,
    )
