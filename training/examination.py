"""An examination of a pipeline of the embedded shape: thirty rooms that no training saw, one creature in each."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from diffusers import Flux2KleinPipeline
from numpy.typing import NDArray
from torch import Tensor

from training import behaviour, figures, world
from training.creatures import CREATURES, Creature
from training.lessons import TAUGHT, Lesson, Outcome

Floats = NDArray[np.float32]

VIEWPOINT, MENTION = 0, 1
"""Roles, in the order of ``world.everyone``."""

_UNCHANGED = "unchanged"
"""A picture that is nearer to its reference than to any render of the operation."""


@dataclass(frozen=True)
class Question:
    """What is asked of a creature or body by its number: an outcome, in the words of a side, in one of its wordings."""

    outcome: Outcome
    side: Callable[[int], str]
    wording: Callable[[int], int]


def _taught(outcome: Outcome, side: str, wordings: int) -> Question:
    """The first ``wordings`` of ``side``, in turn."""
    return Question(outcome, lambda number: side, lambda number: 1 + number % wordings)


def _held_out(outcome: Outcome, wording: int) -> Question:
    return Question(outcome, lambda number: outcome, lambda number: wording)


_ASKED = {
    "viewpoint": _taught(Outcome.viewpoint, "viewpoint", TAUGHT),
    "mention": _taught(Outcome.mention, "mention", TAUGHT),
    "title": Question(
        Outcome.unchanged,
        lambda number: ("titled_viewpoint", "titled_mention")[number % 2],
        lambda number: 1 + number // 2 % TAUGHT,
    ),
    "neutral": _taught(Outcome.unchanged, "neutral", 2),
    "viewpoint_9": _held_out(Outcome.viewpoint, 9),
    "viewpoint_10": _held_out(Outcome.viewpoint, 10),
    "mention_9": _held_out(Outcome.mention, 9),
    "mention_10": _held_out(Outcome.mention, 10),
}
"""What is asked in every room: all taught wordings in turn, then each held-out one."""

_POSED = (
    (figures.Pose.t_pose, _taught(Outcome.t_pose, "t_pose", TAUGHT)),
    (figures.Pose.expressive, _taught(Outcome.expressive, "expressive", TAUGHT)),
    (figures.Pose.a_pose, _taught(Outcome.a_pose, "a_pose", 4)),
    (figures.Pose.arms, _taught(Outcome.arms, "arms", 4)),
    (figures.Pose.resting, _taught(Outcome.resting, "neutral", 2)),
    (figures.Pose.resting, _taught(Outcome.resting, "filed_t_pose", TAUGHT)),
    (figures.Pose.resting, _taught(Outcome.resting, "filed_expressive", TAUGHT)),
)
"""What is asked of every body, and the pose that is right."""

_POSED_HELD_OUT = tuple(
    (figures.Pose(outcome), _held_out(outcome, wording))
    for outcome in (Outcome.t_pose, Outcome.expressive)
    for wording in (9, 10)
)


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

    def change(self, asked: str) -> float:
        """Median RMS change of the reference, divided by the median RMS change that a viewpoint asks for."""
        numbers = np.arange(len(CREATURES))
        moved = self.scene.candidates[numbers, VIEWPOINT, numbers] - self.scene.references
        made = self.pictures[asked] - self.scene.references
        rms = [np.sqrt(np.square(gap).mean(axis=(1, 2, 3))) for gap in (made, moved)]
        return float(np.median(rms[0]) / np.median(rms[1]))

    def tally(self, asked: str) -> dict[str, int]:
        """How many pictures are nearest to a view, a mention, those of another creature, or the reference."""
        return dict(Counter(self._nearest(asked, number) for number in range(len(CREATURES))))

    def _nearest(self, asked: str, number: int) -> str:
        picture, candidates = self.pictures[asked][number], self.scene.candidates[number]
        to_reference = behaviour.distances(picture, self.scene.references[number])
        if to_reference < behaviour.distances(picture, candidates).min():
            return _UNCHANGED
        reading = behaviour.read(picture, candidates)
        role = "view" if reading.role == VIEWPOINT else "mention"
        return role if reading.creature == number else f"{role} of another"

    def _room(self, number: int) -> world.Rooms:
        return self.scene.rooms.take(np.array([number]))


def sentence(lessons: tuple[Lesson, ...], question: Question, subject: int) -> str:
    """The prompt that asks ``question`` of ``subject``."""
    wanted = (question.outcome, subject, question.side(subject), question.wording(subject))
    return next(one.prompt for one in lessons if (one.outcome, one.subject, one.side, one.wording) == wanted)


def set_scene(seed: int = 4_242) -> Scene:
    """The rooms of ``seed``, their references and all that the operation can make of them."""
    rooms = behaviour.fresh_rooms(seed)
    single = [rooms.take(np.array([number])) for number in range(len(rooms))]
    return Scene(
        rooms, world.render(rooms, world.doorway(len(rooms))), np.stack([world.everyone(one) for one in single])
    )


def questions(lessons: tuple[Lesson, ...], asked: Sequence[str] = tuple(_ASKED)) -> list[str]:
    """What is asked in every room, room by room; ``lessons`` are those of the full operation."""
    numbers = range(len(CREATURES))
    return [sentence(lessons, _ASKED[name], number) for number in numbers for name in asked]


def examine(
    pipe: Flux2KleinPipeline, scene: Scene, text: Tensor, steps: int, asked: Sequence[str] = tuple(_ASKED)
) -> Examination:
    """Have ``pipe`` draw what is ``asked`` in every room of ``scene``; ``text`` are the features of its questions."""
    features = text.view(len(CREATURES), len(asked), *text.shape[1:])
    numbers = range(len(CREATURES))
    made = [behaviour.generate(pipe, features[n], scene.references[n], steps=steps, seed=n) for n in numbers]
    return Examination(scene, dict(zip(asked, np.stack(made, axis=1), strict=True)))


def pose_questions(lessons: tuple[Lesson, ...], *, held_out: bool = False) -> list[str]:
    """Every body in every pose, body by body, in the taught wordings in turn, or in each of the held-out ones."""
    asked = _POSED_HELD_OUT if held_out else _POSED
    return [sentence(lessons, question, body) for body in range(figures.BODIES) for _, question in asked]


def examine_poses(pipe: Flux2KleinPipeline, text: Tensor, steps: int, *, held_out: bool = False) -> float:
    """Share of drawings of 25 bodies whose pose is read back (chance: one fifth)."""
    asked = [pose for pose, _ in (_POSED_HELD_OUT if held_out else _POSED)]
    features, right = text.view(figures.BODIES, len(asked), *text.shape[1:]), []
    for body in range(figures.BODIES):
        pictures = behaviour.generate(pipe, features[body], None, steps=steps, seed=body)
        right += [behaviour.read_pose(picture, body) is pose for picture, pose in zip(pictures, asked, strict=True)]
    return float(np.mean(right))
