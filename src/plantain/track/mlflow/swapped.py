"""Swapped heads: what a cell shows of them in MLflow, a run with the numbers of its table, and the pictures."""

from dataclasses import dataclass, field
from typing import Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.records.causal import CausalTable, read_causal
from plantain.records.verdict import read_verdict
from plantain.track.results import Cell, Held, Reader, Results, as_written, held_table

SWAPS: Final = "swaps"
"""What names of numbers begin with, and what the pictures are called."""
SAID: Final = (
    "Heads swapped between wordings. Gate, donors and selection are the tests of rung 7, which the verdict combines; "
    "all other numbers are descriptions that decide nothing."
)
"""What the run says of itself where the table is the cell's own."""


@dataclass(frozen=True)
class SwappedRun:
    """The interventions of a cell: their receipt, and the numbers where the verdict found them to be the cell's own."""

    held: Held
    table: str
    """Path of the table."""
    pictures: str | None = None
    """Path of the contact sheet; None where there is none, or it is not that of the table."""
    numbers: dict[str, float] = field(default_factory=dict)
    remark: str = SAID


def swapped_of(cell: Cell, results: Results, reader: Reader) -> SwappedRun | None:
    """What stands of a cell's interventions; None where there are none, or the table is not what its receipt says.

    None before a verdict too: a stage that logs itself as it ends cannot say whether the table is the cell's own.
    """
    path = places.causal(cell.model, cell.probe)
    found = held_table(path, reader)
    if found is None or "verdict" not in results.singles:
        return None
    held, content = found
    try:
        table = read_causal(content, path)
    except InputError:  # damaged, which the audit says
        return None
    problem = _problem(cell, results, reader, table)
    if problem:
        return SwappedRun(held, path.as_posix(), remark=problem)
    numbers = {f"{SWAPS}/{name}": value for name, value in table.numbers().items()}
    return SwappedRun(held, path.as_posix(), _pictures(cell, reader, table), numbers)


def _problem(cell: Cell, results: Results, reader: Reader, table: CausalTable) -> str:
    """Why a table is not shown; empty where the verdict that its receipt names holds this very table."""
    path = places.verdict(cell.model, cell.probe)
    content = as_written(results.singles["verdict"], path.as_posix(), reader)
    if content is None:
        return "The verdict is not here, or is another one than its receipt names: run `dvc repro`."
    try:
        found = read_verdict(content, path).swaps
    except InputError:  # of another revision
        return "The verdict is of another revision: run `dvc repro`."
    if found is None or (found.table is not None and found.table != table):
        return "The verdict has not looked at this table yet: run `dvc repro`."
    return f"Not of this cell: {found.problem}." if found.table is None else ""


def _pictures(cell: Cell, reader: Reader, table: CausalTable) -> str | None:
    path = places.causal_pictures(cell.model, cell.probe).as_posix()
    digests = reader.digests(path)
    same = table.pictures is not None and digests is not None and digests.sha256 == table.pictures.sha256
    return path if same else None
