"""The pipeline of any row called for one step, its transformer seen once: ``capture.path: pipeline`` for every model.

Nothing of the call is written again here. The pipeline's own ``__call__`` makes timesteps, ids and masks; only what it
would have encoded, and the noise, are handed to it. Where text, noise and reference stand follows from the row and from
what the transformer is given. A forward is refused that is not the one declared: a second one, another noise level,
another number of positions.
"""

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams
from plantain.capture.encoded import EncodedPrompt, Mask, moved, runs_of
from plantain.capture.forward import Pending, Runner, reduced
from plantain.capture.hooks import Capture, Taps
from plantain.capture.means.token_sets import Layout
from plantain.capture.noise import gaussian
from plantain.capture.overlap import transfer
from plantain.capture.sigma import noised
from plantain.model.architectures import Architecture, Clock, LatentForm, architecture_calling
from plantain.model.geometry import projections
from plantain.model.layout import part_role
from plantain.model.load import load_part, pipeline_of
from plantain.probe.pictures import cached
from plantain.records.keys import Batch, Pass, path_of
from plantain.records.lock import ModelLock

_CLOSE = 5e-3
"""Relative difference up to which a noise level is the one that was asked for: bfloat16 has 8 bits."""


IMAGE_ALWAYS: Final = ("QwenImageEditPipeline", "QwenImageEditPlusPipeline")
"""Pipelines that cannot be called without an image."""


def any_notes(lock: ModelLock, params: CaptureParams) -> dict[str, Any]:
    """What a receipt says of how passes were run: the call, and the noise level that it came to."""
    row = architecture_calling(lock.pipeline)
    _, asked, told = scheduler_at(row, load_part(lock, "scheduler", "cpu"), params.sigma)
    scale = {} if lock.guidance_scale is None else {"guidance_scale": lock.guidance_scale}
    call = {**row.call, **scale, **asked}
    return {"path": str(path_of(lock, params)), "call": call, "told": round(told, 6), "guidance": lock.guidance}


def reads_image(lock: ModelLock, one: Pass) -> bool:
    """Whether the text encoder sees the reference of a pass too, so that its prompt cannot be encoded by itself."""
    return one.reference is not None and any(part_role(part) == "processor" for part in lock.components)


def load_for_passes(lock: ModelLock, device: str, draw: int, *, whole: bool) -> Any:
    """The pipeline that passes are run with: without its encoders, unless the ``whole`` of it is needed."""
    left_out = () if whole else ("text_encoder", "tokenizer", "processor")
    names = [name for name in lock.components if part_role(name) not in left_out]
    return pipeline_of(lock, {name: load_part(lock, name, device, draw) for name in names})


