"""From finished passes to the arrays of one activation file."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from plantain.probe.records import Record
from plantain.records.activations import TOKENS, Activations
from plantain.records.keys import Batch

Label = TypeVar("Label", bound=Hashable)


class Reduced(NamedTuple):
    """What a runner makes of one batch."""

    mean_square: NDArray[np.float32]
    """(rows, tokens, groups)"""
    token_count: NDArray[np.int32]
    """(rows, tokens)"""
    vectors: NDArray[np.float32] | None
    """(rows, tokens, heads, channels of a head), NaN for absent sets; None where none were asked for."""


class Assembly:
    """The arrays of one activation file, filled as passes come in: whatever a batch gave is held here alone."""

    def __init__(self, records: Sequence[Record], seeds: Sequence[int], draws: Sequence[int]) -> None:
        """Make room; items and conditions keep the order of ``records``, whatever the order in which passes ran."""
        self._items = _places(record.item for record in records)
        self._conditions = _places(record.condition for record in records)
        self._references = reference_labels(records)
        self._seeds, self._draws = _places(seeds), tuple(draws)
        axes = (len(self._items), len(self._conditions), len(self._references))
        self._values: NDArray[np.float32] | None = None
        self._counts = np.zeros((*axes, len(TOKENS)), dtype=np.int32)
        self._entered: set[tuple[int, Batch]] = set()

    def holds(self, draw: int, batch: Batch) -> bool:
        """Whether a batch was entered, by its position on the draw axis."""
        return (draw, batch) in self._entered

    def enter(self, draw: int, batch: Batch, mean_square: NDArray[np.float32], token_count: NDArray[np.int32]) -> None:
        """Add the rows of one batch.

        Args:
            draw: position on the draw axis.
            batch: its passes.
            mean_square: (rows, tokens, groups)
            token_count: (rows, tokens)
        """
        values = self._room(mean_square.shape[-1])
        for row, one in enumerate(batch):
            at = (self._items[one.item], self._conditions[one.condition], one.alternative)
            values[(draw, *at, self._seeds[one.seed])] = mean_square[row]
            self._counts[at] = token_count[row]
        self._entered.add((draw, batch))

    def activations(self, header: Mapping[str, Any]) -> Activations:
        """The activations of the cell; an alternative that a record does not have is NaN with no tokens.

        Raises:
            ValueError: no batch was entered.
        """
        if self._values is None:
            raise ValueError("no pass was entered")
        return Activations(
            mean_square=self._values,
            token_count=self._counts,
            items=tuple(self._items),
            conditions=tuple(self._conditions),
            references=self._references,
            seeds=tuple(self._seeds),
            draws=self._draws,
            header=header,
        )

    def _room(self, groups: int) -> NDArray[np.float32]:
        if self._values is None:
            shape = (len(self._draws), *self._counts.shape[:3], len(self._seeds), len(TOKENS), groups)
            self._values = np.full(shape, np.nan, dtype=np.float32)
        return self._values


def _places(labels: Iterable[Label]) -> dict[Label, int]:
    """Every label and its place on an axis."""
    return {label: place for place, label in enumerate(dict.fromkeys(labels))}


def reference_labels(records: Sequence[Record]) -> tuple[str, ...]:
    """A label for each alternative: the name that all records give it, ``alternative_k``, or ``none``."""
    length = max(1, *(len(record.reference) for record in records))
    labels = []
    for index in range(length):
        names = {record.reference[index] for record in records if len(record.reference) > index}
        labels.append(names.pop() if len(names) == 1 else f"alternative_{index + 1}" if names else "none")
    return tuple(labels)
