"""How strong prompt embeddings are, measured as heads are, in slices of a head's width.

What a text encoder already separates, a transformer need not have learnt to.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from plantain.base.files import write_atomic
from plantain.capture.elsewhere.crews import computing_device
from plantain.capture.encode import Embedding
from plantain.capture.encoded import EncodedPrompt
from plantain.capture.progress import Progress, shown
from plantain.capture.shards import Vanished
from plantain.capture.work import PromptEmbeddings, embeddings_of
from plantain.probe.records import Record
from plantain.records.lock import ModelLock

NAME = "mean_square"


def prompt_levels(records: Sequence[Record], lock: ModelLock, progress: Progress | None = None) -> NDArray[np.float32]:
    """Mean squares of the prompt embeddings over the positions of the text, (item, condition, slice).

    Args:
        records: the expanded probe, every item in every condition.
        lock: the model; a slice is as wide as its heads.
        progress: told how far the encoding is.
    """
    items = list(dict.fromkeys(record.item for record in records))
    conditions = list(dict.fromkeys(record.condition for record in records))
    with shown(progress) as told:
        embeddings = embeddings_of(lock, computing_device(lock), told)
        embeddings.ensure((record.prompt for record in records), trusted=True)
        try:
            rows = _rows(records, embeddings, lock.geometry.head_width)
        except Vanished:
            embeddings.ensure(record.prompt for record in records)
            rows = _rows(records, embeddings, lock.geometry.head_width)
    return np.array([[rows[item, condition] for condition in conditions] for item in items], dtype=np.float32)


def write_prompt_levels(path: Path, levels: NDArray[np.float32]) -> None:
    """Write the levels of one cell, whole or not at all."""
    write_atomic(path, save({NAME: np.ascontiguousarray(levels)}))


def _rows(
    records: Sequence[Record], embeddings: PromptEmbeddings, width: int
) -> dict[tuple[str, str], NDArray[np.float64]]:
    return {(one.item, one.condition): _slices(embeddings(one.prompt), width) for one in records}


def _slices(embedding: Embedding | EncodedPrompt, width: int) -> NDArray[np.float64]:
    squares = _text_values(embedding).to(torch.float64).square().mean(dim=0).numpy()
    starts = np.arange(0, len(squares), width)
    return np.asarray(np.add.reduceat(squares, starts) / np.diff([*starts, len(squares)]))


def _text_values(embedding: Embedding | EncodedPrompt) -> torch.Tensor:
    """What the positions of the text hold, (positions, channels)."""
    if isinstance(embedding, EncodedPrompt):
        return embedding.values[torch.from_numpy(embedding.text)]
    first, last = embedding.text
    return embedding.values[0, first:last]
