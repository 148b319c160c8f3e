"""The audit: the chain of every number, and whether each of its links holds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from plantain.base.errors import InputError
from plantain.base.params import Params
from plantain.records import journal
from plantain.records.receipt import Metrics
from plantain.track.address import Found
from plantain.track.asked import Asked, asked_of
from plantain.track.audit.checks import Broken, Chain, check_ledger, count
from plantain.track.audit.study import RuleChange, broken_tables, rule_changes
from plantain.track.dvclock import DvcLocks, locks_of
from plantain.track.lineage import Step, chain
from plantain.track.mlflow.check import check_runs
from plantain.track.mlflow.projection import RunSpec, project
from plantain.track.results import Cell
from plantain.track.wordings import Dropped, dropped, probe_at


class Level(StrEnum):
    """How far an audit goes; each level includes those before it."""

    hashes = "hashes"
    stats = "stats"
    capture = "capture"


@dataclass(frozen=True)
class CellAudit:
    """One cell: what its numbers are, where they come from, which links are broken."""

    cell: Cell
    steps: tuple[Step, ...]
    metrics: Metrics
    """Those of the contrast asked for, or all."""
    broken: tuple[Broken, ...]
    recomputed: bool
    """Whether every number came out the same when computed again."""
    dropped: tuple[Dropped, ...] = ()
    """Wordings that were taken out after numbers with them were published: no broken link, but to be known."""

    @property
    def ok(self) -> bool:
        """Whether every link holds."""
        return not self.broken

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        prompts = self.cell.prompts
        return {
            "address": self.cell.name,
            "ok": self.ok,
            "recomputed": self.recomputed,
            "prompts": prompts.model_dump() if prompts else None,
            "capture_key": self.cell.capture_key,
            "numbers": self.metrics,
            "chain": [step.to_json() for step in self.steps],
            "broken": [asdict(one) for one in self.broken],
            "dropped_wordings": [asdict(one) for one in self.dropped],
        }


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    level: Level
    rev: str | None
    cells: tuple[CellAudit, ...]
    broken: tuple[Broken, ...]
    """Broken links that belong to no single cell."""
    links: int
    """How many links were checked."""
    tracker: str | None
    """Why MLflow was not asked; None where it was."""
    rules: tuple[RuleChange, ...] = ()
    """Changes of the verdict's rules after verdicts were published: no broken link, but to be known."""
    asked: tuple[Asked, ...] = ()
    """How often the models of the cells were asked."""

    @property
    def first(self) -> Broken | None:
        """The first broken link, upstream first."""
        return next((one for audit in self.cells for one in audit.broken), next(iter(self.broken), None))

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "schema": "plantain.audit/1",
            "ok": self.first is None,
            "level": str(self.level),
            "rev": self.rev,
            "links": self.links,
            "first_broken": asdict(self.first) if self.first else None,
            "results": [cell.to_json() for cell in self.cells],
            "broken": [asdict(one) for one in self.broken],
            "mlflow": self.tracker or "checked",
            "rule_changes": [asdict(one) for one in self.rules],
            "asked": {one.model: one.to_json() for one in self.asked},
        }


def audit(root: Path, found: Found, params: Params, level: Level, *, passes: int = 2) -> Audit:
    """Follow and check the chain of every number of ``found``.

    Args:
        root: the repository.
        found: the results to audit.
        params: for the tracker's place.
        level: how far to go.
        passes: how many passes of each cell the level ``capture`` runs again.
    """
    lines = journal.executions()
    lock = locks_of(found.reader)
    runs, tracker = check_runs(_runs(found, lines, root), params.tracking)
    ledgered = list(check_ledger(found.reader, found.results, found.cells))
    together = [] if level is Level.hashes else list(_together(found))
    cells, links = [], 0
    for cell in found.cells:
        steps = chain(cell, lines)
        walk = Chain(cell, found.reader, lock)
        broken = [*walk.broken(step.held for step in steps), *walk.numbers()]
        tried = level is not Level.hashes and all(one.link in ("code", "report") for one in broken)
        again = list(_again(cell, found, level, passes)) if tried else []
        broken += again
        broken += [one for one in (*ledgered, *together, *runs) if one.cell == cell.name]
        same = tried and not again
        numbers, gone = _metrics(cell, found.contrast), _dropped(root, found, cell)
        cells.append(CellAudit(cell, steps, numbers, tuple(broken), same, gone))
        links += walk.checked
    rest = _rest(found, lock, {one.path for cell in cells for one in cell.broken})
    rest += [one for one in together if "@" not in one.cell]
    rest += [one for one in runs if one.cell not in {cell.name for cell in found.results.cells}]
    rest += [Broken("table", one.path, one.problem, "the verdicts", 0) for one in broken_tables(found.reader)]
    whole = len(found.cells) == len(found.results.cells)
    rules = () if found.rev else tuple(rule_changes(root))
    counts = tuple(asked_of(root, found.cells))
    return Audit(level, found.rev, tuple(cells), tuple(rest if whole else ()), links, tracker, rules, counts)


def _rest(found: Found, lock: DvcLocks | None, said: set[str]) -> list[Broken]:
    """Broken links of the stages that see all cells, beyond those that were said of single cells."""
    walk = Chain(None, found.reader, lock)
    return [one for one in walk.broken(found.results.singles.values()) if one.path not in said]


def _dropped(root: Path, found: Found, cell: Cell) -> tuple[Dropped, ...]:
    now = probe_at(found.reader, cell.probe)
    return tuple(dropped(root, cell, now, found.rev)) if now else ()


def _runs(found: Found, lines: list[journal.Execution], root: Path) -> list[RunSpec]:
    """The runs that must agree; a parent shows the latest analysis, which that of a revision need not be."""
    specs = project(found.results, found.reader, lines, root)
    return [spec for spec in specs if found.rev is None or spec.kind != "cell"]


def _together(found: Found) -> Iterator[Broken]:
    """Numbers over all probes made again, by the code of this checkout."""
    from plantain.track.audit.family import check_family

    yield from check_family(found.results, found.reader)


def _again(cell: Cell, found: Found, level: Level, passes: int) -> Iterator[Broken]:
    """Numbers and passes made again, by the code of this checkout."""
    from plantain.track.audit.recompute import check_capture, check_stats
    from plantain.track.audit.swaps import check_swaps

    try:
        yield from check_stats(cell, found.reader)
        yield from check_swaps(cell, found.reader)
        if level is Level.capture:
            yield from check_capture(cell, found.reader, passes)
    except InputError as error:
        path, numbers = str(error.file or "receipts"), count(_metrics(cell, None))
        yield Broken("statistics", path, f"the numbers cannot be made again: {error}", cell.name, numbers)


def _metrics(cell: Cell, contrast: str | None) -> Metrics:
    metrics = cell.held["analyze"].receipt.metrics if "analyze" in cell.held else {}
    return {name: found for name, found in metrics.items() if contrast in (None, name)}


def total(cells: tuple[CellAudit, ...]) -> int:
    """How many numbers were audited."""
    return sum(count(cell.metrics) for cell in cells)
