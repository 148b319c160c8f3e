"""The receipts that stand now, cell by cell: in the workspace or at a git revision."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Protocol

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import digest, sha256_bytes
from plantain.records.cells import read_cells
from plantain.records.receipt import PromptSet, Receipt, read_receipt

_CHUNK: Final = 1 << 20
RESULTS: Final = (places.LOCK.as_posix(), places.CELLS.as_posix())
"""What changes in git whenever a result does: the lock at the top holds a digest of all receipts."""
MODEL_STAGES: Final = ("model",)
PROBE_STAGES: Final = ("prompts",)
CELL_STAGES: Final = ("reference", "capture", "analyze", "report")
SINGLE_STAGES: Final = ("verdict", "compare")


@dataclass(frozen=True)
class Digests:
    """What names the content of a file: to plantain (SHA-256) and to DVC (MD5)."""

    sha256: str
    md5: str
    size: int


def digests_of(stream: IO[bytes]) -> Digests:
    """Digests of everything in ``stream``, read in chunks."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    while chunk := stream.read(_CHUNK):
        sha256.update(chunk)
        md5.update(chunk)
        size += len(chunk)
    return Digests(sha256.hexdigest(), md5.hexdigest(), size)


class Reader(Protocol):
    """Where files come from: a folder, or the repository at a revision."""

    @property
    def folder(self) -> Path | None:
        """The workspace; None for a revision."""
        ...

    def read(self, path: str) -> bytes | None:
        """The bytes of ``path`` relative to the repository root, or None where there is no such file."""
        ...

    def digests(self, path: str) -> Digests | None:
        """Digests of ``path``, or None where there is no such file. A file is read once."""
        ...

    def names(self, folder: str) -> list[str]:
        """Paths of all files below ``folder``, sorted; empty where there is no such folder."""
        ...


@dataclass(frozen=True)
class FolderReader:
    """The workspace."""

    root: Path
    _known: dict[str, Digests] = field(default_factory=dict, compare=False)

    @property
    def folder(self) -> Path | None:
        """The workspace."""
        return self.root

    def read(self, path: str) -> bytes | None:
        """The bytes of ``path``, or None."""
        target = self.root / path
        return target.read_bytes() if target.is_file() else None

    def digests(self, path: str) -> Digests | None:
        """Digests of ``path``, or None."""
        target = self.root / path
        if path not in self._known and target.is_file():
            with target.open("rb") as stream:
                self._known[path] = digests_of(stream)
        return self._known.get(path)

    def names(self, folder: str) -> list[str]:
        """Paths of all files below ``folder``, sorted."""
        found = (path for path in (self.root / folder).rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)


@dataclass(frozen=True)
class Held:
    """A receipt with the digest of its bytes as found."""

    path: str
    sha256: str
    receipt: Receipt


@dataclass(frozen=True)
class Cell:
    """One probe on one model, and the receipts of its stages."""

    probe: str
    model: str
    held: dict[str, Held]
    """By stage; the shared ``model`` and ``prompts`` receipts included."""

    @property
    def name(self) -> str:
        """``PROBE@MODEL``."""
        return f"{self.probe}@{self.model}"

    @property
    def capture_key(self) -> str | None:
        """Digest of all that decided the activations; None before the first capture."""
        return self.held["capture"].receipt.capture_key if "capture" in self.held else None

    @property
    def prompts(self) -> PromptSet | None:
        """The prompt set that the activations were made from."""
        sets = (self.held[stage].receipt.prompts for stage in ("capture", "prompts") if stage in self.held)
        return next((found for found in sets if found is not None), None)


@dataclass(frozen=True)
class Results:
    """Every cell of a run, and the stages that see all cells."""

    cells: tuple[Cell, ...]
    singles: dict[str, Held]

    def held(self) -> Iterator[Held]:
        """Every receipt once, ordered by path."""
        found = {held.path: held for cell in self.cells for held in cell.held.values()}
        found.update({held.path: held for held in self.singles.values()})
        return iter(found[path] for path in sorted(found))

    @property
    def sha256(self) -> str:
        """Digest of all receipts; the same on every machine that holds the same results."""
        return digest({held.path: held.sha256 for held in self.held()})


def read_results(reader: Reader) -> Results:
    """Read the receipts of the cells that ``reports/cells.json`` names; none where that file is absent.

    Raises:
        InputError: a file is not what it should be.
    """
    cells = tuple(read_cell(reader, probe, model) for probe, model in cell_names(reader))
    singles = {stage: held for stage in SINGLE_STAGES if (held := _held(reader, places.receipt(stage)))}
    return Results(cells, singles if cells else {})


def cell_names(reader: Reader) -> list[tuple[str, str]]:
    """The (probe, model) pairs of the last run, in its order."""
    content = reader.read(places.CELLS.as_posix())
    return [] if content is None else read_cells(content).names


def parse_receipt(path: str, content: bytes) -> Held:
    """A receipt from its bytes.

    Raises:
        InputError: it is no receipt of this version; names the field.
    """
    return Held(path, sha256_bytes(content), read_receipt(content, path))


def written(held: Held, path: str) -> str | None:
    """Digest of ``path`` as a stage wrote it."""
    return next((record.sha256 for record in held.receipt.writes if record.path == path), None)


def as_written(held: Held, path: str, reader: Reader) -> bytes | None:
    """The bytes of ``path``; None where it is not here, or is not what the receipt says was written."""
    content = reader.read(path)
    return content if content is not None and sha256_bytes(content) == written(held, path) else None


def held_table(table: Path, reader: Reader) -> tuple[Held, bytes] | None:
    """A table of the study with the receipt beside it; None where one is missing, damaged or not of the other."""
    path = table.with_suffix(".receipt.json").as_posix()
    receipt = reader.read(path)
    if receipt is None:
        return None
    try:
        held = parse_receipt(path, receipt)
    except InputError:  # which the audit says
        return None
    content = as_written(held, table.as_posix(), reader)
    return None if content is None else (held, content)


def read_cell(reader: Reader, probe: str, model: str) -> Cell:
    """The receipts of one cell, as far as they exist."""
    paths = {stage: places.receipt(stage, model=model) for stage in MODEL_STAGES}
    paths |= {stage: places.receipt(stage, probe=probe) for stage in PROBE_STAGES}
    paths |= {stage: places.receipt(stage, model=model, probe=probe) for stage in CELL_STAGES}
    held = {stage: found for stage, path in paths.items() if (found := _held(reader, path))}
    return Cell(probe, model, held)


def _held(reader: Reader, path: Path) -> Held | None:
    content = reader.read(path.as_posix())
    return None if content is None else parse_receipt(path.as_posix(), content)
