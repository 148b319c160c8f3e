"""How every picture looks, and how it becomes bytes: equal inputs give equal PNG and SVG files."""

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from plantain.base.files import write_atomic
from plantain.report.figures.bare import measured_once

INK, MUTED, LINE, PAPER = "#1d2125", "#667079", "#d9dde1", "#ffffff"
JOINT, SINGLE, CONTROL, VOID = "#0f766e", "#3568b8", "#98a2ad", "#eceef0"
STRONG = "#c2560c"

THEME = {
    INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper", JOINT: "--joint", SINGLE: "--single",
    CONTROL: "--control", VOID: "--void", STRONG: "--strong",
}  # fmt: skip
"""Colours that follow the page's light or dark theme: hexadecimal in files, CSS variables in the page."""

LIGHT_STOPS = ("#0b3a6b", "#2c78b8", "#a5cce6", "#f7f7f4", "#f7c999", "#d96f1e", "#7d2c05")
DARK_STOPS = ("#a8dcff", "#4a9fe0", "#24547e", "#23272c", "#7c4418", "#e08434", "#ffd7a6")
"""Blue below zero, orange above, neutral at zero: told apart under every common colour-vision deficiency."""

FONTS = "'DejaVu Sans', Verdana, sans-serif"
WIDTH = 5.0
"""Inches; 800 pixels at the default 160 dots per inch."""

_LETTERS, _TITLE_LETTERS = 18.2, 12.4
"""Letters of the subtitle's and of the title's size in an inch, on average."""

_RC = {
    "svg.hashsalt": "plantain", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 7.0,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": LINE, "axes.linewidth": 0.7, "axes.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.labelsize": 7.0, "axes.titlesize": 8.0,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titley": 1.0,
    "xtick.color": LINE, "ytick.color": LINE,
    "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "xtick.labelsize": 6.5, "ytick.labelsize": 6.5,
    "xtick.major.size": 2.5, "ytick.major.size": 2.5, "grid.color": LINE, "grid.linewidth": 0.5,
    "legend.frameon": False, "legend.fontsize": 6.5, "hatch.linewidth": 0.4, "path.simplify": False,
}  # fmt: skip


@dataclass(frozen=True)
class Caption:
    """What a figure says above its axes."""

    title: str
    text: str


_CAPTIONS: WeakKeyDictionary[Figure, Caption] = WeakKeyDictionary()
_BESIDE: ContextVar[bool] = ContextVar("whether captions stand beside their figures and not in them", default=False)


@contextmanager
def plantain_style(*, captions_beside: bool = False) -> Iterator[None]:
    """Draw inside this context: nothing of the caller's matplotlib settings leaks in or out.

    With ``captions_beside`` the headline is left out of the figure, for a page that sets it as text, which wraps and
    can be read on a small screen; `caption` has it.
    """
    token = _BESIDE.set(captions_beside)
    try:
        with mpl.rc_context(), measured_once():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)  # type: ignore[arg-type]
            yield
    finally:
        _BESIDE.reset(token)


def caption(figure: Figure) -> Caption:
    """The headline that was given to a figure."""
    return _CAPTIONS[figure]


def colour_of(kind: str) -> str:
    """The colour of a kind of block."""
    return {"joint": JOINT, "image": CONTROL, "text": MUTED}.get(kind, SINGLE)


def colormap() -> Colormap:
    """The diverging map; units without a value are grey."""
    return LinearSegmentedColormap.from_list("plantain", LIGHT_STOPS, N=255).with_extremes(bad=VOID)


def rising_colormap() -> Colormap:
    """The upper half of the diverging map, for values from 0 upwards."""
    return LinearSegmentedColormap.from_list("rising", LIGHT_STOPS[3:], N=255).with_extremes(bad=VOID)


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of ``width`` by ``height`` inches, without pyplot's global state."""
    return Figure(figsize=(width, height), facecolor=PAPER)


def headline(figure: Figure, title: str, subtitle: str) -> float:
    """Title and wrapped subtitle, flush left at the top edge; the fraction of the height below which axes may start."""
    _CAPTIONS[figure] = Caption(title, " ".join(subtitle.split()))
    width, height = (float(size) for size in figure.get_size_inches())
    if _BESIDE.get():
        return 1 - 0.12 / height
    lines = [line for text in subtitle.split("\n") for line in textwrap.wrap(text, int(width * _LETTERS)) or [""]]
    common: dict[str, Any] = {"va": "top", "ha": "left", "parse_math": False}
    size = min(9.0, 9.0 * width * _TITLE_LETTERS / len(title))
    figure.text(0.06 / width, 1 - 0.07 / height, title, fontsize=size, fontweight="bold", **common)
    figure.text(0.06 / width, 1 - 0.26 / height, "\n".join(lines), color=MUTED, linespacing=1.4, **common)
    return 1 - (0.38 + 0.14 * len(lines)) / height


def quiet(axes: Axes, *, keep: str = "") -> None:
    """Take away the spines whose initial is not in ``keep`` (l, r, t, b), and their ticks."""
    for side, spine in axes.spines.items():
        spine.set_visible(side[0] in keep)
    axes.tick_params(left="l" in keep, bottom="b" in keep)


def save(figure: Figure, folder: Path, stem: str, dpi: int) -> None:
    """Write ``stem.png`` and ``stem.svg``, without dates or version stamps."""
    write_atomic(folder / f"{stem}.png", _bytes(figure, "png", dpi))
    write_atomic(folder / f"{stem}.svg", _bytes(figure, "svg", dpi).replace(b"'DejaVu Sans'", FONTS.encode()))


def themed_svg(figure: Figure, label: str) -> str:
    """The figure as inline SVG that follows the page's theme; ``label`` is read out, and must be escaped."""
    text = _bytes(figure, "svg", 160, transparent=True).decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace("'DejaVu Sans'", "inherit")
    for colour, variable in THEME.items():
        text = text.replace(colour, f"var({variable})")
    size = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', text)
    width = float(size.group(1)) * 1.6 if size else 640
    opening = f'<svg role="img" aria-label="{label}" style="max-width:{width:.0f}px;--width:{width:.0f}px" '
    return re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2).replace("<svg ", opening, 1)


def _bytes(figure: Figure, kind: str, dpi: int, *, transparent: bool = False) -> bytes:
    stream = io.BytesIO()
    _place_no_label(figure)
    stamp: dict[str, str | None] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    figure.savefig(stream, format=kind, dpi=dpi, metadata=stamp, transparent=transparent)
    return stream.getvalue()


def _place_no_label(figure: Figure) -> None:
    """A place for labels that say nothing: else every tick is laid out once more to find theirs."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if not axis.get_label_text():
            axis.set_label_coords(0, 0)
