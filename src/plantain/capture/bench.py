"""Computing passes: components one at a time, every finished batch a shard in the store, its vectors beside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import torch

from plantain.base.errors import InputError
from plantain.capture.any_pipeline import any_runner, load_for_passes, reads_image
from plantain.capture.assembly import Reduced
from plantain.capture.encode import Embedding, release
from plantain.capture.encoded import EncodedPrompt
from plantain.capture.forward import Pending, Runner, fast_runner, prepare_scene
from plantain.capture.grams import Job
from plantain.capture.kernels import is_missing_kernel
from plantain.capture.memory import is_out_of_memory
from plantain.capture.not_finite import NotFinite
from plantain.capture.overlap import transfer
from plantain.capture.overlap.ahead import Ahead
from plantain.capture.overlap.drawn_ahead import DrawnAhead
from plantain.capture.overlap.outbox import Outbox
from plantain.capture.pipeline_path import pipeline_runner
from plantain.capture.progress import Progress
from plantain.capture.shards import Vanished
from plantain.capture.work import CellWork, OutOfMemory, PromptEmbeddings, Stores, embeddings_of, prompts_of
from plantain.capture.workers import share
from plantain.model.load import load_pipeline, load_transformer, made_here, settled
from plantain.model.materialise import in_memory

Settle = Callable[[int], None]
"""Told a draw whose passes are all computed, after its transformer was given back."""


def compute(cell: CellWork, jobs: Sequence[Job], stores: Stores, workers: int, settle: Settle) -> None:
    """Run ``jobs`` and store what they give; with several workers, what one of them fails to do is left undone.

    ``settle`` is told of draws with one worker only: with several, none knows what the others have done.

    Raises:
        InputError: a pass has values that are not finite (only with one worker, as all that follow).
        OutOfMemory: a batch did not fit.
        Vanished: an embedding was removed while it was needed.
    """
    embeddings, prompts = embeddings_of(cell.lock, cell.device, cell.progress), prompts_of(cell.lock, jobs)
    try:
        if cell.crew is not None:
            cell.crew.work(cell, jobs, sorted(prompts))
            return
        embeddings.ensure(prompts, trusted=True)
        _computed_here(cell, jobs, stores, embeddings, workers, settle)
    except Vanished:
        # Where one is damaged, all that are shall be encoded again in one round.
        embeddings.drop_damaged(prompts)
        raise


def _computed_here(
    cell: CellWork, jobs: Sequence[Job], stores: Stores, embeddings: PromptEmbeddings, workers: int, settle: Settle
) -> None:
    total = sum(len(job.batch) for job in jobs)
    cell.progress.phase(f"{cell.lock.name}: capture", total, "passes")
    try:
        told = settle if workers == 1 else None
        share(jobs, workers, partial(_run, cell, stores, embeddings, told), cell.progress)
    except KeyboardInterrupt:
        done = sum(len(job.batch) for job in jobs if stores.hold(job))
        cell.progress.note(f"interrupted: {done} of {total} passes are kept; run again to go on from there.")
        raise


def _run(
    cell: CellWork,
    stores: Stores,
    embeddings: PromptEmbeddings,
    settle: Settle | None,
    jobs: Sequence[Job],
    progress: Progress,
) -> None:
    used = {one.reference for job in jobs for one in job.batch}
    images = {name: path for name, path in cell.images.items() if name in used}
    in_order = sorted(jobs, key=lambda job: job.draw)
    bench = Bench(replace(cell, images=images), stores, embeddings, lambda job: progress.advance(len(job.batch)))
    bench.expect(in_order)
    with closing(bench):
        for draw, some in groupby(in_order, key=lambda job: job.draw):
            for job in some:
                bench.do(job)
            bench.clear()
            if settle is not None:
                settle(draw)


class _Sent(NamedTuple):
    """A job that was begun."""

    job: Job
    pending: Pending


class Bench:
    """Where one process computes passes: images, and the transformer of one draw at a time, stay at hand.

    On a device that computes by itself, what comes next is got ready meanwhile: prompts are read, results examined and
    written, the weights of the next untrained draw made.
    """

    def __init__(
        self,
        cell: CellWork,
        stores: Stores,
        embeddings: PromptEmbeddings,
        done: Callable[[Job], None] = lambda _: None,
    ) -> None:
        """Prepare the images of ``cell``; a transformer is loaded with the first job.

        Args:
            cell: what all jobs have in common.
            stores: where results go.
            embeddings: the prompts, encoded.
            done: told of every job that is stored.
        """
        self._cell, self._stores, self._embeddings = cell, stores, embeddings
        called = cell.any and cell.plain
        self._scene = None if called else prepare_scene(cell.images, cell.lock, cell.params.sigma, cell.device)
        self._loaded: tuple[int, Runner] | None = None
        self._carrier = transfer.carrier_for(torch.device(cell.device))
        self._outbox: Outbox[_Sent] = Outbox(self._keep, lambda sent: done(sent.job), late=self._carrier.late)
        self._ahead: Ahead[Any] | None = None
        made_meanwhile = self._carrier.late and not called and in_memory(cell.lock)
        self._drawn = DrawnAhead(partial(made_here, cell.lock)) if made_meanwhile else None
        self._draws: list[int] = []

    def expect(self, jobs: Sequence[Job]) -> None:
        """Say which jobs come, in their order."""
        self._draws = list(dict.fromkeys(job.draw for job in jobs))
        if not self._carrier.late:
            return
        if self._ahead is not None:
            self._ahead.close()
        prompts = [one.prompt for job in jobs for one in job.batch if not reads_image(self._cell.lock, one)]
        self._ahead = Ahead(self._ready, prompts, max((len(job.batch) for job in jobs), default=1))

    def do(self, job: Job) -> None:
        """Compute one job and store what it gives; on a device that computes by itself, what the one before gave.

        Raises:
            InputError: its values are not finite, or torch has no kernel for it.
            OutOfMemory: it did not fit.
        """
        with self._explained():
            self._outbox.send(_Sent(job, self._runner(job.draw)(job.batch)))

    def finish(self) -> None:
        """Store everything that was begun.

        Raises:
            InputError: values are not finite.
        """
        with self._explained():
            self._outbox.flush()

    def clear(self) -> None:
        """Give the memory of the transformer back, everything stored."""
        self.finish()
        self._loaded = None
        release(self._cell.device, self._cell.lock.components["transformer"])

    def close(self) -> None:
        """Store what was begun, whatever has failed, and end all threads."""
        self._outbox.close()
        if self._ahead is not None:
            self._ahead.close()

    def _keep(self, sent: _Sent) -> None:
        self._stores.keep(sent.job, _finite(self._cell, sent))

    def _ready(self, prompt: str) -> Embedding | EncodedPrompt:
        return self._embeddings(prompt).prepared(self._carrier.ready)

    def _embedded(self, prompt: str) -> Any:
        return self._embeddings(prompt) if self._ahead is None else self._ahead(prompt)

    def _runner(self, draw: int) -> Runner:
        if self._loaded is None or self._loaded[0] != draw:
            if self._loaded is not None:
                self.clear()
            self._loaded = draw, self._made(draw)
        return self._loaded[1]

    def _made(self, draw: int) -> Runner:
        cell = self._cell
        if self._scene is None:
            whole = any(reads_image(cell.lock, one) for one in cell.ordered)
            pipeline = load_for_passes(cell.lock, cell.device, draw, whole=whole)
            return any_runner(pipeline, self._embedded, cell.images, cell.lock, cell.params)
        if cell.plain:
            pipeline = load_pipeline(cell.lock, cell.device, draw)
            return pipeline_runner(pipeline, self._scene, cell.images, cell.lock, cell.params)
        transformer = self._transformer(draw)
        if not cell.any:
            return fast_runner(transformer, self._scene, self._embedded, cell.params)
        embed = lambda prompt: self._embedded(prompt).embedding  # noqa: E731
        return fast_runner(transformer, self._scene, embed, cell.params, cell.lock.guidance_scale)

    def _transformer(self, draw: int) -> Any:
        """The transformer of a draw; the weights of the next one are begun."""
        cell = self._cell
        if self._drawn is None:
            return load_transformer(cell.lock, cell.device, draw)
        found = settled(self._drawn.take(draw), cell.lock, cell.device)
        later = [other for other in self._draws if other > draw]
        if later:
            self._drawn.begin(later[0])
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                self._loaded = None
                raise OutOfMemory from None
            if is_missing_kernel(error):
                cell = self._cell
                found = f"torch has no attention kernel '{cell.params.attention}' for this model on {cell.device}."
                raise InputError(found, field="capture.attention", fix="set capture.attention: native.") from None
            raise


def _finite(cell: CellWork, sent: _Sent) -> Reduced:
    try:
        return sent.pending()
    except NotFinite as found:
        one, lock = sent.job.batch[found.row], cell.lock
        drawn = f", draw {cell.draws[sent.job.draw]}" if lock.seeds else ""
        raise InputError(
            f"'{lock.name}'{drawn} computes values that are not finite: first in {found.projection}, {found.tokens} "
            f"tokens, item '{one.item}', condition '{one.condition}', noise seed {one.seed} ({lock.dtype}).",
            field=f"models.{lock.name}.dtype",
            fix="set dtype: float32 for the model, or another capture.attention; if neither helps, check its weights.",
        ) from None
