"""Draw the rooms of the code and bring their table in docs/architecture.md up to date.

    python docs/draw_architecture.py

Both come from the code: order from the layers that import-linter holds, words from the docstrings of the packages,
imports from grimp. Equal code gives equal bytes. Line counts are rounded to hundreds, so that the picture keeps.
"""

import io
import re
import textwrap
import tomllib
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import grimp
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parent.parent
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "pictures" / "architecture.svg"
TABLE = re.compile(r"(?<=<!-- made by docs/draw_architecture\.py -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
HEAVY = {"imports torch, diffusers": ("torch", "diffusers"), "imports mlflow, dvc": ("mlflow", "dvc")}
"""Libraries that few rooms import, by what the legend says of these rooms."""

INK, MUTED, LINE, PAPER = "#1d2125", "#5c666f", "#b9c0c7", "#ffffff"
PLAIN, TINTS = "#f3f5f6", dict(zip(HEAVY, ("#dcefe9", "#fde8d4"), strict=True))
STRONG = "#0f766e"
BOX, ROW, LANE, BORDER = 4.55, 0.62, 0.235, 0.12
"""Inches: width of a box, height of a row, distance of two lanes, and what is left free around the picture."""


@dataclass(frozen=True)
class Room:
    """One package of ``src/plantain``."""

    name: str
    holds: str
    """The first line of its docstring."""
    files: int
    lines: int
    imports: dict[str, int]
    """Room to the number of import links between modules, nearest room first."""
    heavy: str
    """The key of :data:`HEAVY` all of whose libraries it imports; empty where there is none."""


def table() -> list[Room]:
    """Every room in the order in which data flows."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in config["contracts"] if contract["type"] == "layers")
    folder = ROOT / "src" / "plantain"
    names = [name.split(".")[-1] for name in reversed(layers)]
    graph = grimp.build_graph("plantain", include_external_packages=True, cache_dir=None)
    links: dict[str, Counter[str]] = {name: Counter() for name in names}
    for module in graph.modules:
        for used in graph.find_modules_directly_imported_by(module):
            links.setdefault(_room(module), Counter())[_room(used)] += 1
    return [_read(name, links[name], names) for name in names if (folder / name).is_dir()]


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "plantain" and len(parts) > 1 else parts[0]


def _read(name: str, links: Counter[str], names: list[str]) -> Room:
    sources = sorted((ROOT / "src" / "plantain" / name).rglob("*.py"))
    lines = sum(len(source.read_text(encoding="utf-8").splitlines()) for source in sources)
    holds = (import_module(f"plantain.{name}").__doc__ or "").splitlines()[0].rstrip(".")
    imports = {other: links[other] for other in reversed(names) if links[other] and other != name}
    heavy = next((kind for kind, packages in HEAVY.items() if all(links[one] for one in packages)), "")
    return Room(name, holds, len(sources), lines, imports, heavy)


def markdown(rooms: list[Room]) -> str:
    """The rooms as the table of the page; every room may import ``base``, so only that it does not is told."""
    rows = ["| room | what it holds | files | imports, besides `base` |", "|---|---|---:|---|"]
    for room in rooms:
        imports = ", ".join(name for name in reversed(room.imports) if name != "base") or "nothing"
        rows.append(f"| `{room.name}` | {room.holds} | {room.files} | {imports} |")
    return "\n".join(rows) + "\n"


def picture(rooms: list[Room]) -> bytes:
    """The rooms as boxes from top to bottom, their imports as lanes beside them, as SVG."""
    rows = {room.name: len(rooms) - at for at, room in enumerate(rooms)}
    used = [room.name for room in rooms if any(room.name in other.imports for other in rooms)]
    lanes = {name: BOX + 0.2 + LANE * (len(used) - at) for at, name in enumerate(used)}
    width, height = BOX + LANE * (len(used) + 1) + 2 * BORDER, ROW * (len(rooms) + 1.1) + 2 * BORDER
    style = {"svg.hashsalt": "plantain", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 7.0}
    with rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), facecolor=PAPER)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-BORDER, width - BORDER), ylim=(ROW * -0.05 - BORDER, height - ROW * 0.05 - BORDER))
        axes.axis("off")
        _legend(axes, ROW * (len(rooms) + 0.62))
        for room in rooms:
            _lane(axes, room.name, rows, lanes, rooms)
        for room in rooms:
            _imports(axes, room, rows[room.name] * ROW, lanes)
            _box(axes, room, rows[room.name] * ROW)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _legend(axes: Axes, top: float) -> None:
    axes.text(0, top, "The rooms, in the order in which data flows", color=INK, fontsize=9, fontweight="bold", va="top")
    said = "An arrow leads to a room that is imported, a dot marks a room that imports it. No arrow leads down."
    axes.text(0, top - 0.2, said, color=MUTED, va="top")
    for at, (kind, tint) in enumerate(TINTS.items()):
        y = top - 0.07 - 0.18 * at
        axes.add_patch(
            FancyBboxPatch((BOX + 1.5, y - 0.05), 0.16, 0.1, boxstyle="round,pad=0.02", fc=tint, ec=LINE, lw=0.6)
        )
        axes.text(BOX + 1.74, y, kind, color=MUTED, va="center")


def _lane(axes: Axes, name: str, rows: dict[str, int], lanes: dict[str, float], rooms: list[Room]) -> None:
    """From the lowest room that imports ``name`` up to its box."""
    if name not in lanes:
        return
    lowest = min(rows[room.name] for room in rooms if name in room.imports)
    x, y, end = lanes[name], rows[name] * ROW - 0.15, lowest * ROW - 0.42
    axes.plot([x, x, BOX + 0.06], [end, y, y], color=STRONG, lw=1.0, solid_joinstyle="round", zorder=1)
    axes.annotate(
        "", (BOX, y), (BOX + 0.14, y), arrowprops={"arrowstyle": "-|>", "color": STRONG, "lw": 1.0, "shrinkB": 0}
    )


def _imports(axes: Axes, room: Room, top: float, lanes: dict[str, float]) -> None:
    """A line from the box to the farthest lane that it needs, a dot on each that it needs."""
    if not room.imports:
        return
    y = top - 0.42
    axes.plot([BOX, max(lanes[name] for name in room.imports)], [y, y], color=LINE, lw=0.8, zorder=0)
    axes.scatter([lanes[name] for name in room.imports], [y] * len(room.imports), s=16, color=STRONG, zorder=3, lw=0)


def _box(axes: Axes, room: Room, top: float) -> None:
    frame = "round,pad=0,rounding_size=0.06"
    low, height = top - ROW + 0.06, ROW - 0.1
    tint = TINTS.get(room.heavy, PLAIN)
    axes.add_patch(FancyBboxPatch((0, low), BOX, height, boxstyle=frame, fc=tint, ec=LINE, lw=0.8, zorder=2))
    middle = low + height / 2
    axes.text(0.12, middle, room.name, color=INK, fontsize=9, fontweight="bold", va="center", zorder=4)
    axes.text(1.05, middle, textwrap.fill(room.holds, 46), color=INK, va="center", linespacing=1.35, zorder=4)
    size = f"{room.files} files\n{round(room.lines, -2):,} lines"
    axes.text(BOX - 0.1, middle, size, color=MUTED, ha="right", va="center", linespacing=1.35, zorder=4)


def main() -> None:
    """Write the picture and the table."""
    rooms = table()
    PICTURE.write_bytes(picture(rooms))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: markdown(rooms), page), encoding="utf-8")


if __name__ == "__main__":
    main()
