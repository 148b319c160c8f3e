"""One of two results that are compared, as its receipts tell it, or the ledger where they are not here."""

import io
import json
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from plantain.base import places
from plantain.base.errors import InputError, restored
from plantain.probe.expand import expand_with
from plantain.probe.speaking import speaking
from plantain.probe.spec import Probe
from plantain.records.base import read
from plantain.records.ledger import LEDGER, Ledger, LedgerEntry, read_ledger
from plantain.records.verdict import Climb, Verdict
from plantain.track.results import Cell, Reader
from plantain.track.wordings import probe_at

Metrics = dict[str, dict[str, dict[str, float]]]
"""By contrast and analysis."""


@dataclass(frozen=True)
class Side:
    """One of the two results."""

    cell: Cell
    reader: Reader

    @property
    def is_whole(self) -> bool:
        """Whether the receipt of its numbers is here."""
        return "analyze" in self.cell.held

    def metrics(self, contrast: str | None = None) -> Metrics:
        """Its numbers, of one contrast or of all."""
        found = self.cell.held["analyze"].receipt.metrics if self.is_whole else self._of_ledger
        return {name: analyses for name, analyses in found.items() if contrast in (None, name)}

    @property
    def records(self) -> dict[str, str]:
        """``item/condition`` to record digest."""
        if self.cell.prompts or not self._entries or self._ledger is None:
            return self.cell.prompts.records if self.cell.prompts else {}
        held = self._ledger.prompt_sets.get(self._entries[0].prompts_sha256)
        return held.records if held else {}

    @cached_property
    def probe(self) -> Probe | None:
        """The probe file, where it still gives the records; None where it was edited since, or cannot be read."""
        found = probe_at(self.reader, self.cell.probe)
        try:
            expanded = expand_with(found, self._picture).records if found else ()
        except (InputError, OSError):
            return None
        given = {f"{one.item}/{one.condition}": one.sha256 for one in expanded}
        return found if given == self.records else None

    @cached_property
    def table(self) -> pl.DataFrame | None:
        """The prompt records with their texts and item fields, or None where they are not here."""
        content = self.reader.read(places.records(self.cell.probe).as_posix())
        return None if content is None else pl.read_parquet(io.BytesIO(content))

    def climb(self, contrast: str | None = None) -> Climb | None:
        """How far a contrast got, by default the one that speaks for the cell; None where it was not judged."""
        verdict = self._verdict
        if verdict is None or contrast in (None, verdict.contrast):
            return verdict
        return verdict.exploratory.get(str(contrast))

    def rung(self, contrast: str | None = None) -> int | None:
        """How far it got; of the one that speaks for the cell also where git's table of verdicts alone is here."""
        climb = self.climb(contrast)
        if climb is not None or contrast not in (None, speaking(self.metrics())):
            return climb.rung if climb else None
        content = self.reader.read(places.VERDICTS.as_posix())
        try:
            return int(json.loads(content or b"")[self.cell.probe][self.cell.model]["verdict_rung"])
        except (ValueError, KeyError, TypeError):  # not judged then, or written by another version of plantain
            return None

    @cached_property
    def _verdict(self) -> Verdict | None:
        path = places.verdict(self.cell.model, self.cell.probe)
        content = self.reader.read(path.as_posix())
        try:
            return None if content is None else read(content, Verdict, what="a verdict", fix=restored(path), file=path)
        except InputError:  # of another version of plantain
            return None

    @cached_property
    def _ledger(self) -> Ledger | None:
        content = self.reader.read(LEDGER)
        try:
            return None if content is None else read_ledger(content)
        except InputError:
            return None

    @property
    def _entries(self) -> list[LedgerEntry]:
        numbers = self._ledger.numbers if self._ledger else []
        return [one for one in numbers if (one.probe, one.model) == (self.cell.probe, self.cell.model)]

    @property
    def _of_ledger(self) -> Metrics:
        found: Metrics = {}
        for one in self._entries:
            found.setdefault(one.contrast, {})[one.analysis] = one.metrics
        return found

    def _picture(self, file: str) -> str:
        held = self.reader.digests(file)
        if held is None:
            raise FileNotFoundError(file)
        return held.sha256
