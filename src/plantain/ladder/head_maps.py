"""The maps by which heads are ranked at rung 7: selection wordings, on other items than those that test them."""

from typing import Final

import polars as pl

from plantain.base.params import AnalysisParams, WordingMeasure
from plantain.ladder.beside import MAP
from plantain.measure.sides import Floats
from plantain.measure.vectors import every_measure
from plantain.probe.halves import Half
from plantain.records.activations import Activations
from plantain.records.grams import Grams

_ORDER: Final = (MAP, WordingMeasure.log_rms)
"""The map that heads are ranked by, and what stands for it where a capture did not keep directions."""


def selection_maps(
    activations: Activations, grams: Grams, groups: pl.DataFrame, analysis: AnalysisParams, half: Half
) -> dict[WordingMeasure, tuple[Floats, Floats]]:
    """The wordings of a half by direction, where that was kept, and by magnitude, on every second item.

    Args:
        activations: of the cell.
        grams: of the same cell.
        groups: the model's groups, in the order of the group axis.
        analysis: unit, tokens and kind of magnitude.
        half: its wordings; its items are some of every second one of the probe.

    Returns:
        Measure to the wordings of both sides, ``(wordings, heads)`` or of vectors; the map to rank by comes first.
    """
    measures = every_measure(activations, groups, analysis, grams)
    found: dict[WordingMeasure, tuple[Floats, Floats]] = {}
    for measure in _ORDER:
        if measure in measures:
            looked = measures[measure]
            odd = looked.restricted(activations.items[0::2], activations.seeds) or looked
            found[measure] = odd.wordings(half.a), odd.wordings(half.b)
    return found
