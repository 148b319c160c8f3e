"""Reference images by the plain pipeline call, its components loaded one after the other, into the store."""

import inspect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from PIL import Image

from plantain.base.errors import InputError
from plantain.base.params import ReferenceParams
from plantain.capture.any_pipeline import IMAGE_ALWAYS, noise_for, still_call
from plantain.capture.encode import Embedding, Embeddings, release
from plantain.capture.noise import gaussian
from plantain.capture.progress import Progress, Silent
from plantain.capture.shards import Store
from plantain.model.architectures import Guidance, architecture_calling
from plantain.model.load import load_pipeline, load_scheduler, load_transformer, load_vae
from plantain.probe.records import ReferenceRecord
from plantain.records.keys import reference_key
from plantain.records.lock import KLEIN_PIPELINE, ModelLock

Draw = Callable[[ReferenceRecord], Image.Image]


@dataclass(frozen=True)
class Easel:
    """What every image of one model has in common."""

    lock: ModelLock
    params: ReferenceParams
    device: str

    def key(self, record: ReferenceRecord) -> str:
        """Where the image of a record is kept."""
        return reference_key(record, self.lock, self.params, self.device)

    def prompts(self, records: Sequence[ReferenceRecord]) -> list[str]:
        """What has to be encoded beforehand; nothing where the pipeline of the model encodes by itself."""
        if self.lock.pipeline != KLEIN_PIPELINE:
            return []
        guided = [""] if self.params.guidance_scale > 1.0 else []
        return [*(str(record.prompt) for record in records), *guided]


def draw_into_store(easel: Easel, records: Sequence[ReferenceRecord], progress: Progress) -> None:
    """Draw what the store lacks of some records, prompts being encoded.

    Raises:
        InputError: the pipeline draws nothing without an image.
    """
    store = Store("references", progress.note)
    draw_one = painter(easel)
    for record in records:
        if not store.holds(easel.key(record)):
            store.write(easel.key(record), {"png": np.frombuffer(png(draw_one(record)), dtype=np.uint8)})
        progress.advance()
    del draw_one
    release(easel.device, easel.lock.components["transformer"])


def painter(easel: Easel) -> Draw:
    """The pipeline of a model, loaded, as a function of a record.

    Raises:
        InputError: the pipeline draws nothing without an image.
    """
    lock = easel.lock
    if lock.pipeline == KLEIN_PIPELINE:
        return _from_embeddings(easel)
    if lock.pipeline in IMAGE_ALWAYS:
        fix = "give the references of the probe as files (`file:`)."
        raise InputError(f"a {lock.pipeline} draws nothing without an image, so no reference.", fix=fix)
    pipeline = load_pipeline(lock, easel.device)
    return lambda record: draw_by_call(pipeline, str(record.prompt), lock, easel.params)


def _from_embeddings(easel: Easel) -> Draw:
    lock, device = easel.lock, easel.device
    embeddings = Embeddings(lock, device, Silent())
    pipeline = Flux2KleinPipeline(
        scheduler=load_scheduler(lock),
        vae=load_vae(lock, device),
        text_encoder=None,
        tokenizer=None,
        transformer=load_transformer(lock, device),
        is_distilled=lock.is_distilled,
    )
    pipeline.set_progress_bar_config(disable=True)
    negative = embeddings("") if easel.params.guidance_scale > 1.0 else None
    return lambda record: draw(pipeline, embeddings(str(record.prompt)), negative, lock, easel.params)


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


def png(image: Image.Image) -> bytes:
    """The file of an image."""
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
