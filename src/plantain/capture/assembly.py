"""From finished passes to the arrays of one activation file."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plantain.probe.records import Record
from plantain.records.activations import TOKENS, Activations
from plantain.records.keys import Batch, Pass

BatchMeans = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Mean squares (rows, tokens, groups) and token counts (rows, tokens) of one batch."""


class Reduced(NamedTuple):
    """What a runner makes of one batch."""

    mean_square: NDArray[np.float32]
    """(rows, tokens, groups)"""
    token_count: NDArray[np.int32]
    """(rows, tokens)"""
    vectors: NDArray[np.float32] | None
    """(rows, tokens, heads, channels of a head), NaN for absent sets; None where none were asked for."""


Finished = dict[tuple[int, Pass], BatchMeans]
"""The same without the row axis, for every (position on the draw axis, pass)."""


def enter(finished: Finished, draw: int, batch: Batch, measured: BatchMeans) -> None:
    """Add the rows of one batch."""
    for row, one in enumerate(batch):
        finished[draw, one] = (measured[0][row], measured[1][row])


def assemble(
    records: Sequence[Record],
    seeds: Sequence[int],
    draws: Sequence[int],
    finished: Mapping[tuple[int, Pass], BatchMeans],
    header: Mapping[str, Any],
) -> Activations:
    """The activations of a cell; an alternative that a record does not have is NaN with no tokens.

    Items and conditions keep the order of ``records``, whatever the order in which passes ran.
    """
    items = tuple(dict.fromkeys(record.item for record in records))
    conditions = tuple(dict.fromkeys(record.condition for record in records))
    references = reference_labels(records)
    groups = next(iter(finished.values()))[0].shape[-1]
    axes = (len(items), len(conditions), len(references))
    values = np.full((len(draws), *axes, len(seeds), len(TOKENS), groups), np.nan, dtype=np.float32)
    counts = np.zeros((*axes, len(TOKENS)), dtype=np.int32)
    for (draw, one), (mean_square, count) in finished.items():
        at = (items.index(one.item), conditions.index(one.condition), one.alternative)
        values[(draw, *at, list(seeds).index(one.seed))] = mean_square
        counts[at] = count
    return Activations(values, counts, items, conditions, references, tuple(seeds), tuple(draws), TOKENS, header)


def reference_labels(records: Sequence[Record]) -> tuple[str, ...]:
    """A label for each alternative: the name that all records give it, ``alternative_k``, or ``none``."""
    length = max(1, *(len(record.reference) for record in records))
    labels = []
    for index in range(length):
        names = {record.reference[index] for record in records if len(record.reference) > index}
        labels.append(names.pop() if len(names) == 1 else f"alternative_{index + 1}" if names else "none")
    return tuple(labels)
