"""The receipt: what a stage read, did and found, its prompt set included. Equal inputs give equal bytes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plantain.base.errors import InputError, restored
from plantain.base.files import digest, readable_json, sha256_bytes, write_atomic
from plantain.probe.records import Record

SCHEMA: Final = "plantain.receipt/1"

Metrics = dict[str, dict[str, dict[str, float]]]
"""``{contrast: {analysis: {metric: number}}}``."""


class Frozen(BaseModel):
    """A record that refuses unknown fields and cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    seeds: dict[str, list[int]] = {}
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
    metrics: Metrics = {}
    notes: dict[str, Any] = {}
    """Facts observed that follow from the inputs, such as a fitted batch size."""

    def to_bytes(self) -> bytes:
        """The receipt as it stands on disk."""
        return readable_json(self.model_dump(mode="json", by_alias=True))

    @property
    def sha256(self) -> str:
        """Digest of the receipt's bytes; its identity everywhere."""
        return sha256_bytes(self.to_bytes())


def receipt_path(stage: str, *, model: str | None = None, probe: str | None = None) -> Path:
    """``receipts/<stage>/<model>/<probe>.json`` with the parts that apply; ``all.json`` where none does."""
    parts = [part for part in (model, probe) if part]
    return Path("receipts", stage, *parts[:-1], f"{parts[-1] if parts else 'all'}.json")


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write ``receipt`` whole or not at all."""
    write_atomic(path, receipt.to_bytes())


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises:
        InputError: the file is missing, or is no receipt of this version.
    """
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        fix = "run `dvc repro`, or `dvc pull` where a remote holds it."
        raise InputError("no such receipt.", file=path, fix=fix) from None
    except ValidationError as error:
        reason = error.errors()[0]
        field = ".".join(str(part) for part in reason["loc"])
        raise InputError(f"{reason['msg']}.", file=path, field=field, fix=restored(Path(path))) from None


def prompt_set(probe: str, records: Iterable[Record]) -> PromptSet:
    """The prompt set of ``records``: the digest over the sorted record digests, and each record's own."""
    by_name = {f"{record.item}/{record.condition}": record.sha256 for record in records}
    return PromptSet(probe=probe, set_sha256=digest(sorted(by_name.values())), records=by_name)
