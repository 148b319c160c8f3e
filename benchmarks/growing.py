"""Synthetic cells of any size for `growth.py`: their passes as shards, activations, Gram matrices and contrasts.

A model of 640 groups of 16 channels with the proportions of Klein 4B: heads of 128 channels, two joint blocks of two
streams, four single blocks whose MLP is three times as wide as their attention. Contrasts of five wordings a side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base.params import Source
from plantain.capture.grams import Axes, Job, head_rows
from plantain.capture.shards import Store
from plantain.probe.records import Contrasts, ExpandedContrast, Record
from plantain.probe.spec import Role
from plantain.records.activations import TOKENS, Activations
from plantain.records.grams import EVERYTHING, Grams, profiled
from plantain.records.keys import batches, passes
from plantain.records.lock import Component, Geometry, ModelLock

HEADS, WIDTH, GROUP = 4, 128, 16
JOINT, SINGLE, MLP = 2, 4, 3
GEOMETRY = Geometry(
    joint_blocks=JOINT, single_blocks=SINGLE, heads=HEADS, head_width=WIDTH, mlp_width=MLP * HEADS * WIDTH,
    groups=(2 * JOINT + SINGLE * (1 + MLP)) * HEADS * WIDTH // GROUP, parameters=0, text_width=0,
)  # fmt: skip
SIDE = 5
"""Wordings of one side of a contrast."""
BATCH = 16
CHANNELS = 16
"""Of a stored vector: less than a head has, so that the store stays small."""


@dataclass(frozen=True)
class Size:
    """A cell of one reference and one noise seed."""

    items: int
    conditions: int
    draws: int = 1

    @property
    def labels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Items and conditions."""
        return tuple(f"item-{n:04}" for n in range(self.items)), tuple(
            f"wording-{n:03}" for n in range(self.conditions)
        )


def file_bytes(size: Size) -> int:
    """The activation file, without its header."""
    return size.draws * size.items * size.conditions * (len(TOKENS) * 4 * GEOMETRY.groups) + 16


def gram_bytes(size: Size) -> int:
    """The gram file, without its header: two means and two profiles of each token set."""
    pairs = size.conditions * (size.conditions + 1) // 2
    return 4 * size.draws * 4 * pairs * sum(len(rows) for rows in head_rows(GEOMETRY).values())


def lock() -> ModelLock:
    """What the stage `model` would write about the model; nothing of a workspace is read."""
    part = Component(class_name="Growing", config_sha256="growing", weights_sha256="growing", bytes=0)
    return ModelLock(
        name="growing", source=Source.embedded, base=Source.embedded, trained=True, device="cpu", dtype="float32",
        height=64, width=64, max_sequence_length=48, text_encoder_out_layers=[9], is_distilled=True, group_width=GROUP,
        components=dict.fromkeys(("transformer", "text_encoder", "tokenizer", "vae", "scheduler"), part),
        files_sha256="growing", geometry=GEOMETRY,
    )  # fmt: skip


