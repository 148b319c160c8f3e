"""The plain route: `Flux2KleinPipeline.__call__` with hooks, one prompt at a time (``capture.path: pipeline``)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from plantain.base.params import CaptureParams
from plantain.capture.encode import text_span
from plantain.capture.forward import Pending, Runner, Scene, reduced
from plantain.capture.hooks import reducing
from plantain.capture.means.token_sets import Layout
from plantain.capture.sigma import scheduler_for
from plantain.model.geometry import projections
from plantain.probe.pictures import cached
from plantain.records.keys import Batch
from plantain.records.lock import ModelLock


def pipeline_runner(
    pipeline: Any, scene: Scene, images: Mapping[str, Path], lock: ModelLock, params: CaptureParams
) -> Runner:
    """A function that measures a batch of one by the plain pipeline call, decoding nothing.

    Args:
        pipeline: the whole pipeline of the model.
        scene: gives the same latents as the fast pass.
        images: files of the reference images, by name.
        lock: size, sequence length and encoder layers of the call.
        params: group width, and whether vectors are taken.
    """
    hooked = projections(pipeline.transformer)
    channels = pipeline.transformer.config.in_channels // 4 * 4
    pipeline.scheduler = scheduler_for(pipeline.scheduler, scene.sigma)
    pipeline.set_progress_bar_config(disable=True)

    @torch.inference_mode()
    def run(batch: Batch) -> Pending:
        (one,) = batch
        picture = None if one.reference is None else cached(images[one.reference])
        conditioned = 0 if one.reference is None else scene.references[one.reference].latents.shape[1]
        span = text_span(one.prompt, pipeline.tokenizer, lock.max_sequence_length)
        layout = Layout((span,), lock.max_sequence_length, scene.positions, conditioned)
        with reducing(hooked, layout, lock.group_width, stop=False, vectors=params.grams) as capture:
            pipeline(
                prompt=one.prompt,
                image=picture,
                height=lock.height,
                width=lock.width,
                latents=scene.latents(one, channels),
                num_inference_steps=1,
                sigmas=[scene.sigma],
                guidance_scale=1.0,
                max_sequence_length=lock.max_sequence_length,
                text_encoder_out_layers=tuple(lock.text_encoder_out_layers),
                output_type="latent",
            )
        return reduced(capture)

    return run
