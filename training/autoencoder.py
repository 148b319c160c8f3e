"""The autoencoder of the embedded model: encoder in closed form, decoder trained to draw what the encoder keeps."""

import math
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from plantain.model.tiny import architecture
from plantain.model.untrained import reinitialise
from training import classroom
from training.closed_form import set_encoder
from training.log import Log

BATCH = 8
BLUR = 0.08
"""Noise on the latents while the decoder learns: what flow matching hands it is never exact."""

_FIT, _DECODER = 3, 1
"""Keys of the random streams: pictures that fit the encoder, pictures that train the decoder."""


def as_input(pictures: np.ndarray) -> Tensor:
    """Pictures (items, 64, 64, 3) in [0, 1] as (items, 3, 64, 64) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).contiguous() * 2 - 1


def prepare(path: Path, seed: int) -> None:
    """Write an autoencoder whose encoder is final and whose decoder is fresh."""
    vae = architecture.new_vae()
    reinitialise(vae, seed)
    drawn = classroom.all_figures()
    pictures = as_input(classroom.mixed_pictures(2000, classroom.generator(seed, _FIT), drawn))
    set_encoder(vae, pictures)
    vae = vae.bfloat16().float()
    with torch.no_grad():
        latents = torch.cat([vae.encode(part).latent_dist.mean for part in pictures.split(50)])
    _standardise(vae, latents, _weights(pictures, latents))
    save_file({name: value.contiguous() for name, value in vae.state_dict().items()}, path)


def _weights(pictures: Tensor, latents: Tensor) -> Tensor:
    """How much each latent matters: the root of its share in the linear reconstruction, 1 for the first."""
    pixels = nn.functional.pixel_unshuffle(pictures, 8).permute(0, 2, 3, 1).reshape(-1, 192)
    known = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    ones = torch.ones(len(known), 1)
    effect = torch.linalg.lstsq(torch.cat([known, ones], dim=1), pixels).solution[:-1]
    share = effect.square().mean(dim=1).sqrt() * known.std(dim=0)
    return (share / share[0]).sqrt().clamp(max=1)


@torch.no_grad()
def _standardise(vae: AutoencoderKLFlux2, latents: Tensor, weights: Tensor) -> None:
    """Set the moments with which the pipeline standardises latents; a latent's deviation becomes its weight."""
    patches = Flux2KleinPipeline._patchify_latents(latents)
    spread = patches.var((0, 2, 3)) / weights.repeat_interleave(4) ** 2
    vae.bn.running_mean.copy_(patches.mean((0, 2, 3)).bfloat16().float())
    vae.bn.running_var.copy_(spread.bfloat16().float())


def train_decoder(source: Path, target: Path, log: Log, *, minutes: float, seed: int, top: float) -> None:
    """Train the decoder for ``minutes``, from ``target`` if it exists, else from ``source``."""
    vae = architecture.new_vae()
    vae.load_state_dict(load_file(target if target.exists() else source))
    vae = vae.to(memory_format=torch.channels_last)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    optimiser = torch.optim.AdamW(parameters, top, betas=(0.9, 0.95))
    drawn, began, step, done = classroom.all_figures(), time.monotonic(), 0, 0.0
    while done < 1.0:
        rng = classroom.generator(seed, _DECODER, step)
        pictures = as_input(classroom.mixed_pictures(BATCH, rng, drawn)).to(memory_format=torch.channels_last)
        optimiser.param_groups[0]["lr"] = (
            top * min(1.0, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        )
        error, rmse = _decoder_loss(vae, pictures, rng)
        optimiser.zero_grad()
        error.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step, done = step + 1, (time.monotonic() - began) / (60 * minutes)
        if step % 25 == 0 or done >= 1.0:
            log.metrics(step, done, {"error": error.item(), "rmse": rmse})
        if step % 500 == 0 or done >= 1.0:
            save_file({name: value.contiguous() for name, value in vae.state_dict().items()}, target)


def _decoder_loss(vae: AutoencoderKLFlux2, pictures: Tensor, rng: np.random.Generator) -> tuple[Tensor, float]:
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist.mean
        blurred = latents + BLUR * torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
    gap = vae.decode(blurred).sample - pictures
    return gap.abs().mean() + 2 * gap.square().mean(), float(gap.detach().square().mean().sqrt()) / 2
