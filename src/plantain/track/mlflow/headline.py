"""What a row of the table of runs carries: thirteen numbers, two profiles, three figures and a colour."""

import colorsys
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from plantain.base.files import digest
from plantain.track.mlflow.profiles import SECTION, Series

NUMBERS: Final = (
    "verdict_rung",
    "selective_heads_lower_bound",
    "direction.selective_heads_lower_bound",
    "delta",
    "concept_information",
    "effect",
    "split_half_r",
    "heads_over_t3_fraction",
    "heads_over_t3",
    "alive_units",
    "pairs",
    "card.heads_over_t3_fraction",
    "card.heads_over_t3",
)
"""By importance: what may be said, how far it goes by magnitude and by direction, how large it is, how steady; then
counts, then the card's.

A run's page and its charts show numbers in the order in which they were logged, so that no name needs a prefix to
stand where it should. All others are on the runs of the single analyses, those of the verdict on its own run.
"""
_PROFILES: Final = tuple(f"{SECTION}{name}" for name in ("heads_over_t3_fraction", "effect"))
"""How many heads and how much, over depth: charts draw what the rows of the table hold, and rows are results."""
FIGURES: Final = ("heatmap", "controls.heads", "heads.null")
"""Where the difference lies, what remains of it beside the controls (each with its rung), and what chance alone gives.

Together they tell a finding from a count: the map alone looks the same for two wordings of one idea. All other figures
are on the run of the ``report`` stage. The last is of the contrast that speaks for the result.
"""


def chosen(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a row, the most important first."""
    return {name: numbers[name] for name in NUMBERS if name in numbers}


def profiles_of_row(series: Series) -> Series:
    """The profiles of a row."""
    return {name: series[name] for name in _PROFILES if name in series}


def figures_of_row(paths: Iterable[str], main: str | None) -> dict[str, str]:
    """Name to path of the figures of a row, as far as they are there; ``main`` is the contrast that speaks for it."""
    by_stem = {PurePosixPath(path).stem: path for path in paths}
    found = {name: by_stem.get(name) or by_stem.get(f"{main}.{name}") for name in FIGURES}
    return {name: path for name, path in found.items() if path}


def run_color(probe: str, model: str, *, untrained: bool) -> str:
    """``#rrggbb``, as MLflow's pages keep it: a hue a probe, a shade a model, pale where the model is untrained."""
    hue, shade = _fraction(probe), _fraction(model)
    lightness, saturation = (0.74 + 0.06 * shade, 0.55) if untrained else (0.36 + 0.10 * shade, 0.70)
    channels = colorsys.hls_to_rgb(hue, lightness, saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _fraction(name: str) -> float:
    """A number in [0, 1) that follows from ``name`` alone, so that another checkout gives the same colours."""
    return int(digest(name)[:8], 16) / 16**8
