"""``reports/cells.json``: the cells of the last run, in its order."""

from pathlib import Path

from plantain.base import places
from plantain.records.base import Frozen, read


class CellName(Frozen):
    """One probe on one model."""

    probe: str
    model: str


class Cells(Frozen):
    """Every cell of a run."""

    cells: list[CellName]

    @property
    def names(self) -> list[tuple[str, str]]:
        """(probe, model) of every cell."""
        return [(cell.probe, cell.model) for cell in self.cells]


def cells_of(probes: list[str], models: list[str]) -> Cells:
    """Every probe on every model."""
    return Cells(cells=[CellName(probe=probe, model=model) for probe in probes for model in models])


def read_cells(source: Path | bytes, file: Path | str | None = places.CELLS) -> Cells:
    """Read the list of cells.

    Raises:
        InputError: it is missing or damaged.
    """
    fix = "restore it with git, or run `dvc repro cells`, which writes it anew."
    return read(source, Cells, what="the cells of the run", fix=fix, file=file)
