"""The ledger ``reports/ledger.json``: every number of the current cells with its prompt-set digest; and its marker."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from plantain.base import places
from plantain.records.base import Frozen, read

SCHEMA: Final = "plantain.ledger/1"
LEDGER: Final = places.LEDGER.as_posix()
"""From the repository root."""


class RecordedSet(Frozen):
    """The records of a prompt set."""

    probe: str
    records: dict[str, str]
    """``item/condition`` to record digest."""


class LedgerEntry(Frozen):
    """The numbers of one analysis of one contrast, and what they came from."""

    probe: str
    model: str
    contrast: str
    analysis: str
    prompts_sha256: str
    capture_key: str | None
    receipt_sha256: str
    metrics: dict[str, float]

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What entries are sorted and looked up by."""
        return self.probe, self.model, self.contrast, self.analysis


class Ledger(Frozen):
    """Every number of a run."""

    schema_: Literal["plantain.ledger/1"] = Field(default=SCHEMA, alias="schema")
    prompt_sets: dict[str, RecordedSet]
    """Each set once, by its digest."""
    numbers: list[LedgerEntry]


class Marker(Frozen):
    """``mlflow/published.json``: which results were published last."""

    schema_: Literal["plantain.marker/1"] = Field(default="plantain.marker/1", alias="schema")
    receipts_sha256: str


def read_ledger(source: Path | bytes, file: Path | str | None = LEDGER) -> Ledger:
    """Read a ledger.

    Raises:
        InputError: it is missing or damaged.
    """
    return read(source, Ledger, what="a ledger", fix="restore it with git, or run `dvc repro publish`.", file=file)
