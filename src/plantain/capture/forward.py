"""The fast pass: what the FLUX.2 pipelines do for one step with nothing to guide it, and nothing else.

Prompts are encoded once, each reference image is encoded once, the transformer is called directly, and the forward
ends at the last projection that is measured. On a CPU in float32, one pass at a time, the measured values are those of
the plain call bit for bit.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams
from plantain.capture.assembly import Reduced
from plantain.capture.encode import Embedding, release
from plantain.capture.hooks import Capture, watcher
from plantain.capture.means.token_sets import Layout
from plantain.capture.noise import gaussian
from plantain.capture.overlap import transfer
from plantain.capture.sigma import noised, timestep
from plantain.model.load import load_scheduler, load_vae, resolve_device
from plantain.probe.pictures import cached
from plantain.records.keys import Batch, Pass
from plantain.records.lock import ModelLock

_AREA = 1024 * 1024
"""Pixels above which the pipeline shrinks a conditioning image."""

_KEPT = 256
"""Latents that stay on the device: 1 MiB each at 1024 x 1024 px in bfloat16."""

Pending = Callable[[], Reduced]
"""Waits for what a batch gave, and examines it."""

Runner = Callable[[Batch], Pending]
"""Computes a batch, or on a device that computes by itself has it begun."""


@dataclass(frozen=True)
class Conditioning:
    """A reference image as the transformer sees it."""

    latents: torch.Tensor
    """(1, positions, channels)."""
    ids: torch.Tensor
    """(1, positions, 4)."""
    grid: torch.Tensor
    """The same latents before packing, (1, channels, height, width)."""


@dataclass(frozen=True)
class Scene:
    """Everything of a cell's passes but the text and the transformer."""

    references: Mapping[str, Conditioning]
    grid: tuple[int, int]
    """Height and width of the image to be denoised, in positions."""
    scheduler: Any
    sigma: float
    """Effective noise level."""

    @property
    def positions(self) -> int:
        """Positions of the image to be denoised."""
        return self.grid[0] * self.grid[1]

    def latents(self, one: Pass, channels: int) -> torch.Tensor:
        """The noised latents of a pass, float32 (1, channels, height, width), on the CPU."""
        noise = _noise(one.seed, (1, channels, *self.grid))
        if self.sigma == 1.0 or one.reference is None:
            return noised(noise, None, self.sigma)
        return noised(noise, self.clean(one.reference), self.sigma)

    def clean(self, name: str) -> torch.Tensor:
        """The latents of a reference, (1, channels, height, width), on the CPU.

        Raises:
            InputError: it has another size than the image to be denoised, so that no level below 1 can be made of it.
        """
        found = self.references[name].grid.cpu()
        if found.shape[2:] != self.grid:
            fix = "use references of the model's height and width, or capture.sigma: 1.0."
            raise InputError(f"reference '{name}' has another size than the image to be denoised.", fix=fix)
        return found


