"""Other noise levels: what a cell shows as curves in MLflow's own charts, one step a level (step = 1000 sigma)."""

from dataclasses import dataclass, field
from typing import Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import sha256_bytes
from plantain.records.sweep import Levels, LevelTest
from plantain.records.verdict import read_verdict
from plantain.track.mlflow.profiles import Series
from plantain.track.results import Cell, Held, Reader, Results, as_written, held_table

STEPS: Final = 1000
"""Steps from no noise to pure noise: MLflow's steps are whole numbers."""
SECTION: Final = "sweep/"
"""What names of curves begin with: MLflow's charts make a section of it."""
ABOUT: Final = (
    f"Wordings compared at several noise levels; a step is a level, {STEPS} is pure noise. Exploratory: part of no "
    "verdict, and corrected for nothing."
)
"""What the run says of itself where all contrasts have curves."""


@dataclass(frozen=True)
class Swept:
    """The sweep of a cell: its receipt, and the curves of the contrasts that the verdict found to be the cell's own."""

    held: Held
    table: str
    """Path of the table."""
    series: Series = field(default_factory=dict)
    remark: str = ""
    """Why contrasts have no curve; empty where all have."""


def sweep_of(cell: Cell, results: Results, reader: Reader) -> Swept | None:
    """What stands of a cell's sweep; None where none was made, or its table is not what its receipt says.

    None before a verdict too: a stage that logs itself as it ends cannot say whether the table is the cell's own.
    """
    table = places.sweep(cell.model, cell.probe)
    kept = held_table(table, reader)
    if kept is None or "verdict" not in results.singles:
        return None
    held, content = kept
    found = _shown(cell, results, reader, table.as_posix(), sha256_bytes(content))
    if found is None:
        return Swept(held, table.as_posix(), remark="The verdict has not looked at this sweep yet: run `dvc repro`.")
    remark = "; ".join(f"{name}: {why}" for name, why in sorted(found.problems.items()))
    return Swept(held, table.as_posix(), curves(found), remark)


def _shown(cell: Cell, results: Results, reader: Reader, table: str, sha256: str) -> Levels | None:
    """What the verdict says of a table, where it read this one and is the verdict that its receipt names."""
    held, path = results.singles.get("verdict"), places.verdict(cell.model, cell.probe)
    if held is None or not any(record.path == table and record.sha256 == sha256 for record in held.receipt.reads):
        return None
    content = as_written(held, path.as_posix(), reader)
    if content is None:
        return None
    try:
        return read_verdict(content, path).levels
    except InputError:  # of another revision
        return None


def curves(found: Levels) -> Series:
    """``sweep/<contrast>.<measure>.<metric>``, from little noise up: MLflow shows the largest step as the value."""
    series: dict[str, list[tuple[int, float]]] = {}
    for contrast, by_measure in found.contrasts.items():
        for measure, levels in by_measure.items():
            for level in reversed(levels):
                for metric, value in _values(level).items():
                    name = f"{SECTION}{contrast}.{measure}.{metric}"
                    series.setdefault(name, []).append((round(STEPS * level.sigma), value))
    return {name: tuple(points) for name, points in series.items()}


def _values(level: LevelTest) -> dict[str, float]:
    """Under the names that metrics have."""
    known = {
        "selective_heads_lower_bound": level.heads_lower_bound,
        "alive_units": level.alive,
        "template_simes_p": level.p,
        "delta": level.delta,
        "concept_information": level.concept_information,
    }
    return {name: float(value) for name, value in known.items() if value is not None}
