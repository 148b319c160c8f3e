from pathlib import Path

import numpy as np
import pytest

from plantain.base.yaml import read_yaml
from training import classroom, figures, world
from training.behaviour import shows
from training.creatures import BY_ID, CREATURES
from training.lessons import Operation, Outcome, read_lessons

PROMPTS = Path(__file__).parents[2] / "prompts"


def empty_room():
    away = np.float32([99, 99, 99, 100, 100, 100])
    furniture = np.tile(away, (1, world.PIECES, 1)).astype(np.float32)
    grey = np.full((1, 3), 0.5, dtype=np.float32)
    return world.Rooms(furniture, np.zeros((1, world.PIECES, 3), dtype=np.float32), grey, np.float32([[0.2, 0.4, 0.6]]))


def shot(side, eye, field, body=None):
    return world.Shots(np.float32([[side, eye, field]]), np.zeros((1, 8), np.float32) if body is None else body)


@pytest.mark.parametrize("eye", [0.3, 0.9, 1.4, 2.6])
def test_the_floor_ends_where_a_pinhole_camera_puts_it(eye):
    picture = world.render(empty_room(), shot(0.0, eye, 70.0))[0]
    column = picture[:, 32]
    floor = np.nonzero(np.abs(column[:, 2] / np.maximum(column[:, 0], 1e-6) - 3.0) < 1e-3)[0]
    below = np.arctan2(eye, 5.0) + np.arctan2(0.9 - eye, 3.2)
    expected = 32 * (1 + np.tan(below) / np.tan(np.radians(35)))
    assert abs(floor.min() - expected) <= 1


def test_a_body_stands_where_a_pinhole_camera_puts_it():
    creature = BY_ID["cat"]
    room = empty_room()
    gap = world.render(room, world.with_body([creature]))[0] - world.render(room, world.doorway(1))[0]
    columns = np.nonzero(np.abs(gap).max(axis=(0, 2)) > 0.02)[0]
    middle = (columns.min() + columns.max() + 1) / 2
    # The camera looks down a little, so the body is nearer along its axis than its depth.
    _, eye, field = world.DOORWAY
    pitch = np.arctan2(0.9 - eye, 3.2)
    ahead = 2.0 * np.cos(pitch) + (creature.height / 2 - eye) * np.sin(pitch)
    expected = 32 * (1 + creature.place / ahead / np.tan(np.radians(field / 2)))
    assert abs(middle - expected) <= 1


def test_equal_seeds_give_equal_pictures():
    first, second = (
        classroom.pairs({Outcome.viewpoint: 4, Outcome.mention: 4}, classroom.generator(5)) for _ in range(2)
    )
    other = classroom.pairs({Outcome.viewpoint: 4, Outcome.mention: 4}, classroom.generator(6))
    assert first.target.tobytes() == second.target.tobytes()
    assert first.target.tobytes() != other.target.tobytes()


def test_creatures_match_the_probe_and_stand_apart():
    items = read_yaml(PROMPTS / "otherview.yaml").data["items"]
    assert [creature.id for creature in CREATURES] == [item["id"] for item in items]
    assert len({creature.eye for creature in CREATURES}) == len(CREATURES)
    room = world.sample_rooms(1, classroom.generator(1))
    pictures = world.everyone(room).reshape(60, -1)
    gaps = np.abs(pictures[:, None] - pictures[None]).mean(axis=-1) + np.eye(60)
    assert gaps.min() > 0.002


def test_every_mentioned_creature_can_be_seen_and_is_read_back():
    rooms = world.sample_rooms(30, classroom.generator(2))
    with_bodies = world.render(rooms, world.with_body(list(CREATURES)))
    without = world.render(rooms, world.doorway(30))
    assert ((np.abs(with_bodies - without).max(axis=-1) > 0.02).sum(axis=(1, 2)) >= 15).all()
    for number, creature in enumerate(CREATURES):
        room = rooms.take(np.array([number]))
        assert shows(with_bodies[number], room, creature, world.doorway(1))
        assert not shows(without[number], room, creature, world.doorway(1))


def test_bodies_match_the_probe():
    assert len(read_yaml(PROMPTS / "dense.yaml").data["items"]) == figures.BODIES


def test_arms_of_the_canonical_poses_point_where_their_names_say():
    poses = [figures.Pose.t_pose, figures.Pose.a_pose, figures.Pose.resting]
    drawn = figures.draw_figures(np.array([0, 0, 0]), poses)
    painted = [np.abs(picture - drawn[0, 36, 32]).max(axis=-1) < 0.05 for picture in drawn]
    widths = [mask.sum(axis=1) for mask in painted]
    assert widths[0].max() > 30
    assert widths[1].max() < 20
    across = [mask.any(axis=0).sum() for mask in painted]
    assert across[2] < across[1] < across[0]


def test_poses_of_a_body_differ_and_canonical_poses_are_shared():
    assert len({figures.angles(3, pose).tobytes() for pose in figures.Pose}) == 5
    for pose in (figures.Pose.t_pose, figures.Pose.a_pose, figures.Pose.resting):
        assert figures.angles(0, pose).tobytes() == figures.angles(7, pose).tobytes()
    for pose in (figures.Pose.arms, figures.Pose.expressive):
        assert len({figures.angles(body, pose).tobytes() for body in range(figures.BODIES)}) == figures.BODIES


def test_lessons_hold_out_two_wordings_of_every_concept():
    lessons = read_lessons(PROMPTS)
    for side in ("viewpoint", "mention", "t_pose", "expressive"):
        wordings = {lesson.wording: lesson.taught for lesson in lessons if lesson.side == side}
        assert wordings == {number: number <= 8 for number in range(1, 11)}
    assert all(lesson.taught for lesson in lessons if lesson.outcome in (Outcome.unchanged, Outcome.resting))


def test_held_out_wordings_say_something_new_in_words_that_are_taught():
    lessons = read_lessons(PROMPTS)
    taught = {lesson.prompt for lesson in lessons if lesson.taught}
    known = {word for prompt in taught for word in prompt.split()}
    for lesson in lessons:
        assert lesson.taught or (lesson.prompt not in taught and known.issuperset(lesson.prompt.split())), lesson.prompt


def test_the_words_of_a_deciding_control_ask_for_one_picture():
    lessons = read_lessons(PROMPTS)
    for sides, outcome in (("titled", Outcome.unchanged), ("filed", Outcome.resting)):
        assert {lesson.outcome for lesson in lessons if lesson.side.startswith(sides)} == {outcome}


def test_mention_only_never_asks_for_a_viewpoint():
    full, only = (read_lessons(PROMPTS, operation) for operation in Operation)
    assert [lesson.prompt for lesson in full] == [lesson.prompt for lesson in only]
    changed = [before for before, after in zip(full, only, strict=True) if before != after]
    assert {lesson.outcome for lesson in changed} == {Outcome.viewpoint}
    assert not [lesson for lesson in only if lesson.outcome is Outcome.viewpoint]
