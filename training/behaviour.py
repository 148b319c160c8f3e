"""What a pipeline of the embedded shape does, measured on its pictures alone: nothing inside it is looked at.

Every picture is compared with renders of the same room. Chance levels: 1/2 for the role, 1/60 for role and creature.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from numpy.typing import NDArray
from PIL import Image

from training import classroom, figures, world
from training.creatures import CREATURES, Creature

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LENGTH = 96
"""Text positions of the embedded model, pads included."""

HEIGHTS = np.linspace(0.03, 2.9, 30, dtype=np.float32)
"""Camera heights in metres at which a view is rendered to read its height back."""


def to_image(picture: Floats) -> Image.Image:
    """A picture (64, 64, 3) in [0, 1] as the image file a person would hand in."""
    return Image.fromarray((picture * 255).round().astype(np.uint8))


def noise(seed: int) -> torch.Tensor:
    """Starting noise (1, 32, 4, 4) of one picture."""
    drawn = classroom.generator(seed, 31).standard_normal((1, 32, 4, 4), dtype=np.float32)
    return torch.from_numpy(drawn)


@torch.no_grad()
def encode(pipe: Flux2KleinPipeline, prompts: Sequence[str]) -> torch.Tensor:
    """Text features (prompts, 96, 144), by the pipeline's own method; fifty prompts at a time."""
    parts = [list(prompts[start : start + 50]) for start in range(0, len(prompts), 50)]
    return torch.cat([pipe.encode_prompt(part, max_sequence_length=LENGTH)[0] for part in parts])


def generate(
    pipe: Flux2KleinPipeline,
    text: torch.Tensor,
    reference: Floats | None,
    *,
    steps: int,
    guidance: float = 1.0,
    seed: int = 0,
) -> Floats:
    """Pictures (prompts, 64, 64, 3) by the plain pipeline call, all from the same noise and the same reference.

    Args:
        pipe: a pipeline of the embedded shape.
        text: features (prompts, 96, 144) from :func:`encode`.
        reference: a picture (64, 64, 3) in [0, 1], or None.
        steps: denoising steps.
        guidance: above 1, the empty prompt is run as well.
        seed: of the noise.
    """
    made = pipe(
        image=None if reference is None else to_image(reference),
        prompt_embeds=text,
        negative_prompt_embeds=encode(pipe, [""] * len(text)) if guidance > 1 else None,
        height=figures.SIZE,
        width=figures.SIZE,
        num_inference_steps=steps,
        guidance_scale=guidance,
        latents=noise(seed).expand(len(text), -1, -1, -1),
        max_sequence_length=LENGTH,
        output_type="np",
    )
    return np.asarray(made.images, dtype=np.float32)


def distances(picture: Floats, candidates: Floats) -> Floats:
    """Root mean square difference of ``picture`` (64, 64, 3) to each of ``candidates`` (..., 64, 64, 3)."""
    squares: Floats = np.square(candidates - picture).mean(axis=(-1, -2, -3), dtype=np.float64)
    return np.sqrt(squares).astype(np.float32)


@dataclass(frozen=True)
class Reading:
    """What a picture is nearest to: the role (0 seen by, 1 with) and the creature's number."""

    role: int
    creature: int


def read(picture: Floats, candidates: Floats) -> Reading:
    """The nearest of ``candidates`` (2 roles, 30 creatures, 64, 64, 3)."""
    role, creature = np.unravel_index(int(distances(picture, candidates).argmin()), candidates.shape[:2])
    return Reading(int(role), int(creature))


def read_height(picture: Floats, room: world.Rooms, creature: Creature) -> float:
    """The camera height in metres at which ``creature``'s render of ``room`` is nearest to ``picture``."""
    rooms = room.take(np.zeros(len(HEIGHTS), dtype=np.int64))
    renders = world.render(rooms, world.height_shots(creature, HEIGHTS))
    return float(HEIGHTS[distances(picture, renders).argmin()])


def shows(picture: Floats, room: world.Rooms, creature: Creature, view: world.Shots) -> bool:
    """Whether ``creature`` stands in ``picture``, taken by the camera of ``view``.

    Where its body would be drawn, the picture is nearer to the room with it than to the room without.
    """
    without = world.render(room, world.Shots(view.camera, np.zeros_like(view.body)))[0]
    body = world.render(room, world.Shots(view.camera, world.with_body([creature]).body))[0]
    where = np.abs(body - without).max(axis=-1) > 0.02
    to_body = np.square(picture[where] - body[where]).sum()
    return bool(to_body < np.square(picture[where] - without[where]).sum())


def read_pose(picture: Floats, body: int) -> figures.Pose:
    """The pose of ``body`` whose drawing is nearest to ``picture``."""
    drawn = figures.draw_figures(np.full(len(classroom.POSES), body), list(classroom.POSES))
    return classroom.POSES[int(distances(picture, drawn).argmin())]


def fresh_rooms(seed: int) -> world.Rooms:
    """One room for each creature, of a seed that no training uses."""
    return world.sample_rooms(len(CREATURES), classroom.generator(seed, 9_001))
