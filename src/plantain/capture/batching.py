"""Passes, their order, and which of them run together.

Which passes share a batch follows from their sorted ids and the batch size alone, so that neither a resume nor the
number of workers changes a byte.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from plantain.probe.records import Record


@dataclass(frozen=True)
class Pass:
    """One transformer forward: an (item, condition), one of its reference alternatives, one noise seed."""

    item: str
    condition: str
    alternative: int
    """Position on the reference axis."""
    seed: int
    """Noise seed."""
    prompt: str
    reference: str | None
    """Name of the conditioning image."""

    @property
    def name(self) -> tuple[str, str, int, int]:
        """What passes are sorted by."""
        return self.item, self.condition, self.alternative, self.seed


Batch = tuple[Pass, ...]


def passes(records: Iterable[Record], seeds: Sequence[int]) -> tuple[Pass, ...]:
    """Every pass of a cell, sorted by item, condition, alternative and seed."""
    found = [
        Pass(record.item, record.condition, index, seed, record.prompt, reference)
        for record in records
        for index, reference in enumerate(record.reference or (None,))
        for seed in seeds
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def batches(ordered: Iterable[Pass], size: int, shape: Callable[[Pass], Hashable]) -> tuple[Batch, ...]:
    """Cut sorted passes into batches of at most ``size``.

    Rows of a batch share one token layout, so passes are first parted by ``shape``, the size of their reference
    image; the parts come in the order of their first pass.
    """
    parts: dict[Hashable, list[Pass]] = {}
    for one in ordered:
        parts.setdefault(shape(one), []).append(one)
    return tuple(tuple(part[start : start + size]) for part in parts.values() for start in range(0, len(part), size))
