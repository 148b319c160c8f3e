"""The maps of the index: of every result over wordings, and the mean difference, which two networks can be compared by.

A t over items is on none of them: any two texts have large ones, and its denominator is another in every network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from plantain.report.payload import encode, named, rows
from plantain.report.result import Result
from plantain.report.unit_measures import UnitMeasure, measure_of, scale
from plantain.report.vectors import with_vectors

WORDINGS: Final = measure_of("template_delta")
CHOICES: Final = {"template_delta": "magnitude", "direction_delta": "direction", "profile_delta": "profile"}
"""What the maps over wordings can show, by the keys of measures."""
SHIFT: Final = measure_of("effect")
SHIFT_OF: Final = "mean difference of "
"""Before an address: the name of the map of that result's mean differences."""
DIFFERENCE, SORTED = "difference", "sorted"
"""Kinds of maps that subtract one result from another: head by head, or in order of size."""
_SUBTRACTED = {DIFFERENCE: "first minus second", SORTED: "trained minus untrained, sorted within each block"}


@dataclass(frozen=True)
class UnitValues:
    """One map."""

    result: Result
    """Whose units they are."""
    kind: str
    """The name of its scale."""
    values: pl.Series

    def to_json(self) -> dict[str, Any]:
        """As the script reads it."""
        return {
            "rows": rows(self.result.main.table), "unit": self.result.main.summary.unit, "scale": self.kind,
            "values": encode(self.values), "across": "place, largest first" if self.kind == SORTED else "head",
            "counts": int(self.kind == SORTED), "address": self.result.address, "contrast": self.result.main.contrast,
        }  # fmt: skip


def maps_of(results: Sequence[Result]) -> dict[str, UnitValues]:
    """Every result's maps over wordings, where those were compared, and its map of mean differences, by name."""
    found = {}
    for result in results:
        if wordings_compared(result):
            found[result.address] = UnitValues(result, WORDINGS.key, result.main.table[WORDINGS.column])
            found |= _by_vectors(result)
        found[SHIFT_OF + result.address] = UnitValues(result, SHIFT.key, result.main.table[SHIFT.column])
    return found


def _by_vectors(result: Result) -> dict[str, UnitValues]:
    """The maps of the vector measures, by the name of the measure and that of the result."""
    table = with_vectors(result, result.main)
    shown = [key for key in list(CHOICES)[1:] if measure_of(key).column in table.columns]
    return {f"{key} of {result.address}": UnitValues(result, key, table[measure_of(key).column]) for key in shown}


def wordings_compared(result: Result) -> bool:
    """Whether the result has numbers over wordings."""
    table = result.main.table
    return WORDINGS.column in table.columns and table[WORDINGS.column].null_count() < len(table)


def scales(maps: Iterable[UnitValues]) -> dict[str, dict[str, Any]]:
    """The scale of every kind of map, over all maps of that kind, with its name and unit."""
    kinds: dict[str, list[UnitValues]] = {}
    for one in maps:
        kinds.setdefault(one.kind, []).append(one)
    return {kind: _scale(kind, shown) for kind, shown in kinds.items()}


def _scale(kind: str, shown: Sequence[UnitValues]) -> dict[str, Any]:
    measure: UnitMeasure = SHIFT if kind in (SHIFT.key, *_SUBTRACTED) else measure_of(kind)
    assert measure.rule is not None
    said = named(measure, shown[0].result.main)
    if kind in _SUBTRACTED:
        said["name"] = f"{measure.name}, {_SUBTRACTED[kind]}"
    return said | scale(measure.rule, [one.values for one in shown])