class OneForward:
    """Hooks around a transformer that let one forward through and see it."""

    def __init__(self, transformer: Any, row: Architecture, params: CaptureParams, group_width: int) -> None:
        """Put the hooks in place."""
        self._row, self._params = row, params
        self._taps = Taps(projections(transformer), group_width, vectors=params.grams)
        self._signature = inspect.signature(transformer.forward)
        self._text: Mask | None = None
        self._positions = 0
        self._told = 0.0
        self._watch: AbstractContextManager[Capture] | None = None
        self._capture: Capture | None = None
        transformer.register_forward_pre_hook(self._before, with_kwargs=True)
        transformer.register_forward_hook(self._after)

    def expect(self, text: Mask | None, positions: int, told: float) -> None:
        """Prepare for the next forward.

        Args:
            text: which text positions hold the prompt; None: all.
            positions: of the image to be denoised.
            told: the timestep that the transformer should be given.
        """
        self._text, self._positions, self._told, self._capture = text, positions, told, None

    def seen(self) -> Capture:
        """What the forward gave.

        Raises:
            InputError: there was none.
        """
        if self._capture is None:
            raise InputError("the pipeline never called its transformer.", fix="use the pipeline of diffusers.")
        return self._capture

    def _before(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._capture is not None:
            fix = "a pass is one forward: check `call` in the model's row of architectures.py."
            raise InputError("the pipeline called its transformer twice in one pass.", fix=fix)
        given = self._signature.bind(*args, **kwargs).arguments
        self._check_time(given)
        layout = self._layout(given)
        if layout.reference and self._params.sigma < 1.0:
            kwargs = kwargs | {"hidden_states": self._mixed(given["hidden_states"], layout)}
        self._watch = self._taps.watch(layout, stop=False)
        self._capture = self._watch.__enter__()
        return args, kwargs

    def _after(self, *_: Any) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.__exit__(None, None, None)

    def _check_time(self, given: Mapping[str, Any]) -> None:
        moment = given.get("timestep", given.get("t"))
        found = float(torch.as_tensor(moment).flatten()[0])
        if not math.isclose(found, self._told, rel_tol=_CLOSE, abs_tol=_CLOSE):
            fix = "use the scheduler that belongs to the pipeline."
            raise InputError(f"the transformer was told the time {found:.6g}, not {self._told:.6g}.", fix=fix)

    def _layout(self, given: Mapping[str, Any]) -> Layout:
        embeds = given.get("encoder_hidden_states", given.get("cap_feats"))
        length = int(embeds[0].shape[0])
        text = np.ones(length, dtype=bool) if self._text is None else self._text
        if len(text) != length:
            fix = "the row's `text` in architectures.py says otherwise than the pipeline does; please report it."
            raise InputError(f"{length} text positions where {len(text)} were encoded.", fix=fix)
        seen = self._positions
        if self._row.latents is not LatentForm.grid:
            seen = int(given["hidden_states"].shape[1])
        return layout_of(self._row, text, self._positions, seen - self._positions)

    def _mixed(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Noise with the reference's own latents, as much of them as the noise level leaves.

        Raises:
            InputError: the reference has another size.
        """
        if layout.noise != layout.reference:
            fix = "use references of the model's height and width, or capture.sigma: 1.0."
            raise InputError("a reference has another size than the image to be denoised.", fix=fix)
        clean = hidden[:, layout.noise :]
        # The pipeline was handed sigma x noise, which is the rest of the interpolation.
        return torch.cat([hidden[:, : layout.noise] + (1.0 - self._params.sigma) * clean, clean], dim=1)


def layout_of(row: Architecture, text: Mask, noise: int, reference: int) -> Layout:
    """Where the token sets of a pass stand.

    Args:
        row: the architecture.
        text: which text positions hold the prompt, (positions,).
        noise: positions of the image to be denoised.
        reference: positions of the conditioning image behind it.
    """
    spans = runs_of(text)
    if row.trimmed and (len(spans) > 1 or spans[0][0] > 0):
        fix = "use the tokenizer that belongs to the pipeline, which pads on the right."
        raise InputError("the padding stands before the text.", fix=fix)
    return Layout(
        text=(spans[0],),
        text_length=len(text),
        noise=noise,
        reference=reference,
        later=(spans[1:],) if len(spans) > 1 else (),
        image_first=row.order[0] == "image",
        ahead=row.ahead,
        multiple=row.multiple,
        trimmed=row.trimmed,
    )


def any_runner(
    pipeline: Any,
    prompts: Callable[[str], EncodedPrompt],
    images: Mapping[str, Path],
    lock: ModelLock,
    params: CaptureParams,
) -> Runner:
    """A function that measures a batch of one by one step of ``pipeline``, decoding nothing.

    Args:
        pipeline: :func:`load_for_passes`.
        prompts: holds every prompt of the passes, unless the encoders of ``pipeline`` are to be asked.
        images: files of the reference images, by name.
        lock: the model.
        params: noise level, and whether vectors are taken.

    Raises:
        InputError: the model has no such noise level.
    """
    row = architecture_calling(lock.pipeline)
    pipeline.scheduler, moments, told = scheduler_at(row, pipeline.scheduler, params.sigma)
    forward = OneForward(pipeline.transformer, row, params, lock.group_width)
    wanted = inspect.signature(pipeline.__call__).parameters
    still = still_call(row, lock) | moments
    positions = (lock.height // lock.position_pixels) * (lock.width // lock.position_pixels)
    up = transfer.carrier_for(pipeline.transformer.device).up

    @cache
    def sigma_noise(seed: int) -> torch.Tensor:
        return up(noise_for(pipeline, row, lock, seed, params.sigma))

    @torch.inference_mode()
    def run(batch: Batch) -> Pending:
        (one,) = batch
        given: dict[str, Any] = {"prompt": one.prompt, "latents": sigma_noise(one.seed).clone()}
        if one.reference is not None:
            given["image"] = cached(images[one.reference])
        text = None
        if not reads_image(lock, one):
            found = prompts(one.prompt)
            text, outputs = found.text, moved(found.outputs, up)
            pipeline.encode_prompt = lambda *_, **__: outputs
        forward.expect(text, positions, told)
        pipeline(**{name: value for name, value in (still | given).items() if name in wanted})
        return reduced(forward.seen())

    return run


def still_call(row: Architecture, lock: ModelLock) -> dict[str, Any]:
    """Arguments of the pipeline call that are the same for every pass: one step, unguided, nothing decoded."""
    told = {} if lock.guidance_scale is None else {"guidance_scale": lock.guidance_scale}
    return {
        "height": lock.height,
        "width": lock.width,
        "num_inference_steps": 1,
        "output_type": "latent",
        "max_sequence_length": lock.max_sequence_length,
        "text_encoder_out_layers": tuple(lock.text_encoder_out_layers),
        # FLUX.1 Kontext scales to an area of its own, and pictures to a list of sizes.
        "max_area": lock.height * lock.width,
        "_auto_resize": False,
    } | (dict(row.call) | told)


def scheduler_at(row: Architecture, scheduler: Any, sigma: float) -> tuple[Any, dict[str, Any], float]:
    """The scheduler of a one-step pass at ``sigma``, what the call is told for it, and what the transformer is.

    At pure noise it is the model's own, as the plain call has it, unless its last step is fixed, which makes no number
    of a single one. Below, flow models get one without shifts; a model of the older kind the step whose noise level is
    nearest.

    Raises:
        InputError: the training schedule has no such level.
    """
    if row.clock is Clock.steps:
        levels = torch.sqrt(1.0 - scheduler.alphas_cumprod)
        step = int(torch.argmin((levels - sigma).abs())) if sigma < 1.0 else len(levels) - 1
        if sigma < 1.0 and abs(float(levels[step]) - sigma) > _CLOSE:
            fix = f"use a level from {float(levels[0]):.3f} on."
            raise InputError(f"no step of the model has the noise level {sigma}.", field="capture.sigma", fix=fix)
        return scheduler, {} if sigma == 1.0 else {"timesteps": [step]}, float(step)
    flow = isinstance(scheduler, FlowMatchEulerDiscreteScheduler)
    if sigma == 1.0 and not (flow and scheduler.config.get("shift_terminal")):
        return scheduler, {"sigmas": [1.0]} if flow else {}, row.clock.told(1.0)
    plain = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    steps = {"timesteps": [1000.0 * sigma]} if row.dated else {}
    return plain, {"sigmas": [sigma]} | steps, row.clock.told(sigma)


def expect_any_levels(lock: ModelLock, sigmas: Collection[float]) -> None:
    """Refuse noise levels that the model does not have, before any pass.

    Raises:
        InputError: as :func:`scheduler_at`.
    """
    row, scheduler = architecture_calling(lock.pipeline), load_part(lock, "scheduler", "cpu")
    for sigma in sigmas:
        scheduler_at(row, scheduler, sigma)


def noise_for(pipeline: Any, row: Architecture, lock: ModelLock, seed: int, sigma: float = 1.0) -> torch.Tensor:
    """Noise in the form that the pipeline takes; at a level below 1, sigma times it."""
    channels = int(pipeline.transformer.config.in_channels)
    rows, columns = lock.height // lock.position_pixels, lock.width // lock.position_pixels
    if row.latents is LatentForm.patched:
        shape = (1, channels, rows, columns)
    elif row.latents is LatentForm.packed:
        shape = (1, channels // 4, 2 * rows, 2 * columns)
    else:
        patch = _patch(pipeline.transformer.config)
        shape = (1, channels, rows * patch, columns * patch)
    noise = noised(torch.from_numpy(gaussian(seed, shape)), None, sigma)
    if row.latents is LatentForm.packed:
        noise = pipeline._pack_latents(noise, *shape)
    return noise.to(pipeline.transformer.dtype)


def _patch(config: Mapping[str, Any]) -> int:
    return int(config.get("patch_size") or config["all_patch_size"][0])
