"""The size curve: what heads carry when they are swapped together, and what is lost without them."""

from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from plantain.report import words as wording
from plantain.report.figures.style import CONTROL, JOINT, LINE, MUTED, SINGLE, headline, new_figure, quiet
from plantain.report.result import Result
from plantain.report.swaps import swap_table


def swap_curve(result: Result) -> Figure | None:
    """Shares over the number of heads, on a log scale; None where no head was swapped, or another contrast stands."""
    table = swap_table(result)
    if table is None or not table.curve or table.contrast != result.main.contrast:
        return None
    sizes = [one.heads for one in table.curve]
    figure = new_figure(2.6)
    upper = headline(
        figure,
        f"{result.probe} on {result.model}: heads swapped together",
        "Share of the change between the sides that heads carry, those first in the map by "
        f"{_MAPS.get(str(table.measure), str(table.measure))}; what is lost where they alone keep their own; and "
        "random heads of the same block kinds. A description.",
    )
    height = float(figure.get_size_inches()[1])
    axes = figure.add_axes((0.09, 0.42 / height, 0.88, upper - 0.68 / height))
    for level in (0.0, 1.0):
        axes.axhline(level, color=LINE, linewidth=0.8, zorder=0)
    lines = {
        "sufficiency: these swapped": ([one.sufficiency for one in table.curve], JOINT, "o", "-"),
        "necessity: all others swapped": ([one.necessity for one in table.curve], SINGLE, "s", "-"),
        "random heads swapped": ([one.random for one in table.curve], CONTROL, "^", "--"),
    }
    for label, (values, colour, marker, dashes) in lines.items():
        axes.plot(
            sizes,
            values,
            dashes,
            color=colour,
            marker=marker,
            markersize=3.4,
            linewidth=1.4,
            label=label,
            clip_on=False,
        )
    every = [value for values, *_ in lines.values() for value in values]
    axes.set_xscale("log")
    axes.set(xlim=(0.94, 1.06 * sizes[-1]), ylim=(min(-0.04, *every) - 0.02, max(1.04, *every) + 0.02))
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FixedFormatter(_labels(sizes)))
    axes.set_xlabel("heads", color=MUTED)
    axes.set_ylabel("share of the change", color=MUTED)
    axes.legend(loc="upper left", bbox_to_anchor=(0.01, 0.98), borderaxespad=0.2)
    axes.tick_params(colors=MUTED)
    quiet(axes, keep="lb")
    return figure


_MAPS = {"log_rms": "magnitude", "direction": "direction"}


def _labels(sizes: list[int]) -> list[str]:
    """All of them, but for one that would touch the last."""
    crowded = len(sizes) > 1 and sizes[-1] < 1.3 * sizes[-2]
    return ["" if crowded and at == len(sizes) - 2 else wording.number(size) for at, size in enumerate(sizes)]
