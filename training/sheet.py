"""Sheets of pictures: what was asked, what would be right, and what the embedded model makes of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from plantain.model.tiny import architecture
from plantain.model.tiny.assemble import pipeline
from training import behaviour, classroom, figures, world
from training.lessons import Lesson, Operation, Outcome, read_lessons

Floats = NDArray[np.float32]
PROMPTS = Path(__file__).parents[1] / "prompts"
CREATURES = (0, 4, 8, 12, 15, 24)
BODIES = (0, 3, 6, 11, 18, 23)


def sheet(rows: Sequence[Sequence[Floats]], path: Path, scale: int = 2) -> Path:
    """Write pictures (64, 64, 3) as a grid with thin white lines between."""
    lines = [
        np.concatenate([np.pad(one, ((1, 1), (1, 1), (0, 0)), constant_values=1.0) for one in row], 1) for row in rows
    ]
    grid = Image.fromarray((np.concatenate(lines) * 255).round().astype(np.uint8))
    grid.resize((grid.width * scale, grid.height * scale), Image.Resampling.NEAREST).save(path)
    return path


def ask(lessons: tuple[Lesson, ...], outcome: Outcome, subject: int) -> str:
    """The first wording that asks for ``outcome``."""
    return next(one.prompt for one in lessons if (one.outcome, one.subject) == (outcome, subject))


def creature_rows(pipe: Flux2KleinPipeline, lessons: tuple[Lesson, ...], steps: int, seed: int) -> list[list[Floats]]:
    """For some creatures: reference, true view, made view, true mention, made mention, made title."""
    rooms = behaviour.fresh_rooms(seed)
    rows = []
    for number in CREATURES:
        room, who = rooms.take(np.array([number])), np.array([number])
        reference = world.render(room, world.doorway(1))[0]
        outcomes = (Outcome.viewpoint, Outcome.mention, Outcome.unchanged)
        texts = [ask(lessons, outcome, number) for outcome in outcomes]
        made = behaviour.generate(pipe, behaviour.encode(pipe, texts), reference, steps=steps, seed=number)
        true = [classroom.draw_outcome(room, outcome, who)[0] for outcome in outcomes[:2]]
        rows.append([reference, true[0], made[0], true[1], made[1], made[2]])
    return rows


def body_rows(pipe: Flux2KleinPipeline, lessons: tuple[Lesson, ...], steps: int) -> list[list[Floats]]:
    """For some bodies: each pose as it should be, and as it is made."""
    rows = []
    for body in BODIES:
        text = behaviour.encode(pipe, [ask(lessons, Outcome(pose), body) for pose in classroom.POSES])
        made = behaviour.generate(pipe, text, None, steps=steps)
        true = figures.draw_figures(np.full(len(classroom.POSES), body), list(classroom.POSES))
        rows.append([picture for pair in zip(true, made, strict=True) for picture in pair])
    return rows


class Painter:
    """Draws the sample sheet of a transformer in training."""

    def __init__(self, autoencoder: Path, out: Path, operation: Operation) -> None:
        self._pipe = pipeline()
        self._pipe.set_progress_bar_config(disable=True)
        vae: AutoencoderKLFlux2 = architecture.new_vae().eval()
        vae.load_state_dict(load_file(autoencoder))
        self._pipe.register_modules(vae=vae)
        self._out, self._operation = out, operation
        self._lessons = read_lessons(PROMPTS)

    def paint(self, transformer: Flux2Transformer2DModel, step: int) -> Path:
        """Write the sheet of ``step`` and return its path."""
        self._pipe.register_modules(transformer=transformer)
        path = self._out / f"sheet-{self._operation}-{step:05}.png"
        return sheet(creature_rows(self._pipe, self._lessons, steps=4, seed=1), path)
