"""Every number that there is: of the workspace, of the published cards, and of every ledger that git ever held.

A fresh clone has all of them, without DVC's remote and without MLflow.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError, reading
from plantain.base.git import git_objects, run_git
from plantain.probe.speaking import speaking
from plantain.records.causal import read_causal
from plantain.records.cells import read_cells
from plantain.records.ledger import LEDGER, Ledger, LedgerEntry, read_ledger
from plantain.report.published import Published, read_cards
from plantain.track.history import states
from plantain.track.results import parse_receipt

WORKSPACE: Final = "workspace"
VERDICTS: Final = places.VERDICTS.as_posix()
SWAPS: Final = "swaps"
"""What stands for an analysis where numbers are of swapped heads."""
_Metrics = dict[str, dict[str, dict[str, float]]]
_METRICS: Final = TypeAdapter(_Metrics)
"""Of metrics.json by contrast and analysis; of verdicts.json by probe and model."""


@dataclass(frozen=True)
class Number:
    """One number, where it stands and what it came from."""

    probe: str
    model: str
    contrast: str
    analysis: str
    """``verdict`` for a number of the ladder."""
    metric: str
    value: float
    prompts_sha256: str | None
    receipt_sha256: str | None
    where: str
    """``workspace``, the commit that has it first, or the published card."""
    records: tuple[str, ...] = ()
    """The records asked for that are in its contrast, as ``item/condition``."""
    of: float | None = None
    """``alive_units`` of its analysis, the denominator of its fractions."""
    since: str | None = None
    """The day of the commit."""
    states: int = 1
    """In how many states of the ledger it stood."""
    contrast_known: bool = True
    """Whether the wordings of its contrast are known; where not, all that its prompt set holds count."""

    @property
    def result(self) -> str:
        """``PROBE@MODEL``."""
        return f"{self.probe}@{self.model}"

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """Whose number it is, whatever it says."""
        return self.probe, self.model, self.contrast, self.analysis, self.metric

    @property
    def names(self) -> tuple[str, str, str]:
        """What it may be called in a question."""
        own = f"{self.analysis}.{self.metric}"
        return self.metric, own, f"{self.contrast}.{own}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True)
class PlacedLedger:
    """A ledger, and where it stands."""

    where: str
    revision: str | None
    since: str | None
    content: Ledger

    def numbers(self, sets: Iterable[str] | None = None) -> Iterator[Number]:
        """Every number in it, or those of some prompt sets."""
        wanted = None if sets is None else set(sets)
        for entry in self.content.numbers:
            if wanted is None or entry.prompts_sha256 in wanted:
                yield from _of_entry(entry, entry.metrics, self.where, self.since)


def current_ledger(root: Path) -> PlacedLedger | None:
    """The workspace's ledger, or None."""
    path = root / LEDGER
    return PlacedLedger(WORKSPACE, None, None, read_ledger(path)) if path.is_file() else None


def earlier_ledgers(root: Path) -> Iterator[PlacedLedger]:
    """Every ledger that git ever held, each at the first commit that has it, oldest first; one is held at a time."""
    for commit, day, content in _history(root, LEDGER):
        try:
            yield PlacedLedger(commit, commit, day, read_ledger(content))
        except InputError:
            continue


def current(root: Path) -> Iterator[Number]:
    """The numbers of the workspace: as ``metrics.json`` states them, and of the ledger where a cell has none."""
    ledger = current_ledger(root)
    entries = {entry.place: entry for entry in ledger.content.numbers} if ledger else {}
    cells = dict.fromkeys([*_cells(root), *((entry.probe, entry.model) for entry in entries.values())])
    verdicts = _tables(root / VERDICTS)
    for probe, model in cells:
        own = {(place[2], place[3]): entry for place, entry in entries.items() if place[:2] == (probe, model)}
        stated = _tables(root / places.metrics(model, probe)) or _as_table(own)
        yield from _of_cell(probe, model, stated, own)
        yield from _of_swaps(root, probe, model)
        yield from _of_verdict(probe, model, verdicts.get(probe, {}).get(model, {}), stated, WORKSPACE, None)


def earlier(root: Path) -> Iterator[Number]:
    """The numbers of every ledger, table of verdicts and of interventions that git ever held, oldest first."""
    for ledger in earlier_ledgers(root):
        yield from ledger.numbers()
    for commit, day, content in _history(root, VERDICTS):
        for probe, models in _parsed(content).items():
            for model, metrics in models.items():
                yield from _of_verdict(probe, model, metrics, {}, commit, day)
    for probe, model in _cells(root):
        path = places.causal(model, probe)
        for commit, day, content in _history(root, path.as_posix()):
            try:
                table = read_causal(content, path)
            except InputError:
                continue
            yield from _numbers((probe, model, table.contrast, SWAPS), table.numbers(), commit, day)


