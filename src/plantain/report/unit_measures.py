"""What is known of every head: name, unit, meaning, scale, and its column in the unit table.

A row of `UNIT_MEASURES` is all that a measure needs to appear on the map's menu, in the panel, in the table and in the
download: no script knows any of them by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import polars as pl

from plantain.report.figures.grid import limit

DELTA: Final = "\N{GREEK SMALL LETTER DELTA}"


class ScaleKind(StrEnum):
    """How a value becomes a colour."""

    linear = "linear"
    """Symmetric about 0."""
    logarithmic = "logarithmic"
    """Symmetric about 0, straight up to the knee and like a logarithm beyond it."""
    rising = "rising"
    """From 0 upwards, for measures that have no sign; with a knee like a logarithm beyond it."""


@dataclass(frozen=True)
class ScaleRule:
    """How the scale of a measure is made from its values."""

    kind: ScaleKind = ScaleKind.linear
    knee: float = 0.0
    """Up to where the scale is straight; 0 where it is so throughout."""
    least: float = 0.0
    """The scale ends no lower, so that noise looks like noise."""
    share: float = 0.995
    """The share of values that lie within the scale."""
    end: float | None = None
    """The end, where it is known without the values."""


@dataclass(frozen=True)
class UnitMeasure:
    """One number of every unit."""

    key: str
    """Its name in addresses and downloads."""
    column: str
    """Its column in the unit table."""
    name: str
    unit: str
    """What one is one of; ``{measure}`` stands for the measure of the analysis. Empty for pure numbers."""
    level: str
    """What varies: the rows that the number is made from."""
    said: str
    """What the number says, as a sentence."""
    rule: ScaleRule | None = None
    """None where it is not drawn on a map."""
    fade: str = ""
    """The measure whose size up to `FAINT` lets a unit be faded on the map; empty where none does."""
    heads_only: bool = True
    """Whether it is shown for true heads alone."""
    looks: str = ""
    """What is looked at in a unit, where that is not the measure of the analysis."""


WORDINGS, ITEMS = "over wordings", "over items"
FAINT: Final = 3.0

_SAYS_WORDINGS = "Over wordings: how far two sets of wordings lie apart beside how far wordings of one set do."
_SAYS_ITEMS = "Item level: says that these sentences differ, and no more."


def _vector_measures(measure: str, name: str, looks: str, said: str) -> tuple[UnitMeasure, ...]:
    """What is known of every head by one vector measure, in columns that are named after it."""
    level = f"{WORDINGS}, by {name}"
    says = f"Over wordings, by {name}: {said}"
    t, delta, p = (f"{measure}_{part}" for part in ("t", "delta", "p"))
    return (
        UnitMeasure(t, t, f"t by {name}", "as of one number, without a sign", level, says,
                    ScaleRule(ScaleKind.rising, knee=3.0, least=10.0), fade=t, looks=looks),
        UnitMeasure(delta, delta, f"{DELTA} by {name}", "distances between wordings of one side", level,
                    f"{says} Does not grow with their number.",
                    ScaleRule(ScaleKind.rising, knee=1.0, least=10.0), fade=t, looks=looks),
        UnitMeasure(p, p, f"p by {name}", "", level, says, looks=looks),
    )  # fmt: skip


UNIT_MEASURES: Final = (
    UnitMeasure(
        "template_t", "template_t", "t over wordings", "standard errors between wordings", WORDINGS,
        _SAYS_WORDINGS, ScaleRule(ScaleKind.logarithmic, knee=3.0, least=10.0), fade="template_t",
    ),
    UnitMeasure(
        "template_delta", "template_delta", f"{DELTA} over wordings", "standard deviations between wordings", WORDINGS,
        f"{_SAYS_WORDINGS} Does not grow with their number.",
        ScaleRule(ScaleKind.logarithmic, knee=1.0, least=10.0), fade="template_t",
    ),
    *_vector_measures(
        "direction", "direction", "direction of output over image tokens",
        "how far the mean outputs over image tokens lie apart beside those of one side.",
    ),
    *_vector_measures(
        "profile", "profile", "direction of output over image tokens, item by item",
        "the same item by item, so that an effect counts whose sign varies over items.",
    ),
    *_vector_measures(
        "text_direction", "text direction", "direction of output over text tokens",
        "the same over text tokens. Any two texts differ there, since their words do: a description, and no test.",
    ),
    UnitMeasure(
        "effect", "mean_difference", "mean difference", "{measure}", "over items and wordings",
        "The shift itself, first side minus second, averaged over items and wordings.", ScaleRule(), fade="t",
        heads_only=False,
    ),
    UnitMeasure("template_p", "template_p", "p over wordings", "", WORDINGS, _SAYS_WORDINGS),
    UnitMeasure("t", "t", "t over items", "standard errors over items", ITEMS, _SAYS_ITEMS, ScaleRule(), fade="t",
                heads_only=False),
    UnitMeasure("d_z", "d_z", "d over items", "standard deviations over items", ITEMS, _SAYS_ITEMS, ScaleRule(),
                fade="t", heads_only=False),
    UnitMeasure("p", "p", "p over items, this one alone", "", ITEMS, _SAYS_ITEMS, heads_only=False),
    UnitMeasure("p_fwer", "p_fwer", "p over items, against the largest of all", "", ITEMS, _SAYS_ITEMS),
    UnitMeasure("q", "q_bh", "q over items (false discoveries)", "", ITEMS, _SAYS_ITEMS, heads_only=False),
)  # fmt: skip
"""In the order of the menu and of the panel. The map opens on the first that a contrast has."""

SIZES: Final = ScaleRule(ScaleKind.rising, knee=FAINT, least=10.0)
"""The scale of sizes of t over wordings, where measures with and without a sign stand side by side."""

TREND: Final = UnitMeasure(
    "trend", "", "trend with rank", "Spearman's correlation", ITEMS,
    "Whether the difference grows with the items' rank: not a test, and rank may go with phrase length.",
    ScaleRule(end=1.0),
)  # fmt: skip
"""Made from the pairs and not from the table."""


def measure_of(key: str) -> UnitMeasure:
    """The measure of that name."""
    return next(one for one in UNIT_MEASURES if one.key == key)


def measures_of(table: pl.DataFrame, *, heads: bool) -> Iterator[UnitMeasure]:
    """The measures that the table has values of, in order."""
    for one in UNIT_MEASURES:
        known = one.column in table.columns and table[one.column].null_count() < len(table)
        if known and (heads or not one.heads_only):
            yield one


def scale(rule: ScaleRule, columns: Iterable[pl.Series]) -> dict[str, Any]:
    """The scale over all columns, for the script: kind, end, knee, ticks."""
    end = rule.end or max(rule.least, limit(columns, rule.share))
    return {"kind": rule.kind.value, "end": end, "knee": rule.knee, "ticks": _ticks(rule, end)}


def _ticks(rule: ScaleRule, end: float) -> list[float]:
    """Both ends and 0, and beyond a knee the powers of ten that stand apart from the ends."""
    between = [10.0**power for power in range(7) if 0.0 < rule.knee < 10.0**power <= end / 3]
    above = [*between, end]
    if rule.kind is ScaleKind.rising:
        return [0.0, *above]
    return [*(-value for value in reversed(above)), 0.0, *above]


def unit_of(one: UnitMeasure, measure: str) -> str:
    """The unit in words, ``measure`` being that of the analysis."""
    return one.unit.format(measure=measure)
