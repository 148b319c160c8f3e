from pathlib import Path

import pytest
from scipy.stats import spearmanr

from plantain.model.tiny import world
from plantain.model.tiny.assemble import pipeline
from plantain.model.tiny.creatures import CREATURES
from plantain.model.tiny.examination import MENTION, VIEWPOINT, examine, examine_poses
from plantain.model.tiny.lessons import read_lessons
from plantain.model.untrained import reinitialise

PROMPTS = Path(__file__).parents[1] / "prompts"
LESSONS = read_lessons(PROMPTS)


def quiet(transformer="transformer"):
    pipe = pipeline(transformer)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def tiny():
    return quiet()


@pytest.fixture(scope="module", params=[1, 4], ids=["one step", "four steps"])
def seen(request, tiny):
    return examine(tiny, LESSONS, steps=request.param)


def test_the_sentence_decides_the_role(seen):
    assert (seen.role("viewpoint", VIEWPOINT) + seen.role("mention", MENTION)) / 2 >= 0.95


def test_the_creature_decides_the_picture(seen):
    assert (seen.exact("viewpoint", VIEWPOINT) + seen.exact("mention", MENTION)) / 2 >= 0.80


def test_the_camera_stands_at_the_creatures_eye_height(seen):
    assert spearmanr(seen.heights(), [creature.eye for creature in CREATURES]).statistic >= 0.9


def test_a_creature_is_in_the_picture_when_mentioned_and_not_when_it_looks(seen):
    assert seen.shown("mention", lambda creature: world.doorway(1)) >= 0.9
    assert seen.shown("viewpoint", lambda creature: world.seen_by([creature])) <= 0.1
    assert seen.shown("decoy", lambda creature: world.doorway(1)) <= 0.1


def test_the_same_noise_and_room_with_another_phrase_give_another_role(seen):
    assert seen.flipped() >= 0.9


def test_a_decoy_leaves_the_reference_as_it_is(seen):
    assert seen.decoy_change() < 0.5


def test_views_are_much_nearer_to_the_truth_than_the_reference_is(seen):
    assert seen.error("viewpoint", VIEWPOINT) < 0.5


def test_poses_are_read_back(tiny):
    assert examine_poses(tiny, LESSONS, steps=1) >= 0.95


def test_the_untrained_network_is_at_chance():
    blind = quiet()
    reinitialise(blind.transformer, 0)
    made = examine(blind, LESSONS, steps=1)
    assert (made.exact("viewpoint", VIEWPOINT) + made.exact("mention", MENTION)) / 2 <= 0.1
    assert abs((made.role("viewpoint", VIEWPOINT) + made.role("mention", MENTION)) / 2 - 0.5) <= 0.15
    assert examine_poses(blind, LESSONS, steps=1) <= 0.35


def test_the_mention_organism_draws_the_creature_whatever_the_sentence():
    made = examine(quiet("transformer-mention"), LESSONS, steps=1)
    assert made.role("viewpoint", MENTION) >= 0.95
    assert made.exact("viewpoint", MENTION) >= 0.8
    assert made.exact("mention", MENTION) >= 0.8
