"""Pictures of one step: what a velocity would make of the noise if the model went all the way at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from plantain.base.errors import InputError
from plantain.capture.encode import release
from plantain.causal.theatre import Theatre
from plantain.model.load import load_scheduler, load_vae
from plantain.records.causal import SHEET_GAP, SHEET_LINE
from plantain.records.keys import Pass
from plantain.records.lock import ModelLock


@dataclass(frozen=True)
class Darkroom:
    """The VAE of a model, which turns velocities into pictures."""

    pipeline: Any
    """A Klein pipeline with nothing but VAE and scheduler."""
    lock: ModelLock
    device: str

    @classmethod
    def open(cls, lock: ModelLock, device: str) -> "Darkroom":
        """Load the VAE."""
        vae, scheduler = load_vae(lock, device), load_scheduler(lock)
        return cls(Flux2KleinPipeline(scheduler, vae, None, None, None), lock, device)

    def close(self) -> None:
        """Give the memory of a large VAE back."""
        self.pipeline.vae.to("meta")
        release(self.device, self.lock.components["vae"])

    @torch.inference_mode()
    def develop(self, theatre: Theatre, one: Pass, velocities: Tensor) -> NDArray[np.uint8]:
        """The pictures x0 = x_sigma - sigma v, one at a time, decoded as the pipeline does after one step.

        Args:
            theatre: gives noise and noise level.
            one: the pass that the velocities belong to; the noise is that of its seed and, below pure noise, its
                reference.
            velocities: (pictures, positions, channels), or one without the first axis.

        Returns:
            uint8 (pictures, height, width, 3).
        """
        vae, scene = self.pipeline.vae, theatre.scene
        noised = Flux2KleinPipeline._pack_latents(scene.latents(one, theatre.target.channels))
        rows = [self._decoded(vae, noised - scene.sigma * row, scene.grid) for row in _rows(velocities, noised)]
        return np.stack([np.asarray(self._image(row), dtype=np.uint8) for row in rows])

    def _decoded(self, vae: Any, clean: Tensor, grid: tuple[int, int]) -> Tensor:
        latents = clean.transpose(1, 2).reshape(1, -1, *grid).to(device=vae.device, dtype=vae.dtype)
        mean = vae.bn.running_mean.view(1, -1, 1, 1).to(latents)
        scale = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps).to(latents)
        latents = Flux2KleinPipeline._unpatchify_latents(latents * scale + mean)
        found: Tensor = vae.decode(latents, return_dict=False)[0]
        return found

    def _image(self, decoded: Tensor) -> Image.Image:
        found: Image.Image = self.pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
        return found


def _rows(velocities: Tensor, noised: Tensor) -> Tensor:
    rows = velocities[None] if velocities.ndim == 2 else velocities
    if rows.shape[1:] != noised.shape[1:]:
        found = f"velocities of shape {tuple(velocities.shape)} are not those of this pass {tuple(noised.shape[1:])}."
        raise InputError(found, fix="give the pass that they were computed for.")
    return rows[:, None].to(device=noised.device, dtype=noised.dtype)


def contact_sheet(
    rows: Sequence[Mapping[str, NDArray[np.uint8]]], *, scale: int = 1, labels: Sequence[str] = ()
) -> Image.Image:
    """Pictures side by side, a row a case, titled by their names above the first row.

    Args:
        rows: name (such as recipient, donor, swapped, matched random) to a picture, uint8 (height, width, 3); every
            row has the names of the first, in any order, and pictures of its size.
        scale: pixels that a pixel is drawn as.
        labels: what each row is, written above it; none where left out.

    Raises:
        InputError: no row, rows that differ in names or sizes, or a label too many or too few.
    """
    names = list(rows[0]) if rows else []
    shapes = {picture.shape for row in rows for picture in row.values()}
    alike = all(set(row) == set(names) for row in rows) and len(labels) in (0, len(rows))
    if not names or not alike or len(shapes) != 1:
        raise InputError("the rows of a contact sheet differ in names or sizes.", fix="give every row the same ones.")
    height, width = (side * scale for side in shapes.pop()[:2])
    strip = SHEET_LINE if labels else 0
    step = height + SHEET_GAP + strip
    size = (len(names) * (width + SHEET_GAP) + SHEET_GAP, SHEET_LINE + len(rows) * step + SHEET_GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for line, said in enumerate(labels):
        pen.text((SHEET_GAP, SHEET_LINE + line * step + 1), said, fill="#505860")
    for column, name in enumerate(names):
        left = SHEET_GAP + column * (width + SHEET_GAP)
        pen.text((left, 1), name, fill="black")
        for line, row in enumerate(rows):
            tile = Image.fromarray(row[name]).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(tile, (left, SHEET_LINE + line * step + strip))
    return sheet


def fitted(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture whose longer side is at most ``side`` pixels; a smaller one as it is."""
    image = Image.fromarray(picture)
    if max(image.size) <= side:
        return picture
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)
