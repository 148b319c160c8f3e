"""Where interventions are made: one transformer, and everything of a cell's passes around it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams
from plantain.capture.encode import Embedding, Embeddings
from plantain.capture.forward import Scene, Target, assemble, prepare_scene
from plantain.capture.kernels import is_missing_kernel, use_kernel
from plantain.capture.memory import fitted_batch_size, is_out_of_memory
from plantain.capture.plan import pass_positions
from plantain.capture.progress import Progress, shown
from plantain.capture.workers import set_threads_for
from plantain.causal.clean import CleanPass, Recorder, recording, resume
from plantain.causal.heads import HeadSet, TokenRoute, all_heads, first_block
from plantain.causal.swaps import Swap, Swapper, is_finite, refuse_unfit, swapping
from plantain.model.geometry import Projection, projections
from plantain.model.load import load_transformer, resolve_device
from plantain.records.keys import Pass, image_digests
from plantain.records.lock import KLEIN_PIPELINE, ModelLock


def refuse_other_pipelines(lock: ModelLock) -> None:
    """Refuse a model whose transformer plantain does not call by itself.

    Raises:
        InputError: it is no FLUX.2 Klein.
    """
    if lock.pipeline != KLEIN_PIPELINE:
        fix = "leave the model out of the study; what was captured stands without it."
        raise InputError(f"heads are swapped in FLUX.2 Klein alone, and '{lock.name}' is a {lock.pipeline}.", fix=fix)


@dataclass(frozen=True, eq=False)
class Theatre:
    """One transformer with what its passes need. Nothing that is done here leaves a change behind."""

    transformer: Any
    scene: Scene
    embeddings: Callable[[str], Embedding]
    params: CaptureParams
    lock: ModelLock
    batch_size: int = 1
    """Swaps of one recipient at a time."""
    draw: int = 0
    """Which draw of an untrained model the transformer is, counted from 0."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Name of a reference to the SHA-256 of its file."""
    routes: tuple[TokenRoute, ...] = (TokenRoute.image, TokenRoute.text)
    """Tokens at which clean passes keep attention outputs."""

    @classmethod
    def open(
        cls,
        passes: Iterable[Pass],
        images: Mapping[str, Path],
        lock: ModelLock,
        params: CaptureParams,
        *,
        draw: int = 0,
        batch_size: int | None = None,
        routes: tuple[TokenRoute, ...] = (TokenRoute.image, TokenRoute.text),
        progress: Progress | None = None,
    ) -> "Theatre":
        """Encode prompts and references, then load the transformer, as a capture does.

        Blocks are never compiled here, whatever ``params`` say: hooks change from swap to swap.

        Args:
            passes: those that will be asked for.
            images: files of the reference images, by name.
            lock: the model.
            params: noise level and attention kernel.
            draw: which draw of an untrained model.
            batch_size: swaps at a time; None for what an accelerator's memory holds; 1 on a CPU.
            routes: tokens at which attention outputs are kept; fewer need less memory.
            progress: told how far the encoding is.

        Raises:
            InputError: as a capture; the device or the weights are not there.
        """
        refuse_other_pipelines(lock)
        device = resolve_device(lock.device)
        set_threads_for(lock.components["transformer"], device)
        with shown(progress) as told:
            embeddings = Embeddings(lock, device, told)
            embeddings.ensure(one.prompt for one in passes)
        scene = prepare_scene(images, lock, params.sigma, device)
        size = batch_size or _fitting(lock, params, bool(images), device)
        transformer = _with_kernel(load_transformer(lock, device, draw), params)
        return cls(transformer, scene, embeddings, params, lock, size, draw, image_digests(images), routes)

    def drawn(self, draw: int) -> "Theatre":
        """The same with another draw of an untrained model; prompts and references are not encoded again.

        Raises:
            InputError: there is no such draw, or its weights are not those of the lock.
        """
        made = load_transformer(self.lock, str(self.target.device), draw)
        return replace(self, transformer=_with_kernel(made, self.params), draw=draw)

    @cached_property
    def projections(self) -> list[Projection]:
        """The projections whose inputs are swapped, in the order that heads are named by."""
        return projections(self.transformer)

    @cached_property
    def target(self) -> Target:
        """What passes must know of the transformer."""
        return Target.of(self.transformer, self.scene)

    def heads(self, tokens: TokenRoute = TokenRoute.image) -> HeadSet:
        """Every head whose projection sees ``tokens``."""
        return all_heads(self.lock.geometry, tokens)

    @torch.inference_mode()
    def clean(self, one: Pass) -> CleanPass:
        """Run one pass without any change, and keep what swaps need of it.

        Raises:
            InputError: the velocity is not finite; or the transformer is not called as diffusers does it.
        """
        inputs, layout = assemble((one,), [self.embeddings(one.prompt)], self.scene, self.target)
        recorder = Recorder(self.projections, layout, self.routes)
        with recording(self.transformer, recorder, self.projections):
            found = self._called(inputs)
        velocity = self._velocity(found, layout.noise, one)[0]
        assert recorder.modulation is not None  # or `recording` had refused
        blocks = tuple(recorder.blocks)
        return CleanPass(one, layout, velocity, recorder.attention, blocks, recorder.modulation)

    @torch.inference_mode()
    def velocities(self, batch: Sequence[Pass]) -> Tensor:
        """Velocities at the noise tokens of whole passes in one batch, without any hook.

        Returns:
            float32 (passes, positions, channels), on the CPU.
        """
        texts = [self.embeddings(one.prompt) for one in batch]
        inputs, layout = assemble(tuple(batch), texts, self.scene, self.target)
        return self._velocity(self._called(inputs), layout.noise, batch[0])

    def swapped(self, recipient: CleanPass, edits: Sequence[Swap]) -> Tensor:
        """Velocities of ``recipient`` with each of ``edits`` made on its own, from its first changed block on.

        Which swaps share a batch follows from their first blocks, their order and :attr:`batch_size` alone.

        Returns:
            float32 (edits, positions, channels) at the noise tokens, on the CPU.

        Raises:
            InputError: a swap that cannot be made; no memory for a batch.
            CheckFailed: a swap that was not made, or changed nothing.
        """
        found = torch.empty((len(edits), *recipient.velocity.shape))
        for rows, velocities in self.swapped_batches(recipient, edits):
            found[rows] = velocities
        return found

    def swapped_batches(self, recipient: CleanPass, edits: Sequence[Swap]) -> Iterator[tuple[list[int], Tensor]]:
        """What :meth:`swapped` gives, batch by batch, each with the places of its rows among ``edits``."""
        for edit in edits:
            refuse_unfit(self.projections, recipient, edit)
        starts = [first_block(edit.heads, self.lock.geometry) for edit in edits]
        order = sorted(range(len(edits)), key=starts.__getitem__)
        for first in range(0, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            yield rows, self._batch(recipient, [edits[row] for row in rows], starts[rows[0]])

    @torch.inference_mode()
    def _batch(self, recipient: CleanPass, edits: Sequence[Swap], start: int) -> Tensor:
        swapper = Swapper(self.projections, recipient, edits)
        with self._explained(len(edits)), swapping(swapper, self.projections):
            found = resume(self.transformer, recipient, start, len(edits))
        return self._velocity(found, recipient.layout.noise, recipient.asked)

    @contextmanager
    def _explained(self, rows: int) -> Iterator[None]:
        """What torch may fail with, as an error for people."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                fix = "use a smaller batch size, height or width, or a larger device."
                raise InputError(f"{rows} passes of '{self.lock.name}' do not fit into memory.", fix=fix) from None
            if is_missing_kernel(error):
                found = f"torch has no attention kernel '{self.params.attention}' for this model here."
                raise InputError(found, field="capture.attention", fix="set capture.attention: native.") from None
            raise

    def _called(self, inputs: Mapping[str, Any]) -> Tensor:
        with self._explained(len(inputs["hidden_states"])):
            found: Tensor = self.transformer(**inputs)[0]
        return found

    def _velocity(self, found: Tensor, noise: int, one: Pass) -> Tensor:
        velocity = found[:, :noise].float().cpu()
        if not is_finite(velocity):
            what = f"'{self.lock.name}' computes a velocity that is not finite, item '{one.item}'"
            fix = "set dtype: float32 for the model, or another capture.attention."
            raise InputError(f"{what}, condition '{one.condition}' ({self.lock.dtype}).", fix=fix)
        return velocity


def _with_kernel(transformer: Any, params: CaptureParams) -> Any:
    use_kernel(transformer, params.attention)
    return transformer


def _fitting(lock: ModelLock, params: CaptureParams, conditioned: bool, device: str) -> int:
    if device == "cpu":
        return 1  # There a batch gains nothing.
    fitted = params.model_copy(update={"batch_size": "auto"})
    return fitted_batch_size(lock, fitted, pass_positions(lock, conditioned), device)
