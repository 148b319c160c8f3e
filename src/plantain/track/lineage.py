"""From a number back to its prompts: the stages of a result, what each read and wrote, and when it ran."""

from dataclasses import dataclass
from typing import Any

from plantain.records.journal import Execution
from plantain.track.results import CELL_STAGES, MODEL_STAGES, PROBE_STAGES, Cell, Held

ORDER = (*MODEL_STAGES, *PROBE_STAGES, *CELL_STAGES)
"""Stages of a cell, upstream first."""

_KINDS = (
    ("data/activations/", "activations"),
    ("data/grams/", "Gram matrices"),
    ("data/manifests/", "manifest"),
    ("data/prompts/", "prompts"),
    ("data/references/", "reference"),
    ("data/stats/", "statistics"),
    ("models/", "model"),
    ("prompts/", "probe file"),
    ("reports/", "report"),
)


@dataclass(frozen=True)
class Step:
    """One stage of a chain."""

    held: Held
    execution: Execution | None
    """Where and when it ran, as far as this checkout's journal knows."""

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.held.receipt.stage

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        receipt = self.held.receipt
        return {
            "stage": self.stage,
            "receipt": {"path": self.held.path, "sha256": self.held.sha256},
            "reads": [record.model_dump() | {"kind": kind(record.path)} for record in receipt.reads],
            "writes": [record.model_dump() | {"kind": kind(record.path)} for record in receipt.writes],
            "params": receipt.params,
            "execution": self.execution.model_dump() if self.execution else None,
        }


def chain(cell: Cell, journal: list[Execution]) -> tuple[Step, ...]:
    """The stages of ``cell`` that have receipts, upstream first."""
    by_receipt = {line.receipt_sha256: line for line in journal}
    held = [cell.held[stage] for stage in ORDER if stage in cell.held]
    return tuple(Step(one, by_receipt.get(one.sha256)) for one in held)


def kind(path: str) -> str:
    """What a file is in the chain of a number."""
    return next((word for start, word in _KINDS if path.startswith(start)), "file")


def missing_stages(cell: Cell) -> list[str]:
    """Stages of ``cell`` without a receipt."""
    return [stage for stage in ORDER if stage not in cell.held]
