"""The links of a chain, checked: receipts against dvc.lock, files against receipts, numbers against both."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import plantain
from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import is_source, tree_digest
from plantain.records.ledger import LEDGER, LedgerEntry, read_ledger
from plantain.records.receipt import FileRecord, Metrics, Receipt
from plantain.track import ledger
from plantain.track.dvclock import Credit, DvcLocks, md5_of, stage_name
from plantain.track.lineage import kind, missing_stages
from plantain.track.results import Cell, FolderReader, Held, Reader, Results


@dataclass(frozen=True)
class Broken:
    """A link that does not hold."""

    link: str
    """What kind of link: receipt, prompts, activations, code, metrics, ledger, MLflow, …"""
    path: str
    problem: str
    """A sentence, with the way out."""
    cell: str
    """``PROBE@MODEL`` whose numbers it undermines."""
    numbers: int
    """How many numbers of the cell rest on it."""

    def __str__(self) -> str:
        return f"{self.cell}: {self.link} {self.path}: {self.problem}"


_INSTALLED = FolderReader(Path(plantain.__file__).parents[1])


def _code_path(name: str) -> str:
    """Where an entry of a receipt's code lies; receipts of earlier revisions name modules, not rooms and files."""
    if name.split(".", maxsplit=1)[0] != "plantain":
        return f"src/plantain/{name}"
    return f"src/{name.replace('.', '/')}.py"


def _code_digest(reader: Reader, path: str) -> str | None:
    """Digest of a module or a room; None where there is none."""
    if path.endswith(".py"):  # git shows a folder too, as a listing, so that it must not be asked for as a file
        held = reader.digests(path) or reader.digests(f"{path.removesuffix('.py')}/__init__.py")
        return held.sha256 if held else None
    found = {name.removeprefix(f"{path}/"): reader.digests(name) for name in reader.names(path)}
    return (
        tree_digest({name: held.sha256 for name, held in found.items() if held and is_source(name)}) if found else None
    )


class Chain:
    """Checks one cell, or with None the stages that see all cells, upstream first; what breaks twice is said once."""

    def __init__(self, cell: Cell | None, reader: Reader, lock: DvcLocks | None) -> None:
        self._cell = cell
        self._reader = reader
        self._lock = lock
        self.checked = 0

    def broken(self, held: Iterable[Held]) -> Iterator[Broken]:
        """Every broken link of ``held``, in order, one a path."""
        for stage in missing_stages(self._cell) if self._cell else ():
            problem = "there is no receipt. Run `dvc pull` where a remote holds it, else `dvc repro`."
            yield self._at("receipt", f"receipts/{stage}", problem)
        seen: set[str] = set()
        for one in held:
            for found in self._stage(one):
                if found.path not in seen:
                    seen.add(found.path)
                    yield found

    def _stage(self, held: Held) -> Iterator[Broken]:
        yield from self._receipt(held)
        for record in held.receipt.reads:
            yield from self._file(held.receipt, record, "read")
        yield from self._code(held.receipt)
        for record in held.receipt.writes:
            yield from self._file(held.receipt, record, "wrote")
        yield from self._folders(held.receipt)

    def _receipt(self, held: Held) -> Iterator[Broken]:
        self.checked += 1
        if held.sha256 != held.receipt.sha256:
            yield self._at("receipt", held.path, "it is not in the form that plantain writes; it was edited.")
        elif self._lock is not None:
            credit = self._lock.credit(held.receipt, held.path)
            if credit is None:
                name = stage_name(held.receipt)
                yield self._at("receipt", held.path, f"dvc.lock knows no receipt of {name}. Run `dvc repro`.")
            elif md5_of(self._reader, credit) != credit.md5:
                fix = f"Restore it with `dvc checkout --force {held.path}`."
                yield self._at("receipt", held.path, f"it is not the receipt that dvc.lock names. {fix}")

    def _file(self, receipt: Receipt, record: FileRecord, verb: str) -> Iterator[Broken]:
        self.checked += 1
        found = self._reader.digests(record.path)
        if found is None:
            fix = "Run `dvc pull` where a remote holds it, else `dvc repro`."
            yield self._at(kind(record.path), record.path, f"{receipt.stage} {verb} it, and it is missing. {fix}")
            return
        same, credited = found.sha256 == record.sha256, self._is_credited(receipt, record.path)
        if not same and credited:
            problem = f"dvc.lock credits {receipt.stage} with other bytes than it {verb}: edited while the stage ran."
            yield self._at(kind(record.path), record.path, f"{problem} Run `dvc repro -f {stage_name(receipt)}`.")
        elif not same:
            problem = f"its bytes are not those that {receipt.stage} {verb} (SHA-256 {record.sha256[:12]})."
            yield self._at(kind(record.path), record.path, f"{problem} Restore it, or run `dvc repro`.")
        elif credited is False and not self._in_folder(receipt, record.path):
            problem = f"dvc.lock credits {receipt.stage} with other bytes than it {verb}. Run `dvc repro`."
            yield self._at(kind(record.path), record.path, problem)

    def _is_credited(self, receipt: Receipt, path: str) -> bool | None:
        """Whether what is there is what dvc.lock names; None where it names nothing."""
        credit: Credit | None = self._lock.credit(receipt, path) if self._lock else None
        return md5_of(self._reader, credit) == credit.md5 if credit else None

    def _in_folder(self, receipt: Receipt, path: str) -> bool:
        credit = self._lock.credit(receipt, path) if self._lock else None
        return credit is not None and credit.is_folder

    def _folders(self, receipt: Receipt) -> Iterator[Broken]:
        """Folders that are not what dvc.lock names although each file is what the receipt names."""
        records = [*receipt.reads, *receipt.writes]
        for credit in self._lock.credits(receipt) if self._lock else ():
            inside = [record for record in records if credit.covers(record.path)]
            whole = all(self._is_same(record) for record in inside)
            if credit.is_folder and inside and whole and md5_of(self._reader, credit) != credit.md5:
                problem = f"dvc.lock credits {receipt.stage} with another content of this folder. Run `dvc repro`."
                yield self._at(kind(inside[0].path), credit.path, problem)

    def _is_same(self, record: FileRecord) -> bool:
        found = self._reader.digests(record.path)
        return found is not None and found.sha256 == record.sha256

    def _code(self, receipt: Receipt) -> Iterator[Broken]:
        for name, sha256 in receipt.code.items():
            self.checked += 1
            path = _code_path(name)
            found = self._code_digest(path)
            if found is None:
                yield self._at("code", path, f"{receipt.stage} ran {name}, and it is no longer here.")
            elif found != sha256 and self._holds_code:
                problem = f"{receipt.stage} ran other code than this. Run `dvc repro`, or audit the revision that ran."
                yield self._at("code", path, problem)
            elif found != sha256:
                fix = "Run `plantain doctor --fix`, then `plantain run`, or install the plantain that ran."
                yield self._at("code", path, f"{receipt.stage} ran another plantain than is installed. {fix}")

    @cached_property
    def _holds_code(self) -> bool:
        """Whether the workspace is a checkout of plantain."""
        return bool(self._reader.names("src/plantain"))

    def _code_digest(self, path: str) -> str | None:
        """Digest of a module or a room, of the workspace's own or else of the installed plantain."""
        if self._holds_code:
            return _code_digest(self._reader, path)
        return _code_digest(_INSTALLED, path.removeprefix("src/"))

    def numbers(self) -> Iterator[Broken]:
        """Numbers of ``metrics.json`` that are not the receipt's."""
        if self._cell is None:
            return
        analyze = self._cell.held.get("analyze")
        path = places.metrics(self._cell.model, self._cell.probe).as_posix()
        content = self._reader.read(path)
        if analyze is None or content is None:
            return
        self.checked += count(analyze.receipt.metrics)
        for name, said, stated in differences(parsed(content), analyze.receipt.metrics):
            yield self._at("metrics", path, f"{name} is {said}, and the receipt says {stated}.")

    def _at(self, link: str, path: str, problem: str) -> Broken:
        if self._cell is None:
            return Broken(link, path, problem, "all results", 0)
        analyze = self._cell.held.get("analyze")
        undermined = link not in ("report", "ledger", "MLflow") and analyze is not None
        numbers = count(analyze.receipt.metrics) if analyze and undermined else 0
        return Broken(link, path, problem, self._cell.name, numbers)


