"""How the cost of one cell grows: items to 3,000, conditions to 100, untrained draws to 40, each alone.

    python benchmarks/growth.py                       # every curve, growth.png and growth.json: about ten minutes
    python benchmarks/growth.py --only analyze.items  # one of them, the others as they were

Cells are synthetic (`growing.py`), the settings those of params.yaml. Each point is a process of its own, which does
the same on a small cell first. Memory is the most that it held (VmHWM, mapped files counted, set back after the small
cell) less what it held then; time is processor time. Exponents are slopes in log-log of the last two points. Linux
alone knows VmHWM.
"""

import argparse
import json
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import growing
from growing import Size
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from plantain.analysis.cell import analyse_cell
from plantain.base.config import VERDICT_ANALYSIS, read_params
from plantain.capture.assembly import Assembly
from plantain.capture.cell import look
from plantain.capture.grams import Axes, Reduction, assemble_grams
from plantain.ladder.beside import Sources
from plantain.ladder.judge import CellEvidence, FixedRules, judge
from plantain.ladder.tables import drawn
from plantain.measure.vectors import every_measure
from plantain.records.activations import read_activations, write_activations
from plantain.records.grams import read_grams, write_grams
from plantain.records.summary import Summary, read_summary

HERE: Final = Path(__file__).resolve().parent
MIB: Final = 1 << 20
SMALL: Final = Size(12, 10, 2)
ACTIVATIONS, GRAMS, SUMMARY = "activations.safetensors", "grams.safetensors", "summary.json"


def prepare_files(size: Size, folder: Path) -> None:
    """What a captured cell leaves behind."""
    write_activations(folder / ACTIVATIONS, growing.activations(size))
    write_grams(folder / GRAMS, growing.grams(size))


def analyze(size: Size, folder: Path) -> None:
    """`analyze` without the writing of tables."""
    activations, grams = read_activations(folder / ACTIVATIONS), read_grams(folder / GRAMS)
    analyse_cell(activations, growing.groups(), growing.contrasts(size), read_params().analyses, grams)


def prepare_summary(size: Size, folder: Path) -> None:
    prepare_files(size, folder)
    activations, analyses = read_activations(folder / ACTIVATIONS), read_params().analyses
    chosen = {VERDICT_ANALYSIS: analyses[VERDICT_ANALYSIS]}
    found = analyse_cell(activations, growing.groups(), growing.contrasts(size), chosen)
    summary = Summary(probe="growing", model="growing", contrasts=found.summaries, vectors=found.vectors)
    (folder / SUMMARY).write_bytes(summary.to_bytes())


def climb(size: Size, folder: Path) -> None:
    """`verdict` of one cell without tables of the study."""
    params, lock = read_params(), growing.lock()
    evidence = CellEvidence(
        probe="growing",
        model="growing",
        activations=read_activations(folder / ACTIVATIONS),
        grams=read_grams(folder / GRAMS),
        groups=growing.groups(),
        records=growing.records(size),
        contrasts=growing.contrasts(size),
        summary=read_summary(folder / SUMMARY),
        sources=Sources(lock, lock, {}, {}, params.capture, params.reference),
    )
    judge(evidence, FixedRules(VERDICT_ANALYSIS, params.analyses[VERDICT_ANALYSIS], params.verdict))


def prepare_shards(size: Size, folder: Path) -> None:
    growing.write_shards(size, folder)


def assemble(size: Size, folder: Path) -> None:
    """The end of `capture`: from shards to the activation file."""
    records, stores = growing.records(size), growing.stores(folder)
    assembly, nothing = Assembly(records, (0,), range(size.draws)), Reduction(growing.axes(size), [], *stores[1:])
    assert not look(growing.jobs(size), stores[0], nothing, assembly), "every shard is there"
    write_activations(folder / ACTIVATIONS, assembly.activations({}))


def prepare_vectors(size: Size, folder: Path) -> None:
    growing.write_vectors(size, folder)


def reduce(size: Size, folder: Path) -> None:
    """The end of `capture`: from vectors to the gram file."""
    axes: Axes = growing.axes(size)
    reduction = Reduction(axes, growing.jobs(size), *growing.stores(folder)[1:])
    reduction.settle_all()
    found = assemble_grams(axes, reduction.entries(), growing.GEOMETRY, range(size.draws), {})
    write_grams(folder / GRAMS, found)


def rank(size: Size, folder: Path) -> None:
    """The end of `nulls`: what every draw of a family scores."""
    params, contrasts = read_params(), growing.contrasts(size).contrasts
    activations, grams, groups = read_activations(folder / ACTIVATIONS), read_grams(folder / GRAMS), growing.groups()
    analysis = params.analyses[VERDICT_ANALYSIS]
    draws = (every_measure(activations, groups, analysis, grams, draw) for draw in range(size.draws))
    drawn(draws, contrasts, {one.name: {} for one in contrasts}, params.verdict)


