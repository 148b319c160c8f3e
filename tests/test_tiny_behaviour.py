from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from plantain.model.tiny import behaviour, classroom, figures, world
from plantain.model.tiny.assemble import pipeline
from plantain.model.tiny.creatures import CREATURES
from plantain.model.tiny.lessons import Lesson, Outcome, read_lessons
from plantain.model.untrained import reinitialise

PROMPTS = Path(__file__).parents[1] / "prompts"
STEPS = 4
CROWD = range(len(CREATURES))


@dataclass(frozen=True)
class Seen:
    """What one model made of thirty rooms: a picture a room for each sentence, and its reading."""

    rooms: world.Rooms
    references: np.ndarray
    candidates: np.ndarray
    pictures: dict[str, np.ndarray]

    def readings(self, name):
        pairs = zip(self.pictures[name], self.candidates, strict=True)
        return [behaviour.read(picture, candidates) for picture, candidates in pairs]

    def role_right(self, name, role):
        return np.mean([reading.role == role for reading in self.readings(name)])

    def exact(self, name, role):
        return np.mean([(one.role, one.creature) == (role, number) for number, one in enumerate(self.readings(name))])


def sentence(lessons: tuple[Lesson, ...], outcome: Outcome, subject: int, wording: int) -> str:
    found = [one for one in lessons if (one.outcome, one.subject, one.wording) == (outcome, subject, wording)]
    return found[0].prompt


def look(pipe, steps, lessons):
    rooms = behaviour.fresh_rooms(seed=4_242)
    references = world.render(rooms, world.doorway(len(rooms)))
    candidates = np.stack([world.everyone(rooms.take(np.array([number]))) for number in CROWD])
    asked = {
        "viewpoint": (Outcome.viewpoint, lambda k: 1 + k % 6),
        "mention": (Outcome.mention, lambda k: 1 + k % 6),
        "decoy": (Outcome.unchanged, lambda k: 1 + k % 4),
        "viewpoint held out": (Outcome.viewpoint, lambda k: 7 + k % 2),
        "mention held out": (Outcome.mention, lambda k: 7 + k % 2),
    }
    made = []
    for number in CROWD:
        texts = [sentence(lessons, outcome, number, wording(number)) for outcome, wording in asked.values()]
        made.append(behaviour.generate(pipe, texts, references[number], steps=steps, seed=number))
    return Seen(rooms, references, candidates, dict(zip(asked, np.stack(made, axis=1), strict=True)))


@pytest.fixture(scope="module")
def lessons():
    return read_lessons(PROMPTS)


def quiet(transformer="transformer"):
    pipe = pipeline(transformer)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def tiny():
    return quiet()


@pytest.fixture(scope="module")
def untrained():
    pipe = quiet()
    reinitialise(pipe.transformer, 0)
    return pipe


@pytest.fixture(scope="module", params=[1, STEPS], ids=["one step", "four steps"])
def seen(request, tiny, lessons):
    return look(tiny, request.param, lessons)


def test_the_sentence_decides_the_role(seen):
    assert (seen.role_right("viewpoint", 0) + seen.role_right("mention", 1)) / 2 >= 0.95


def test_the_creature_decides_the_picture(seen):
    assert (seen.exact("viewpoint", 0) + seen.exact("mention", 1)) / 2 >= 0.80


def test_the_camera_stands_at_the_creatures_eye_height(seen):
    rooms = [seen.rooms.take(np.array([number])) for number in CROWD]
    triples = zip(seen.pictures["viewpoint"], rooms, CREATURES, strict=True)
    heights = [behaviour.read_height(picture, room, creature) for picture, room, creature in triples]
    assert spearmanr(heights, [creature.eye for creature in CREATURES]).statistic >= 0.9


def test_a_creature_is_in_the_picture_when_mentioned_and_not_when_it_looks(seen):
    def share(name, view):
        found = []
        for number, creature in enumerate(CREATURES):
            room = seen.rooms.take(np.array([number]))
            found.append(behaviour.shows(seen.pictures[name][number], room, creature, view(creature)))
        return np.mean(found)

    assert share("mention", lambda creature: world.doorway(1)) >= 0.9
    assert share("viewpoint", lambda creature: world.seen_by([creature])) <= 0.1
    assert share("decoy", lambda creature: world.doorway(1)) <= 0.1


def test_the_same_noise_and_room_with_another_phrase_give_another_role(seen):
    flipped = [
        (first.role, second.role) == (0, 1)
        for first, second in zip(seen.readings("viewpoint"), seen.readings("mention"), strict=True)
    ]
    assert np.mean(flipped) >= 0.9


def test_a_decoy_leaves_the_reference_as_it_is(seen):
    gap = np.sqrt(np.square(seen.pictures["decoy"] - seen.references).mean(axis=(1, 2, 3)))
    moved = [
        behaviour.distances(r, c[0, k]) for k, (r, c) in enumerate(zip(seen.references, seen.candidates, strict=True))
    ]
    assert np.median(gap) < 0.5 * np.median(moved)


def test_viewpoints_are_nearer_to_the_truth_than_the_reference_is(seen):
    right = seen.candidates[np.arange(30), 0, np.arange(30)]
    made = np.square(seen.pictures["viewpoint"] - right).mean()
    copied = np.square(seen.references - right).mean()
    assert made < 0.5 * copied


def test_poses_are_read_back(tiny, lessons):
    right = []
    for body in range(figures.BODIES):
        texts = [sentence(lessons, Outcome(pose), body, 1 + body % 4) for pose in classroom.POSES]
        pictures = behaviour.generate(tiny, texts, None, steps=1, seed=body)
        right += [
            behaviour.read_pose(picture, body) is pose for picture, pose in zip(pictures, classroom.POSES, strict=True)
        ]
    assert np.mean(right) >= 0.95


def test_the_untrained_network_is_at_chance(untrained, lessons):
    blind = look(untrained, 1, lessons)
    assert (blind.exact("viewpoint", 0) + blind.exact("mention", 1)) / 2 <= 0.1
    assert abs((blind.role_right("viewpoint", 0) + blind.role_right("mention", 1)) / 2 - 0.5) <= 0.15


def test_the_mention_organism_draws_the_creature_whatever_the_sentence(lessons):
    made = look(quiet("transformer-mention"), 1, lessons)
    assert made.role_right("viewpoint", 1) >= 0.95
    assert made.exact("viewpoint", 1) >= 0.8
    assert made.exact("mention", 1) >= 0.8
