"""The receipt: what a stage read, did and found, its prompt set included. Equal inputs give equal bytes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from plantain.base.errors import restored
from plantain.base.files import digest, sha256_bytes, write_atomic
from plantain.probe.records import Record
from plantain.records.base import Frozen, read

SCHEMA: Final = "plantain.receipt/1"

Metrics = dict[str, dict[str, dict[str, float]]]
"""``{contrast: {analysis: {metric: number}}}``."""


class FileRecord(Frozen):
    """A file as it was read or written."""

    path: str
    """Relative to the repository root, with forward slashes."""
    sha256: str
    size: int


class PromptSet(Frozen):
    """The prompt set that entered a stage."""

    probe: str
    set_sha256: str
    records: dict[str, str]
    """``item/condition`` to record digest."""


class Receipt(Frozen):
    """What one execution of one stage did, without anything that differs between equal executions."""

    schema_: Literal["plantain.receipt/1"] = Field(default=SCHEMA, alias="schema")
    stage: str
    probe: str | None = None
    model: str | None = None
    reads: list[FileRecord]
    writes: list[FileRecord]
    params: dict[str, Any]
    """The sections of params.yaml and environment.yaml that the stage read, by dotted key."""
    seeds: dict[str, list[int]] = Field(default={})
    prompts: PromptSet | None = None
    model_lock_sha256: str | None = None
    capture_key: str | None = None
    """Digest of prompt set, references, model lock and capture params."""
    code: dict[str, str]
    """Modules of plantain that the stage imported, to the SHA-256 of their source."""
    packages: dict[str, str]
    """Versions observed, without build tags."""
    device: str | None = None
    """Kind of the device that computed: cpu, cuda or mps."""
    dtype: str | None = None
    metrics: Metrics = Field(default={})
    notes: dict[str, Any] = Field(default={})
    """Facts observed that follow from the inputs, such as a fitted batch size."""

    @property
    def sha256(self) -> str:
        """Digest of the receipt's bytes; its identity everywhere."""
        return sha256_bytes(self.to_bytes())


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write ``receipt`` whole or not at all."""
    write_atomic(path, receipt.to_bytes())


def read_receipt(source: Path | bytes, file: Path | str | None = None) -> Receipt:
    """Read a receipt, from its file or from bytes that came from ``file``.

    Raises:
        InputError: it is missing, or is no receipt of this version.
    """
    place = source if isinstance(source, Path) else Path(str(file))
    return read(source, Receipt, what="a receipt", fix=restored(place), file=file)


def prompt_set(probe: str, records: Iterable[Record]) -> PromptSet:
    """The prompt set of ``records``: the digest over the sorted record digests, and each record's own."""
    by_name = {f"{record.item}/{record.condition}": record.sha256 for record in records}
    return PromptSet(probe=probe, set_sha256=digest(sorted(by_name.values())), records=by_name)
