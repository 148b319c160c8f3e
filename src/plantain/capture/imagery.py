"""Generating reference images by the plain pipeline call, its components loaded one after the other."""

import inspect
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from PIL import Image

from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import (
    CaptureParams,
    ModelParams,
    Params,
    ReferenceParams,
    ReportParams,
    RunParams,
    Source,
    TrackingParams,
    VerdictParams,
)
from plantain.capture.any_pipeline import IMAGE_ALWAYS, noise_for, still_call
from plantain.capture.drawn import write_drawn
from plantain.capture.encode import Embedding, Embeddings, release
from plantain.capture.noise import gaussian
from plantain.capture.progress import Progress
from plantain.capture.shards import Store
from plantain.capture.workers import set_threads_for
from plantain.model.architectures import Guidance, architecture_calling
from plantain.model.load import load_pipeline, load_scheduler, load_transformer, load_vae, resolve_device
from plantain.model.resolve import resolve
from plantain.probe.records import ReferenceRecord
from plantain.records.keys import reference_key
from plantain.records.lock import KLEIN_PIPELINE, ModelLock


@dataclass(frozen=True)
class _Studio:
    """What every image of one call has in common."""

    lock: ModelLock
    params: ReferenceParams
    device: str
    store: Store
    progress: Progress

    def key(self, record: ReferenceRecord) -> str:
        return reference_key(record, self.lock, self.params, self.device)


def draw_all(
    records: Sequence[ReferenceRecord], lock: ModelLock, params: ReferenceParams, folder: Path, progress: Progress
) -> str:
    """Write image and generation record of every prompted reference; the kind of device that it ran on.

    An untrained model conditions on the images that the model it was made from generates.
    """
    lock = parent(lock) if lock.source is Source.untrained else lock
    device = resolve_device(lock.device)
    set_threads_for(lock.components["transformer"], device)
    studio = _Studio(lock, params, device, Store("references", progress.note), progress)
    missing = [record for record in records if studio.store.read(studio.key(record)) is None]
    if missing:
        (_draw_missing if lock.pipeline == KLEIN_PIPELINE else _draw_by_call)(studio, missing)
    for record in records:
        entry = studio.store.read(studio.key(record))
        if entry is None:
            raise CheckFailed(f"the stored image of '{record.name}' vanished while it was needed. Fix: run again.")
        write_drawn(entry, record, lock, params, device, folder)
    return studio.device.split(":", maxsplit=1)[0]


def parent(lock: ModelLock) -> ModelLock:
    """The lock of the model that an untrained one was made from, at the untrained one's size and dtype."""
    name = lock.reference_model
    entry = ModelParams(
        source=lock.base,
        repo=lock.repo,
        revision=lock.revision,
        path=lock.path,
        device=lock.device,
        dtype=lock.dtype,
        height=lock.height,
        width=lock.width,
        max_sequence_length=lock.max_sequence_length,
        text_encoder_out_layers=list(lock.text_encoder_out_layers),
    )
    alone = Params(
        run=RunParams(),
        models={name: entry},
        reference=ReferenceParams(),
        capture=CaptureParams(group_width=lock.group_width),
        analyses={},
        verdict=VerdictParams(),
        report=ReportParams(),
        tracking=TrackingParams(),
    )
    return resolve(name, alone)[0]


def _draw_missing(studio: _Studio, missing: Sequence[ReferenceRecord]) -> None:
    lock, params, device = studio.lock, studio.params, studio.device
    embeddings = Embeddings(lock, device, studio.progress)
    guided = [""] if params.guidance_scale > 1.0 else []
    embeddings.ensure([*(str(record.prompt) for record in missing), *guided])
    pipeline = Flux2KleinPipeline(
        scheduler=load_scheduler(lock),
        vae=load_vae(lock, device),
        text_encoder=None,
        tokenizer=None,
        transformer=load_transformer(lock, device),
        is_distilled=lock.is_distilled,
    )
    pipeline.set_progress_bar_config(disable=True)
    studio.progress.phase(f"{lock.name}: generate references", len(missing), "images")
    for record in missing:
        negative = embeddings("") if guided else None
        image = draw(pipeline, embeddings(str(record.prompt)), negative, lock, params)
        studio.store.write(studio.key(record), {"png": np.frombuffer(_png(image), dtype=np.uint8)})
        studio.progress.advance()
    del pipeline
    release(device, lock.components["transformer"])


def _draw_by_call(studio: _Studio, missing: Sequence[ReferenceRecord]) -> None:
    """The same by the whole pipeline of another row, with its own way of guiding."""
    lock, params = studio.lock, studio.params
    if lock.pipeline in IMAGE_ALWAYS:
        fix = "give the references of the probe as files (`file:`)."
        raise InputError(f"a {lock.pipeline} draws nothing without an image, so no reference.", fix=fix)
    pipeline = load_pipeline(lock, studio.device)
    studio.progress.phase(f"{lock.name}: generate references", len(missing), "images")
    for record in missing:
        image = draw_by_call(pipeline, str(record.prompt), lock, params)
        studio.store.write(studio.key(record), {"png": np.frombuffer(_png(image), dtype=np.uint8)})
        studio.progress.advance()
    del pipeline
    release(studio.device, lock.components["transformer"])


@torch.inference_mode()
def draw_by_call(pipeline: Any, prompt: str, lock: ModelLock, params: ReferenceParams) -> Image.Image:
    """One image by the plain call of any pipeline, from noise with the same bytes on every machine."""
    row = architecture_calling(lock.pipeline)
    guided = {row.guided_by: float(params.guidance_scale)} if lock.guidance != Guidance.distilled else {}
    negative = {"negative_prompt": " "} if row.guided_by == "true_cfg_scale" else {}
    drawn = {"prompt": prompt, "num_inference_steps": params.steps, "output_type": "pil"}
    given = still_call(row, lock) | guided | negative | drawn
    given["latents"] = noise_for(pipeline, row, lock, params.seed)
    wanted = inspect.signature(pipeline.__call__).parameters
    image: Image.Image = pipeline(**{name: value for name, value in given.items() if name in wanted}).images[0]
    return image


@torch.inference_mode()
def draw(
    pipeline: Any, prompt: Embedding, negative: Embedding | None, lock: ModelLock, params: ReferenceParams
) -> Image.Image:
    """One image by the plain pipeline call, from embeddings and from noise with the same bytes on every machine."""
    device, multiple = pipeline.transformer.device, pipeline.vae_scale_factor * 2
    channels = pipeline.transformer.config.in_channels // 4 * 4
    shape = (1, channels, lock.height // multiple, lock.width // multiple)
    result = pipeline(
        prompt_embeds=prompt.values.to(device),
        negative_prompt_embeds=None if negative is None else negative.values.to(device),
        height=lock.height,
        width=lock.width,
        num_inference_steps=params.steps,
        guidance_scale=float(params.guidance_scale),
        latents=torch.from_numpy(gaussian(params.seed, shape)),
        output_type="pil",
    )
    image: Image.Image = result.images[0]
    return image


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
