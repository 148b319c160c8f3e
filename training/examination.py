"""An examination of a pipeline of the embedded shape: thirty rooms that no training saw, one creature in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from diffusers import Flux2KleinPipeline
from numpy.typing import NDArray
from torch import Tensor

from training import behaviour, classroom, figures, world
from training.creatures import CREATURES, Creature
from training.lessons import Lesson, Outcome

Floats = NDArray[np.float32]

VIEWPOINT, MENTION = 0, 1
"""Roles, in the order of ``world.everyone``."""

_ASKED: dict[str, tuple[Outcome, Callable[[int], int]]] = {
    "viewpoint": (Outcome.viewpoint, lambda number: 1 + number % 6),
    "mention": (Outcome.mention, lambda number: 1 + number % 6),
    "decoy": (Outcome.unchanged, lambda number: 1 + number % 4),
    "viewpoint_held_out": (Outcome.viewpoint, lambda number: 7 + number % 2),
    "mention_held_out": (Outcome.mention, lambda number: 7 + number % 2),
}
"""What is asked in every room, and in which wording of its side: all taught ones in turn, then the held-out ones."""


@dataclass(frozen=True)
class Scene:
    """Thirty rooms, one for each creature, of a seed that no training uses."""

    rooms: world.Rooms
    references: Floats
    candidates: Floats
    """Renders of every room: (30 rooms, 2 roles, 30 creatures, 64, 64, 3)."""


@dataclass(frozen=True)
class Examination:
    """Pictures (30, 64, 64, 3) for each thing that was asked, all of one room from the same noise."""

    scene: Scene
    pictures: dict[str, Floats]

    def readings(self, asked: str) -> list[behaviour.Reading]:
        """What each picture is nearest to."""
        pairs = zip(self.pictures[asked], self.scene.candidates, strict=True)
        return [behaviour.read(picture, candidates) for picture, candidates in pairs]

    def role(self, asked: str, role: int) -> float:
        """Share of pictures that are nearest to a render of ``role`` (chance: one half)."""
        return float(np.mean([reading.role == role for reading in self.readings(asked)]))

    def exact(self, asked: str, role: int) -> float:
        """Share of pictures that are nearest to the right role and creature (chance: one in sixty)."""
        wanted = [behaviour.Reading(role, number) for number in range(len(CREATURES))]
        return float(np.mean([got == want for got, want in zip(self.readings(asked), wanted, strict=True)]))

    def flipped(self) -> float:
        """Share of rooms in which the phrase alone turns the nearest render from one role into the other."""
        both = zip(self.readings("viewpoint"), self.readings("mention"), strict=True)
        return float(np.mean([(first.role, second.role) == (VIEWPOINT, MENTION) for first, second in both]))

    def heights(self) -> list[float]:
        """Camera heights in metres read back from the views, in the order of the creatures."""
        triples = zip(self.pictures["viewpoint"], range(len(CREATURES)), CREATURES, strict=True)
        return [behaviour.read_height(picture, self._room(number), one) for picture, number, one in triples]

    def shown(self, asked: str, view: Callable[[Creature], world.Shots]) -> float:
        """Share of pictures, taken by the camera of ``view``, in which the creature stands."""
        found = [
            behaviour.shows(self.pictures[asked][number], self._room(number), creature, view(creature))
            for number, creature in enumerate(CREATURES)
        ]
        return float(np.mean(found))

    def error(self, asked: str, role: int) -> float:
        """Squared error to the right render, divided by that of copying the reference."""
        numbers = np.arange(len(CREATURES))
        right = self.scene.candidates[numbers, role, numbers]
        made = np.square(self.pictures[asked] - right).mean()
        return float(made / np.square(self.scene.references - right).mean())

    def decoy_change(self) -> float:
        """Median RMS change by a decoy, divided by the median RMS change that a viewpoint asks for."""
        numbers = np.arange(len(CREATURES))
        moved = self.scene.candidates[numbers, VIEWPOINT, numbers] - self.scene.references
        kept = self.pictures["decoy"] - self.scene.references
        rms = [np.sqrt(np.square(gap).mean(axis=(1, 2, 3))) for gap in (kept, moved)]
        return float(np.median(rms[0]) / np.median(rms[1]))

    def _room(self, number: int) -> world.Rooms:
        return self.scene.rooms.take(np.array([number]))


def sentence(lessons: tuple[Lesson, ...], outcome: Outcome, subject: int, wording: int) -> str:
    """The prompt of ``outcome`` for ``subject`` in its ``wording``."""
    return next(one.prompt for one in lessons if (one.outcome, one.subject, one.wording) == (outcome, subject, wording))


def set_scene(seed: int = 4_242) -> Scene:
    """The rooms of ``seed``, their references and all that the operation can make of them."""
    rooms = behaviour.fresh_rooms(seed)
    single = [rooms.take(np.array([number])) for number in range(len(rooms))]
    return Scene(
        rooms, world.render(rooms, world.doorway(len(rooms))), np.stack([world.everyone(one) for one in single])
    )


def questions(lessons: tuple[Lesson, ...], asked: Sequence[str] = tuple(_ASKED)) -> list[str]:
    """What is asked in every room, room by room; ``lessons`` are those of the full operation."""
    wanted = [_ASKED[name] for name in asked]
    numbers = range(len(CREATURES))
    return [sentence(lessons, what, number, wording(number)) for number in numbers for what, wording in wanted]


def examine(
    pipe: Flux2KleinPipeline, scene: Scene, text: Tensor, steps: int, asked: Sequence[str] = tuple(_ASKED)
) -> Examination:
    """Have ``pipe`` draw what is ``asked`` in every room of ``scene``; ``text`` are the features of its questions."""
    features = text.view(len(CREATURES), len(asked), *text.shape[1:])
    numbers = range(len(CREATURES))
    made = [behaviour.generate(pipe, features[n], scene.references[n], steps=steps, seed=n) for n in numbers]
    return Examination(scene, dict(zip(asked, np.stack(made, axis=1), strict=True)))


def pose_questions(lessons: tuple[Lesson, ...]) -> list[str]:
    """Every body in every pose, body by body, in all wordings that the four poses have in common."""
    bodies = range(figures.BODIES)
    return [sentence(lessons, Outcome(pose), body, 1 + body % 4) for body in bodies for pose in classroom.POSES]


def examine_poses(pipe: Flux2KleinPipeline, text: Tensor, steps: int) -> float:
    """Share of drawings of 25 bodies in four poses whose pose is read back (chance: one quarter)."""
    features, right = text.view(figures.BODIES, len(classroom.POSES), *text.shape[1:]), []
    for body in range(figures.BODIES):
        pictures = behaviour.generate(pipe, features[body], None, steps=steps, seed=body)
        pairs = zip(pictures, classroom.POSES, strict=True)
        right += [behaviour.read_pose(picture, body) is pose for picture, pose in pairs]
    return float(np.mean(right))