@dataclass(frozen=True)
class Target:
    """What a pass must know of its transformer, looked up once: diffusers walks all parameters to tell it."""

    device: torch.device
    dtype: torch.dtype
    channels: int
    timestep: torch.Tensor
    """1000 sigma, as the scheduler gives it."""
    guidance: float | None = None
    """What a transformer with embedded guidance is told."""
    kept: dict[Hashable, torch.Tensor] = field(default_factory=dict, compare=False, repr=False)
    """Latents on the device."""

    @property
    def carrier(self) -> transfer.Carrier:
        """How tensors get to the device."""
        return transfer.carrier_for(self.device)

    @classmethod
    def of(cls, transformer: Any, scene: Scene, guidance: float | None = None) -> "Target":
        """The target of the passes of ``scene``."""
        at = timestep(scene.scheduler, scene.sigma, scene.positions)
        device = transformer.device
        moment = transfer.carrier_for(device).up(at)
        return cls(device, transformer.dtype, transformer.config.in_channels // 4 * 4, moment, guidance)

    def latents(self, scene: Scene, one: Pass, dtype: torch.dtype) -> torch.Tensor:
        """The noised latents of a pass on the device, made once for all passes that share them."""
        key = (one.seed, one.reference if scene.sigma < 1.0 else None, scene.sigma, scene.grid, dtype)
        found = self.kept.get(key)
        if found is None:
            found = self.carrier.up(scene.latents(one, self.channels).to(dtype))
            if len(self.kept) < _KEPT:
                self.kept[key] = found
        return found

    def told(self, rows: int) -> torch.Tensor | None:
        """The guidance of a batch, (rows,)."""
        return None if self.guidance is None else torch.full([rows], self.guidance, device=self.device)


@torch.inference_mode()
def prepare_scene(images: Mapping[str, Path], lock: ModelLock, sigma: float, device: str) -> Scene:
    """Encode every reference image once; the VAE is loaded for that and freed again."""
    vae, scheduler = load_vae(lock, device), load_scheduler(lock)
    pipeline = Flux2KleinPipeline(scheduler, vae, text_encoder=None, tokenizer=None, transformer=None)
    found = {name: _condition(pipeline, path, device) for name, path in images.items()}
    multiple = pipeline.vae_scale_factor * 2
    del pipeline, vae
    release(device, lock.components["vae"])
    return Scene(found, (lock.height // multiple, lock.width // multiple), scheduler, sigma)


def expect_levels(images: Mapping[str, Path], lock: ModelLock, sigmas: Collection[float]) -> None:
    """Refuse what no pass can be at some noise level, before any pass at another one.

    Args:
        images: reference name to its image.
        lock: the model.
        sigmas: effective noise levels.

    Raises:
        InputError: the scheduler makes another level of one, or a reference has another size than what is denoised.
    """
    scene = prepare_scene(images, lock, min(sigmas), resolve_device(lock.device))
    for sigma in sigmas:
        timestep(scene.scheduler, sigma, scene.positions)
    for name in scene.references if scene.sigma < 1.0 else ():
        scene.clean(name)


def fast_runner(
    transformer: Any,
    scene: Scene,
    embeddings: Callable[[str], Embedding],
    params: CaptureParams,
    guidance: float | None = None,
) -> Runner:
    """A function that measures one batch by calling ``transformer`` directly.

    On CUDA nothing in it waits for the device, so that passes are queued one behind another.
    """
    watch = watcher(transformer, params)
    target = Target.of(transformer, scene, guidance)

    @torch.inference_mode()
    def run(batch: Batch) -> Pending:
        texts = [embeddings(one.prompt) for one in batch]
        inputs, layout = assemble(batch, texts, scene, target)
        with watch(layout) as capture:
            transformer(**inputs)
        return reduced(capture)

    return run


def reduced(capture: Capture) -> Pending:
    """What the hooks of one forward saw, on its way to the host.

    Whether it is finite is seen when it is asked for. Mean squares come first: they name the first bad projection.
    """
    capture.leave()

    def asked() -> Reduced:
        return Reduced(capture.mean_square(), np.array(capture.layout.counts(), dtype=np.int32), capture.vectors())

    return asked


def assemble(batch: Batch, texts: list[Embedding], scene: Scene, target: Target) -> tuple[dict[str, Any], Layout]:
    """Arguments of the transformer call for ``batch``, and where its token sets stand.

    Ids, packing, dtypes and the timestep's round trip follow sections 3 to 7 of the pipeline's ``__call__``.
    """
    device = target.device
    embeds = torch.cat([target.carrier.up(text.values) for text in texts])
    grid = torch.cat([target.latents(scene, one, embeds.dtype) for one in batch])
    ids = _image_ids(grid.shape[2], grid.shape[3], device).expand(len(batch), -1, -1)
    latents = Flux2KleinPipeline._pack_latents(grid)
    noise_positions = latents.shape[1]
    moment = target.timestep.to(device).expand(len(batch)).to(latents.dtype)
    references = [scene.references[one.reference] for one in batch if one.reference is not None]
    if references:
        latents = torch.cat([latents, torch.cat([one.latents for one in references])], dim=1)
        ids = torch.cat([ids, torch.cat([one.ids for one in references])], dim=1)
    layout = Layout(
        text=tuple(text.text for text in texts),
        text_length=embeds.shape[1],
        noise=noise_positions,
        reference=latents.shape[1] - noise_positions,
    )
    inputs = {
        "hidden_states": latents.to(target.dtype),
        "timestep": moment / 1000,
        "guidance": target.told(len(batch)),
        "encoder_hidden_states": embeds,
        "txt_ids": _text_ids(embeds.shape[1], device),
        "img_ids": ids,
        "return_dict": False,
    }
    return inputs, layout


@lru_cache(maxsize=_KEPT)
def _noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(gaussian(seed, shape))


@lru_cache(maxsize=8)
def _image_ids(height: int, width: int, device: torch.device) -> torch.Tensor:
    ids: torch.Tensor = Flux2KleinPipeline._prepare_latent_ids(torch.empty(1, 0, height, width))
    return ids.to(device)


@lru_cache(maxsize=4)
def _text_ids(length: int, device: torch.device) -> torch.Tensor:
    # One row serves every batch: the transformer reads the first.
    ids: torch.Tensor = Flux2KleinPipeline._prepare_text_ids(torch.empty(1, length, 0))
    return ids.to(device)


def _condition(pipeline: Any, path: Path, device: str) -> Conditioning:
    picture = cached(path)
    processor, multiple = pipeline.image_processor, pipeline.vae_scale_factor * 2
    processor.check_image_input(picture)
    if picture.width * picture.height > _AREA:
        picture = processor._resize_to_target_area(picture, _AREA)
    width, height = (side // multiple * multiple for side in picture.size)
    pixels = processor.preprocess(picture, height=height, width=width, resize_mode="crop")
    latents, ids = pipeline.prepare_image_latents(
        [pixels], batch_size=1, generator=None, device=torch.device(device), dtype=pipeline.vae.dtype
    )
    rows, columns = height // multiple, width // multiple
    grid = latents.reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
    return Conditioning(latents, ids, grid)
