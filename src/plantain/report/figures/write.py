"""Every figure of a result, as PNG and SVG."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from plantain.report.figures import charts as draw_charts
from plantain.report.figures import heatmaps as draw_maps
from plantain.report.figures.directions import directions
from plantain.report.figures.levels import levels_chart
from plantain.report.figures.style import plantain_style, save
from plantain.report.figures.swaps import swap_curve
from plantain.report.result import Analysis, Result

MAIN = "heatmap"
"""Stem of the picture that stands for a result."""


def write_figures(result: Result, folder: Path, dpi: int = 160) -> list[Path]:
    """Draw everything that ``result`` has numbers for into ``folder``; the files written, in order of name."""
    folder.mkdir(parents=True, exist_ok=True)
    with plantain_style():
        for stem, figure in _figures(result):
            save(figure, folder, stem, dpi)
    return sorted(path for path in folder.iterdir() if path.is_file())


def _figures(result: Result) -> Iterator[tuple[str, Figure]]:
    main, card = result.main, result.card
    yield MAIN, draw_maps.hero(result, main)
    beside_magnitude = directions(result)
    if beside_magnitude is not None:
        yield "directions", beside_magnitude
    yield from _charts(result, main)
    levels = levels_chart(result)
    if levels is not None:
        yield "levels", levels
    together = swap_curve(result)
    if together is not None:
        yield "swaps", together
    if card and card.label != main.label:
        yield from _charts(result, card)
    beside = list(result.analyses(main.name))
    if len(beside) > 1:
        yield f"controls.{main.name}", draw_maps.side_by_side(result, beside)


def _charts(result: Result, analysis: Analysis) -> Iterator[tuple[str, Figure]]:
    label = analysis.label
    yield f"{label}.maps", draw_maps.measures(result, analysis)
    yield f"{label}.blocks", draw_charts.blocks(result, analysis)
    optional = {
        "split_half": draw_charts.split_half_chart,
        "null": draw_charts.null_distribution, "rank": draw_charts.rank_chart, "top": draw_charts.top_heads,
    }  # fmt: skip
    for name, draw in optional.items():
        figure = draw(result, analysis)
        if figure is not None:
            yield f"{label}.{name}", figure