def groups() -> pl.DataFrame:
    """The unit table of the model."""
    parts = [("joint", block, stream, 0) for block in range(JOINT) for stream in ("image", "text")]
    parts += [("single", block, "all", MLP) for block in range(SINGLE)]
    names = ("block_kind", "block", "stream", "part", "head", "first_channel", "width")
    rows = []
    for kind, block, stream, mlp in parts:
        for first in range(0, HEADS * WIDTH * (1 + mlp), GROUP):
            part, head = ("attention", first // WIDTH) if first < HEADS * WIDTH else ("mlp", None)
            rows.append((kind, block, stream, part, head, first, GROUP))
    return pl.DataFrame(rows, schema=names, orient="row")


def records(size: Size) -> tuple[Record, ...]:
    """Every item under every condition."""
    items, conditions = size.labels
    pairs = [(item, condition) for item in items for condition in conditions]
    return tuple(Record(*pair, " ".join(pair), (), " ".join(pair), {}) for pair in pairs)


def mean_squares(rows: int, stream: np.random.Generator) -> NDArray[np.float32]:
    """Random ones, (row, tokens, group)."""
    return stream.standard_gamma(5.0, (rows, len(TOKENS), GEOMETRY.groups), dtype=np.float32)


def activations(size: Size) -> Activations:
    """One cell."""
    stream = np.random.Generator(np.random.Philox(1))
    shape = (size.draws, size.items, size.conditions, 1, 1, len(TOKENS), GEOMETRY.groups)
    values = mean_squares(size.draws * size.items * size.conditions, stream).reshape(shape)
    counts = np.full((size.items, size.conditions, 1, len(TOKENS)), 8, np.int32)
    return Activations(values, counts, *size.labels, ("none",), (0,), tuple(range(size.draws)), header={})


def grams(size: Size) -> Grams:
    """Gram matrices of random vectors."""
    stream = np.random.Generator(np.random.Philox(2))
    subsets, heads = axes(size).subsets, head_rows(GEOMETRY)
    upper = np.triu_indices(size.conditions)
    kept = {}
    for tokens, rows in heads.items():
        shape = (size.draws, 1, len(subsets), len(rows), size.conditions, CHANNELS)
        vectors = stream.standard_normal(shape, dtype=np.float32)
        kept[tokens] = (vectors @ np.swapaxes(vectors, -1, -2))[..., upper[0], upper[1]]
    draws = tuple(range(size.draws))
    return Grams(kept, kept, heads, size.labels[1], subsets, (EVERYTHING,), draws, profile_subsets=profiled(subsets))


def contrasts(size: Size) -> Contrasts:
    """Neighbouring wordings against each other, odd ones against even ones; the first is the target."""
    items, names = size.labels
    found = [
        ExpandedContrast(
            name=f"contrast-{start:03}",
            a=names[start : start + 2 * SIDE : 2],
            b=names[start + 1 : start + 2 * SIDE : 2],
            role=Role.target if start == 0 else Role.control,
            strata=(None,) * (2 * SIDE),
            flip_blocks=None,
        )
        for start in range(0, size.conditions, 2 * SIDE)
    ]
    return Contrasts("growing", items, tuple({} for _ in items), tuple(found))


def axes(size: Size) -> Axes:
    """What Gram matrices are averaged over: all items, and ten of them."""
    items, conditions = size.labels
    return Axes(conditions, ("none",), (0,), {"all": items, "sampled": items[:10]})


def jobs(size: Size) -> list[Job]:
    """Every shard of a cell."""
    plan = batches(passes(records(size), (0,)), BATCH, lambda one: None)
    return [Job(draw, f"{at:08}{draw:04}", batch) for draw in range(size.draws) for at, batch in enumerate(plan)]


def stores(folder: Path) -> tuple[Store, Store, Store]:
    """Of shards, vectors and Gram matrices."""
    shards, vectors, kept = (Store(kind, print, folder / kind) for kind in ("shards", "vectors", "grams"))
    return shards, vectors, kept


def write_shards(size: Size, folder: Path) -> None:
    """The shards of a cell."""
    for job, stream in _streams(size):
        rows = len(job.batch)
        counts = np.full((rows, len(TOKENS)), 8, np.int32)
        stores(folder)[0].write(job.key, {"mean_square": mean_squares(rows, stream), "token_count": counts})


def write_vectors(size: Size, folder: Path) -> None:
    """The vectors of a cell, NaN where a set is seen by fewer heads than another."""
    heads = [len(rows) for rows in head_rows(GEOMETRY).values()]
    for job, stream in _streams(size):
        shape = (len(job.batch), len(TOKENS), max(heads), CHANNELS)
        stores(folder)[1].write(job.key, {"vectors": stream.standard_normal(shape, dtype=np.float32)})


def _streams(size: Size) -> Iterator[tuple[Job, np.random.Generator]]:
    for number, job in enumerate(jobs(size)):
        yield job, np.random.Generator(np.random.Philox(number))
