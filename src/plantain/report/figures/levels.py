"""The chart of other noise levels: heads beyond rewording from pure noise down, beside those of an untrained twin."""

from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from plantain.base.params import WordingMeasure
from plantain.records.sweep import ByMeasure
from plantain.report.figures.style import JOINT, LINE, MUTED, SINGLE, STRONG, headline, new_figure, quiet
from plantain.report.result import Result

PALE: Final = 0.4
NAMES: Final = {
    WordingMeasure.log_rms: "magnitude",
    WordingMeasure.direction: "direction",
    WordingMeasure.profile: "profile",
    WordingMeasure.text_direction: "direction over text",
}
"""What each measure is called beside its line and in the table."""
_LINES: Final = {
    WordingMeasure.log_rms: (SINGLE, "o", 1.4),
    WordingMeasure.direction: (JOINT, "s", 2.8),
    WordingMeasure.profile: (STRONG, "^", 1.0),
    WordingMeasure.text_direction: (MUTED, "D", 1.0),
}
"""Colour, marker and width: direction and profile often agree, and both have to be seen."""


def levels_chart(result: Result) -> Figure | None:
    """Lower bounds of the main contrast against the noise level; None where no sweep of it can be shown."""
    found = result.verdict.levels if result.verdict else None
    own = found.contrasts.get(result.main.contrast) if found else None
    if found is None or own is None:
        return None
    twins = {name: by[result.main.contrast] for name, by in found.twins.items() if result.main.contrast in by}
    figure = new_figure(2.6)
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: at other noise levels",
        f"Heads shown to separate the sides of {result.main.contrast} more than rewording does: 95% lower bound at "
        f"each level alone, on {found.items} items. 1 is pure noise.{_pale(list(twins))}",
    )
    height = float(figure.get_size_inches()[1])
    axes = figure.add_axes((0.09, 0.42 / height, 0.88, upper - 0.68 / height))
    axes.axvline(found.own, color=LINE, linewidth=0.8, zorder=0)
    for by_measure in twins.values():
        _draw(figure, by_measure, pale=True)
    _draw(figure, own, pale=False)
    most = max(level.alive for by in (own, *twins.values()) for levels in by.values() for level in levels)
    axes.set(xlim=(1.02, -0.02), ylim=(-0.03 * most, 1.03 * most))
    axes.set_xlabel("noise level", color=MUTED)
    axes.set_ylabel("heads", color=MUTED)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.legend(loc="lower right", ncols=4, bbox_to_anchor=(1, 1.0), borderaxespad=0.3)
    axes.tick_params(colors=MUTED)
    quiet(axes, keep="lb")
    return figure


def _pale(twins: list[str]) -> str:
    return f" Pale and dashed: {', '.join(twins)}." if twins else ""


def _draw(figure: Figure, by_measure: ByMeasure, *, pale: bool) -> None:
    """One line a measure; the run's own carry the legend."""
    for measure in (one for one in _LINES if one in by_measure):
        colour, marker, width = _LINES[measure]
        levels = by_measure[measure]
        figure.axes[0].plot(
            [level.sigma for level in levels],
            [level.heads_lower_bound for level in levels],
            "--" if pale else "-",
            color=colour, alpha=PALE if pale else 1.0, marker=marker, markersize=3.4, linewidth=width, clip_on=False,
            label="" if pale else NAMES[measure],
        )  # fmt: skip
