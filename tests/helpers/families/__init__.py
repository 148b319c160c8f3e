"""A tiny pipeline of each architecture: the real classes of diffusers and transformers, saved as a hub folder is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.families import auraflow, chroma, cogview4, flux1, flux2, lumina2, pixart, qwen, sana, sd3, zimage
from helpers.families.family import Family

__all__ = ["EACH", "FAMILIES", "SIZE", "Family", "build", "call"]

SIZE = 64
"""Pixels along each side of what they draw."""

_MODULES = (flux2, flux1, chroma, qwen, zimage, lumina2, sd3, pixart, sana, auraflow, cogview4)

FAMILIES: Mapping[str, Family] = {family.name: family for module in _MODULES for family in module.FAMILIES}

_ALIKE = ("flux2-klein-distilled", "flux1-schnell", "sd35-large")
"""Of the same classes and the same row as another, with other settings."""

EACH = [pytest.param(name, marks=[pytest.mark.long] if name in _ALIKE else []) for name in sorted(FAMILIES)]
"""Every family, to be a parameter of tests."""


def build(family: str, folder: Path) -> Path:
    """Write the tiny pipeline of ``family`` into ``folder``, which ``DiffusionPipeline.from_pretrained`` reads."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = FAMILIES[family].make()
    made.save_pretrained(folder, safe_serialization=True)
    return folder


def call(family: str, pipeline: Any, prompt: str, latents: torch.Tensor | None = None, image: Any = None) -> Any:
    """The plain pipeline call of one step, one pass; what it returns before the VAE decodes it."""
    arguments = dict(FAMILIES[family].call)
    if image is not None:
        arguments["image"] = image
    pipeline.set_progress_bar_config(disable=True)
    with torch.inference_mode():
        return pipeline(
            prompt=prompt,
            height=SIZE,
            width=SIZE,
            num_inference_steps=1,
            output_type="latent",
            latents=latents,
            generator=torch.Generator().manual_seed(0),
            **arguments,
        ).images