def of_cards(root: Path) -> Iterator[Number]:
    """The numbers of the published cards, their tables of blocks included."""
    for card in read_cards(root / places.PUBLISHED):
        yield from _card(card, card.metrics)
        for row in card.blocks:
            block = {name: float(row[name]) for name in ("max_abs_t", "over_t3", "units", "median_abs_d")}
            place = f"{row['block_kind']}{row['block']}"
            for one in _card(card, {f"heads_{name}" if name == "over_t3" else name: block[name] for name in block}):
                yield replace(one, analysis=f"{card.analysis}.{place}")


def merged(numbers: Iterable[Number], *, by_prompts: bool) -> list[Number]:
    """Each number once, at the first place that has it, with how often it was met; maybe once a prompt set."""
    found: dict[tuple[Any, ...], Number] = {}
    for one in numbers:
        key = (*one.place, one.value, one.prompts_sha256 if by_prompts else None)
        held = found.get(key)
        found[key] = replace(held, states=held.states + 1) if held else one
    return list(found.values())


def _cells(root: Path) -> list[tuple[str, str]]:
    path = root / places.CELLS
    return read_cells(path).names if path.is_file() else []


def _as_table(entries: dict[tuple[str, str], LedgerEntry]) -> _Metrics:
    found: _Metrics = {}
    for (contrast, analysis), entry in entries.items():
        found.setdefault(contrast, {})[analysis] = entry.metrics
    return found


def _of_cell(probe: str, model: str, stated: _Metrics, entries: dict[tuple[str, str], LedgerEntry]) -> Iterator[Number]:
    """What a result states; where the ledger says otherwise, it is older, and knows nothing of these numbers."""
    for contrast, analyses in stated.items():
        for analysis, metrics in analyses.items():
            entry = entries.get((contrast, analysis))
            if entry is not None and entry.metrics == metrics:
                yield from _of_entry(entry, metrics, WORKSPACE, None)
            else:
                yield from _numbers((probe, model, contrast, analysis), metrics, WORKSPACE, None)


def _of_verdict(
    probe: str, model: str, metrics: dict[str, float], stated: _Metrics, where: str, since: str | None
) -> Iterator[Number]:
    contrast = speaking(stated) or "target"
    units = stated.get(contrast, {}).get(VERDICT_ANALYSIS, {}).get("alive_units")
    for one in _numbers((probe, model, contrast, "verdict"), metrics, where, since):
        yield replace(one, of=units)


def _of_swaps(root: Path, probe: str, model: str) -> Iterator[Number]:
    """The numbers of a table of interventions."""
    path = root / places.causal(model, probe)
    if not path.is_file():
        return
    table = read_causal(path)
    receipt = path.with_suffix(".receipt.json")
    held = parse_receipt(receipt.as_posix(), receipt.read_bytes()) if receipt.is_file() else None
    prompts = held.receipt.prompts.set_sha256 if held and held.receipt.prompts else None
    for one in _numbers((probe, model, table.contrast, SWAPS), table.numbers(), WORKSPACE, None):
        yield replace(one, prompts_sha256=prompts, receipt_sha256=held.sha256 if held else None)


def _of_entry(entry: LedgerEntry, metrics: dict[str, float], where: str, since: str | None) -> Iterator[Number]:
    return _numbers(entry.place, metrics, where, since, entry)


def _card(card: Published, metrics: dict[str, float]) -> Iterator[Number]:
    where = f"the published card {card.card} ({card.source.path.name if card.source else places.PUBLISHED})"
    for one in _numbers((card.probe, card.model, card.contrast, card.analysis), metrics, where, None):
        yield replace(one, of=metrics.get("units"))


def _numbers(
    place: tuple[str, str, str, str],
    metrics: dict[str, float],
    where: str,
    since: str | None,
    entry: LedgerEntry | None = None,
) -> Iterator[Number]:
    prompts, receipt = (entry.prompts_sha256, entry.receipt_sha256) if entry else (None, None)
    units = metrics.get("alive_units")
    for metric, value in metrics.items():
        if math.isfinite(value):
            yield Number(*place, metric, value, prompts, receipt, where, of=units, since=since)


def _tables(path: Path) -> _Metrics:
    if not path.is_file():
        return {}
    with reading(path, "a table of metrics", f"bring it back with `git checkout {path}`, or run `dvc repro`."):
        return _METRICS.validate_python(json.loads(path.read_bytes()))


def _parsed(content: bytes) -> _Metrics:
    try:
        return _METRICS.validate_python(json.loads(content))
    except ValueError:  # a table of an older shape has nothing to say
        return {}


def _history(root: Path, path: str) -> Iterator[tuple[str, str | None, bytes]]:
    """Commit, its day and the bytes, of every content that git ever held of ``path``; oldest first."""
    log = run_git(root, "log", "--all", "--full-history", "--format=%H %cs", "--", path).decode().splitlines()
    days = dict(line.split(" ", 1) for line in log)
    held = [state for state in states(root, path) if state.blobs[0]]
    contents = git_objects(root, [str(state.blobs[0]) for state in held])
    for state, content in zip(held, contents, strict=True):
        if content:
            yield state.commit, days.get(state.commit), content[1]
