"""What there is to compute of a cell, by whichever process: its passes, and where their results go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from plantain.base.params import CaptureParams, CapturePath
from plantain.capture.any_pipeline import reads_image
from plantain.capture.assembly import Reduced
from plantain.capture.encode import Embeddings
from plantain.capture.encoded import EncodedPrompts
from plantain.capture.grams import Job
from plantain.capture.plan import area
from plantain.capture.progress import Progress
from plantain.capture.shards import Store
from plantain.records.keys import Pass, path_of
from plantain.records.lock import KLEIN_PIPELINE, ModelLock

PromptEmbeddings = Embeddings | EncodedPrompts
"""By the fast path of FLUX.2 Klein, or by the pipeline of any row."""


class OutOfMemory(Exception):
    """A batch did not fit."""


class Stores(NamedTuple):
    """Where finished batches go."""

    shards: Store
    vectors: Store

    def hold(self, job: Job) -> bool:
        """Whether everything of a job is there."""
        return self.shards.holds(job.key) and not (job.vectors and not self.vectors.holds(job.key))

    def keep(self, job: Job, found: Reduced) -> None:
        """Store what a job gave; a shard that is there stays, since others may have read it."""
        if job.vectors and found.vectors is not None:
            self.vectors.write(job.key, {"vectors": found.vectors})
        if not self.shards.holds(job.key):
            self.shards.write(job.key, {"mean_square": found.mean_square, "token_count": found.token_count})


@dataclass(frozen=True)
class CellWork:
    """What stays the same while batch sizes are tried."""

    ordered: tuple[Pass, ...]
    images: Mapping[str, Path]
    digests: Mapping[str, str]
    """SHA-256 of the image files."""
    sizes: Mapping[str, tuple[int, int]]
    """Width and height of the images in pixels."""
    lock: ModelLock
    params: CaptureParams
    device: str
    progress: Progress
    crew: "Elsewhere | None" = None
    """Who computes instead of this process."""

    @property
    def draws(self) -> tuple[int, ...]:
        """Labels of the draw axis."""
        return tuple(self.lock.seeds) or (0,)

    @property
    def plain(self) -> bool:
        """Whether passes go through the pipeline's own call, one at a time."""
        return path_of(self.lock, self.params) is CapturePath.pipeline

    @property
    def any(self) -> bool:
        """Whether the pipeline is that of another row than FLUX.2 Klein's."""
        return self.lock.pipeline != KLEIN_PIPELINE

    def shape(self, one: Pass) -> tuple[int, int] | None:
        """What rows of one batch must agree on."""
        return None if one.reference is None else self.sizes[one.reference]

    def positions(self) -> int:
        """Positions of the longest pass."""
        pixels = max((width * height for width, height in self.sizes.values()), default=0)
        return self.lock.max_sequence_length + (pixels + self.lock.height * self.lock.width) // area(self.lock)


class Elsewhere(Protocol):
    """Other processes, that put what they compute into the store that all reach."""

    def work(self, cell: CellWork, jobs: Sequence[Job], prompts: Sequence[str]) -> None:
        """Compute jobs into the store, prompts encoded first."""


def prompts_of(lock: ModelLock, jobs: Sequence[Job]) -> set[str]:
    """The prompts of some jobs that are encoded without their image."""
    return {one.prompt for job in jobs for one in job.batch if not reads_image(lock, one)}


def embeddings_of(lock: ModelLock, device: str, progress: Progress) -> PromptEmbeddings:
    """The prompt embeddings of a model, by the way that its passes are run."""
    return (Embeddings if lock.pipeline == KLEIN_PIPELINE else EncodedPrompts)(lock, device, progress)
