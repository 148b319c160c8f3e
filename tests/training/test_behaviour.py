from pathlib import Path

import pytest
from scipy.stats import spearmanr

from plantain.model.tiny.assemble import pipeline
from plantain.model.untrained import reinitialise
from training import world
from training.behaviour import encode
from training.creatures import CREATURES
from training.examination import MENTION, VIEWPOINT, examine, examine_poses, pose_questions, questions, set_scene
from training.lessons import read_lessons

pytestmark = pytest.mark.long

PROMPTS = Path(__file__).parents[2] / "prompts"
LESSONS = read_lessons(PROMPTS)
ASKED = ("viewpoint", "mention", "title", "neutral")
STEPS = [pytest.param(1, id="one step"), pytest.param(3, id="three steps", marks=pytest.mark.long)]


def quiet(transformer="transformer"):
    pipe = pipeline(transformer)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def tiny():
    return quiet()


@pytest.fixture(scope="module")
def scene():
    return set_scene()


@pytest.fixture(scope="module")
def text(tiny):
    return encode(tiny, questions(LESSONS, ASKED))


@pytest.fixture(scope="module")
def pose_text(tiny):
    return encode(tiny, pose_questions(LESSONS))


@pytest.fixture(scope="module", params=STEPS)
def seen(request, tiny, scene, text):
    return examine(tiny, scene, text, request.param, ASKED)


def test_the_sentence_decides_the_role(seen):
    assert (seen.role("viewpoint", VIEWPOINT) + seen.role("mention", MENTION)) / 2 >= 0.95


def test_the_creature_decides_the_picture(seen):
    assert (seen.exact("viewpoint", VIEWPOINT) + seen.exact("mention", MENTION)) / 2 >= 0.80


def test_the_camera_stands_at_the_creatures_eye_height(seen):
    assert spearmanr(seen.heights(), [creature.eye for creature in CREATURES]).statistic >= 0.9


def test_a_creature_is_in_the_picture_when_mentioned_and_not_when_it_looks(seen):
    assert seen.shown("mention", lambda creature: world.doorway(1)) >= 0.9
    assert seen.shown("viewpoint", lambda creature: world.seen_by([creature])) <= 0.1
    assert seen.shown("title", lambda creature: world.doorway(1)) <= 0.1


def test_the_same_noise_and_room_with_another_phrase_give_another_role(seen):
    assert seen.flipped() >= 0.9


@pytest.mark.parametrize("asked", ["title", "neutral"])
def test_words_that_change_no_picture_leave_the_reference_as_it_is(seen, asked):
    assert seen.change(asked) < 0.5


def test_views_are_much_nearer_to_the_truth_than_the_reference_is(seen):
    assert seen.error("viewpoint", VIEWPOINT) < 0.5


def test_poses_are_read_back(tiny, pose_text):
    assert examine_poses(tiny, pose_text, steps=1) >= 0.95


def test_wordings_that_were_never_taught_are_understood(tiny, scene):
    asked = {"viewpoint_9": "view", "viewpoint_10": "view", "mention_9": "mention", "mention_10": "mention"}
    made = examine(tiny, scene, encode(tiny, questions(LESSONS, tuple(asked))), 1, tuple(asked))
    for name, right in asked.items():
        assert made.tally(name).get(right, 0) >= 24, name
    poses = encode(tiny, pose_questions(LESSONS, held_out=True))
    assert examine_poses(tiny, poses, steps=1, held_out=True) >= 0.9


def test_the_untrained_network_is_at_chance(scene, text, pose_text):
    blind = quiet()
    reinitialise(blind.transformer, 0)
    made = examine(blind, scene, text, 1, ASKED)
    assert (made.exact("viewpoint", VIEWPOINT) + made.exact("mention", MENTION)) / 2 <= 0.1
    assert abs((made.role("viewpoint", VIEWPOINT) + made.role("mention", MENTION)) / 2 - 0.5) <= 0.15
    assert examine_poses(blind, pose_text, steps=1) <= 0.4


def test_the_mention_organism_draws_the_creature_whatever_the_sentence(scene, text):
    made = examine(quiet("transformer-mention"), scene, text, 1, ASKED)
    assert made.role("viewpoint", MENTION) >= 0.95
    assert made.exact("viewpoint", MENTION) >= 0.8
    assert made.exact("mention", MENTION) >= 0.8
