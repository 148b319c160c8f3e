"""Two results compared: prompts by record, parameters, code, environment, numbers, and what can have caused what."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from plantain.records.ledger import LEDGER
from plantain.records.receipt import Receipt
from plantain.track.audit.checks import differences
from plantain.track.headlines import Headline, VerdictChange, headlines_of, verdict_change
from plantain.track.lineage import ORDER
from plantain.track.mlflow.projection import flat
from plantain.track.regrouped import ConditionChange, ItemChange, PromptChange, regrouped
from plantain.track.results import Cell
from plantain.track.sides import Side
from plantain.track.wordings import SideChange, changes, is_published, probe_at

SILENT: Final = ("report",)
"""Stages that no number comes from."""


@dataclass(frozen=True)
class Change:
    """Something that stages read and that differs."""

    kind: str
    """``prompts``, ``reference``, ``model``, ``params``, ``seeds``, ``code``, ``packages`` or ``device``."""
    name: str
    before: str | None
    after: str | None
    stages: tuple[str, ...]
    """Stages that read it."""


@dataclass(frozen=True)
class NumberChange:
    """A number that differs; None where one side does not have it."""

    name: str
    """``contrast.analysis.metric``."""
    before: float | None
    after: float | None
    causes: tuple[str, ...]
    """Changes that can have caused it, as ``kind name``."""


@dataclass
class Difference:
    """What differs between two results."""

    before: str
    after: str
    verdict: VerdictChange | None = None
    """None where neither side was judged."""
    headline: list[Headline] = field(default_factory=list)
    """The numbers that stand first, moved or not."""
    conditions: list[ConditionChange] = field(default_factory=list)
    items: list[ItemChange] = field(default_factory=list)
    prompts: list[PromptChange] = field(default_factory=list)
    """The same, record by record."""
    changes: list[Change] = field(default_factory=list)
    numbers: list[NumberChange] = field(default_factory=list)
    wordings: tuple[SideChange, ...] = ()
    """Sides of contrasts that do not hold the same wordings."""
    published: bool = False
    """Whether numbers of the earlier set of prompts stood in the ledger, where the earlier result was found."""
    unread: list[str] = field(default_factory=list)
    """Sides whose receipts are not here, so that their numbers and prompts are those of the ledger."""
    same_activations: bool = False
    """Whether both analyses read the same bytes, so that nothing upstream of them caused a change."""

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.prompts or self.wordings or self.changes or self.numbers)


def compare(before: Side, after: Side, names: tuple[str, str], contrast: str | None = None) -> Difference:
    """What differs between two results, of one contrast or of all."""
    found = Difference(*names)
    found.unread = [name for name, side in zip(names, (before, after), strict=True) if not side.is_whole]
    found.verdict = verdict_change(before, after, contrast)
    found.headline = headlines_of(before, after, contrast)
    found.prompts, found.conditions, found.items = regrouped(before, after)
    found.wordings = tuple(one for one in _wordings(before, after) if contrast in (None, one.contrast))
    found.published = is_published(before.reader.read(LEDGER), before.cell)
    found.same_activations = _activations(before.cell) == _activations(after.cell) is not None
    found.changes = _changes(before, after, bool(found.prompts))
    left, right = (side.metrics(contrast) for side in (before, after))
    for name, old, new in differences(left, right):
        causes = tuple(f"{one.kind} {one.name}" for one in found.changes if _can_cause(one, name, found))
        found.numbers.append(NumberChange(name, old, new, causes))
    return found


def _can_cause(change: Change, number: str, found: Difference) -> bool:
    if change.kind == "params" and change.name.startswith("analyses."):
        return number.split(".")[1] == change.name.split(".")[1]
    reached = [stage for stage in change.stages if stage not in SILENT]
    if found.same_activations:
        return "analyze" in reached
    return bool(reached)


def _activations(cell: Cell) -> tuple[str, ...] | None:
    if "capture" not in cell.held:
        return None
    return tuple(record.sha256 for record in cell.held["capture"].receipt.writes)


def _wordings(before: Side, after: Side) -> tuple[SideChange, ...]:
    """By the probe files; none where the two results are of different probes."""
    if before.cell.probe != after.cell.probe:
        return ()
    old, new = (probe_at(side.reader, side.cell.probe) for side in (before, after))
    return changes(old, new) if old and new else ()


def _changes(before: Side, after: Side, prompts: bool) -> list[Change]:
    merged: dict[tuple[str, str, str | None, str | None], list[str]] = {}
    for stage in ORDER:
        old, new = before.cell.held.get(stage), after.cell.held.get(stage)
        if old and new:
            for kind, name, said, says in _stage(old.receipt, new.receipt):
                merged.setdefault((kind, name, said, says), []).append(stage)
    found = [Change(*key, tuple(stages)) for key, stages in merged.items()]
    order = ("prompts", "reference", "model", "params", "seeds", "code", "packages", "device")
    return sorted(found, key=lambda one: (order.index(one.kind), one.name))


def _stage(old: Receipt, new: Receipt) -> Iterator[tuple[str, str, str | None, str | None]]:
    yield from _values("params", flat(_params(old)), flat(_params(new)))
    yield from _values("seeds", flat(dict(old.seeds)), flat(dict(new.seeds)))
    yield from _values("code", old.code, new.code)
    yield from _values("packages", old.packages, new.packages)
    observed = ({"device": one.device or "", "dtype": one.dtype or ""} for one in (old, new))
    yield from _values("device", *observed)
    yield from _values("model", {"lock": old.model_lock_sha256 or ""}, {"lock": new.model_lock_sha256 or ""})
    if old.stage == "capture":
        yield from _values("prompts", _set(old), _set(new))
        yield from _values("reference", _references(old), _references(new))


def _params(receipt: Receipt) -> dict[str, Any]:
    """Parameters without the environment, whose versions are compared as packages, and without other models."""
    kept = {key: value for key, value in receipt.params.items() if not key.startswith("environment")}
    if receipt.stage == "model" and isinstance(kept.get("models"), dict):
        kept["models"] = {receipt.model: kept["models"].get(receipt.model, {})}
    return kept


def _set(receipt: Receipt) -> dict[str, str]:
    return {receipt.prompts.probe: receipt.prompts.set_sha256} if receipt.prompts else {}


def _references(receipt: Receipt) -> dict[str, str]:
    images = [record for record in receipt.reads if record.path.endswith(".png")]
    return {record.path.rsplit("/", 1)[-1]: record.sha256 for record in images}


def _values(kind: str, old: dict[str, str], new: dict[str, str]) -> Iterator[tuple[str, str, str | None, str | None]]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield kind, name, old.get(name), new.get(name)