Step = Callable[[Size, Path], None]
WORK: Final[dict[str, tuple[Step, Step]]] = {
    "analyze": (prepare_files, analyze),
    "verdict": (prepare_summary, climb),
    "assemble": (prepare_shards, assemble),
    "grams": (prepare_vectors, reduce),
    "nulls": (prepare_files, rank),
}
ITEMS: Final = [Size(items, 10) for items in (100, 300, 1000, 3000)]
CONDITIONS: Final = [Size(100, conditions) for conditions in (10, 30, 60, 100)]
DRAWS: Final = [Size(10, 20, draws) for draws in (5, 10, 20, 40)]
CURVES: Final = {
    **{f"{work}.items": ITEMS for work in ("assemble", "grams", "analyze", "verdict")},
    **{f"{work}.conditions": CONDITIONS for work in ("assemble", "grams", "analyze", "verdict")},
    **{f"{work}.draws": DRAWS for work in ("assemble", "grams", "nulls")},
}


@dataclass(frozen=True)
class Point:
    """What one process took."""

    items: int
    conditions: int
    draws: int
    file: float
    """MiB of the activation file of such a cell."""
    grams: float
    """MiB of its gram file."""
    peak: float
    """MiB above the idle process."""
    seconds: float
    """Of processor time."""


def memory(what: str) -> float:
    """MiB of this process, ``VmRSS`` or ``VmHWM``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def one_point(work: str, size: Size, folder: Path) -> tuple[float, float]:
    """Peak and processor seconds of some work in this process, after a small cell of the same."""
    run = WORK[work][1]
    run(SMALL, folder / "small")
    Path("/proc/self/clear_refs").write_text("5")
    idle, started = memory("VmRSS"), time.process_time()
    run(size, folder / "point")
    return memory("VmHWM") - idle, time.process_time() - started


def point_of(work: str, size: Size) -> Point:
    """One point, prepared in one process and measured in another."""
    with tempfile.TemporaryDirectory() as folder:
        alone(prepare, work, size, Path(folder))
        peak, seconds = alone(one_point, work, size, Path(folder))
    return Point(**asdict(size), file=growing.file_bytes(size) / MIB, grams=growing.gram_bytes(size) / MIB,
                 peak=peak, seconds=seconds)  # fmt: skip


def alone(run: Callable[..., Any], *arguments: object) -> Any:
    """What a function returns in a process of its own: a fresh one, since a fork takes locks of threads with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def prepare(work: str, size: Size, folder: Path) -> None:
    """Files of a small cell and of the point."""
    for one, place in ((SMALL, folder / "small"), (size, folder / "point")):
        place.mkdir()
        WORK[work][0](one, place)


def exponent(points: Sequence[Point], axis: str, of: str) -> float:
    """Slope in log-log of the last two points."""
    first, last = points[-2:]
    grown = getattr(last, axis) / getattr(first, axis)
    return math.log(max(getattr(last, of), 1e-9) / max(getattr(first, of), 1e-9)) / math.log(grown)


def told(name: str, points: Sequence[Point]) -> str:
    """A row of the table."""
    axis, last = name.partition(".")[2], points[-1]
    return (
        f"| {name} | {getattr(last, axis):,} | {last.file:.0f} | {last.grams:.0f} | {last.peak:.0f} "
        f"| {last.peak / last.file:.2f} | {exponent(points, axis, 'peak'):.2f} "
        f"| {last.seconds:.1f} | {exponent(points, axis, 'seconds'):.2f} |"
    )


TABLE: Final = (
    "| curve | to | activation file, MiB | gram file, MiB | peak, MiB | over the activation file | its exponent "
    "| processor s | its exponent |\n|---|---|---|---|---|---|---|---|---|"
)


def draw(found: dict[str, list[Point]], path: Path) -> None:
    """Processor time and peak over each axis, log-log; beside the peaks the activation file and 1.5 times it."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots(2, 3, sharex="col")
    for column, axis in enumerate(("items", "conditions", "draws")):
        curves = {name.partition(".")[0]: points for name, points in found.items() if name.endswith(axis)}
        for work, points in curves.items():
            sizes = [getattr(point, axis) for point in points]
            for row, of in enumerate(("seconds", "peak")):
                axes[row, column].loglog(sizes, [getattr(point, of) for point in points], "o-", label=work)
        files = [point.file for point in points]
        axes[1, column].loglog(sizes, files, "k--", lw=1, label="one activation file")
        axes[1, column].loglog(sizes, [1.5 * size for size in files], "k:", lw=1, label="1.5 of it")
        axes[0, column].loglog(sizes, [size / sizes[-1] for size in sizes], "k--", lw=1, label="in proportion")
        axes[1, column].set_xlabel(axis)
        axes[1, column].set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes[1, column].xaxis.set_minor_formatter(NullFormatter())
        for row, label in enumerate(("processor time, s", "peak above idle, MiB")):
            axes[row, column].set_ylabel(label)
            axes[row, column].legend(fontsize=7)
    figure.savefig(path, dpi=120)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--only", default="", help="curves whose name starts so")
    options = asked.parse_args()
    warnings.simplefilter("ignore")
    kept = HERE / "growth.json"
    held = json.loads(kept.read_text()) if options.only and kept.exists() else {}
    print(TABLE)
    for name, sizes in CURVES.items():
        if name.startswith(options.only):
            points = [point_of(name.partition(".")[0], size) for size in sizes]
            held[name] = [asdict(point) for point in points]
            print(told(name, points), flush=True)
    kept.write_text(json.dumps(held, indent=1) + "\n")
    draw({name: [Point(**point) for point in points] for name, points in held.items()}, HERE / "growth.png")


if __name__ == "__main__":
    main()