def check_ledger(reader: Reader, results: Results, cells: Iterable[Cell]) -> Iterator[Broken]:
    """Entries of the ledger that the receipts do not say."""
    content = reader.read(LEDGER)
    names = {cell.name for cell in cells}
    wanted = [entry for entry in ledger.ledger_of(results).numbers if f"{entry.probe}@{entry.model}" in names]
    if content is None:
        problem = "it is missing. Restore it with git, or run `dvc repro publish`."
        yield from (Broken("ledger", LEDGER, problem, name, 0) for name in sorted(names))
        return
    try:
        held = {entry.place: entry for entry in read_ledger(content).numbers}
    except InputError as error:
        yield from (Broken("ledger", LEDGER, f"{error.problem} Fix: {error.fix}", name, 0) for name in sorted(names))
        return
    for entry in wanted:
        yield from _entry(entry, held.get(entry.place))


def _entry(wanted: LedgerEntry, held: LedgerEntry | None) -> Iterator[Broken]:
    cell, name = f"{wanted.probe}@{wanted.model}", f"{wanted.contrast}.{wanted.analysis}"
    if held is None:
        yield Broken("ledger", LEDGER, f"it has no entry {name}. Run `dvc repro publish`.", cell, 0)
        return
    digests = {
        "prompts_sha256": (held.prompts_sha256, wanted.prompts_sha256),
        "capture_key": (held.capture_key, wanted.capture_key),
        "receipt_sha256": (held.receipt_sha256, wanted.receipt_sha256),
    }
    for field, (said, right) in digests.items():
        if said != right:
            problem = f"{name} has {field} {said}, and the receipts say {right}."
            yield Broken("ledger", LEDGER, problem, cell, len(wanted.metrics))
    for metric, value, right_value in differences({name: {"": held.metrics}}, {name: {"": wanted.metrics}}):
        problem = f"{metric.replace('..', '.')} is {value}, and the receipt says {right_value}."
        yield Broken("ledger", LEDGER, problem, cell, 1)


def differences(said: Metrics, stated: Metrics) -> Iterator[tuple[str, float | None, float | None]]:
    """Name, value said and value stated of every number that is not the same in both."""
    left, right = _flat(said), _flat(stated)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            yield name, left.get(name), right.get(name)


def count(metrics: Metrics) -> int:
    """How many numbers there are."""
    return sum(len(found) for analyses in metrics.values() for found in analyses.values())


def parsed(content: bytes) -> Metrics:
    """``metrics.json`` from its bytes; empty where it is no table of numbers, so that every number differs."""
    try:
        value: Metrics = json.loads(content)
        _flat(value)
    except (ValueError, AttributeError, RecursionError):
        return {}
    return value


def _flat(metrics: Metrics) -> dict[str, float]:
    return {
        f"{contrast}.{analysis}.{name}": value
        for contrast, analyses in metrics.items()
        for analysis, found in analyses.items()
        for name, value in found.items()
    }
