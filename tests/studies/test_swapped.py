"""The study of rung 7: what counts as a flip, what ranks, and on real networks that heads flip pictures."""

from pathlib import Path

import numpy as np
import pytest

from plantain.base.config import read_params
from plantain.model.resolve import resolve
from plantain.probe.expand import expand
from plantain.probe.halves import CausalDesign, Half
from plantain.probe.spec import read_probe
from studies import swapped
from studies.swapped import CASES, Asked, Chosen, Examined, GateAndDonors, Judged, table
from studies.swapped_pictures import Flips, Poses, Rooms, pictures, side_of
from training import behaviour, figures, world
from training.creatures import BY_ID

ROOT = Path(__file__).parents[2]
FLOOR = 1 / 35


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The root of the repository, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("PLANTAIN_CACHE", str(tmp_path_factory.mktemp("swapped")))
        patch.setenv("PLANTAIN_WORKERS", "1")
        yield


def network(weights="own", donors=9.0, gate_p=FLOOR, donors_p=FLOOR, selection_p=FLOOR):
    chosen = None if selection_p is None else Chosen(0.5, selection_p)
    return Examined(GateAndDonors(weights, 0.1, 5.0, gate_p, donors, donors_p), chosen)


DRAWS = [network(f"draw {at}", donors=at / 10, gate_p=0.9, donors_p=0.9, selection_p=0.9) for at in range(20)]


@pytest.mark.parametrize(
    ("tested", "failing"),
    [
        (network(), ""),
        (network(gate_p=0.06, donors_p=0.5), "gate"),
        (network(donors_p=0.06, selection_p=0.5), "donors"),
        (network(selection_p=0.06), "selection"),
        (network(donors=1.85), "rank"),
        (network(selection_p=None), ""),
    ],
)
def test_the_first_test_that_fails_is_named(tested, failing):
    assert Judged.of(tested, DRAWS).failing(0.05) == failing


def test_a_draw_is_ranked_among_the_others():
    largest, second = Judged.of(DRAWS[19], DRAWS), Judged.of(DRAWS[18], DRAWS)
    assert (largest.among, largest.rank, second.rank) == (19, 1 / 20, 2 / 20)
    assert Judged.of(network(), DRAWS).rank == pytest.approx(1 / 21)
    assert Judged.of(network(), []).rank is None


def test_the_table_says_what_passes_and_how_many_draws_do():
    found = {"otherview target": {name: [Judged.of(network(), DRAWS)] for name in swapped.NETWORKS}}
    found["otherview target"][swapped.FAMILY] = [Judged.of(one, DRAWS) for one in DRAWS]
    lines = list(table(found, 0.05))
    assert "| `tiny` | real | 0.1 | 5, p = 0.029 | 9, p = 0.029 | 0.5, p = 0.029 | p = 0.048 | **passes** |" in lines[2]
    assert lines[-1].endswith("| 0 of 20 | 0 of 20 | 0 of 20 | 1 of 20 | 0 of 20 pass |")


def test_words_that_tie_a_side_leave_nothing_to_test_unless_they_are_read_as_independent(here):
    asked = Asked.of(next(case for case in CASES if case.independent), read_params())
    assert not asked.design.problem
    tied = next(case for case in CASES if case.independent)
    as_it_is = Asked.of(swapped.replace(tied, independent=False), read_params())
    assert "independent wordings" in as_it_is.design.problem


def test_sides_are_named_by_conditions():
    assert [side_of(name) for name in ("viewpoint", "viewpoint_3", "t_pose_8", "neutral_1")] == [
        "viewpoint",
        "viewpoint",
        "t_pose",
        "neutral",
    ]


def test_rooms_are_read_from_renders():
    rooms, cat = Rooms(), BY_ID["cat"]
    room = rooms._room("cat")
    seen = world.render(room, world.seen_by([cat]))[0]
    alone = world.render(room, world.with_body([cat]))[0]
    other = world.render(room, world.with_body([BY_ID["spider"]]))[0]
    assert [rooms.shown("cat", one) for one in (seen, alone, rooms.reference("cat"), other)] == [
        "viewpoint",
        "mention",
        "neutral",
        "another",
    ]
    assert rooms.reading("cat", other) == "mention"


def test_poses_are_read_from_drawings():
    poses = Poses(["a", "b"])
    wanted = {"t_pose": "t_pose", "expressive": "expressive", "resting": "neutral"}
    for pose, said in wanted.items():
        drawn = figures.draw_figures(np.array([1]), [figures.Pose(pose)])[0]
        assert poses.shown("b", drawn) == said


@pytest.fixture(scope="module")
def shown(here):
    """Two creatures, two wordings a side, on the network that was taught and one that was not."""
    params = read_params()
    records = expand(read_probe(Path("prompts/otherview.yaml")), Path()).records
    halves = [
        Half(("viewpoint", "viewpoint_3"), ("mention_2", "mention_3"), (0, 1, 2, 3), ("cat",)),
        Half(("viewpoint_2",), ("mention",), (0, 1), ("spider",)),
    ]
    design = CausalDesign(*halves, recipients=("neutral_1",))
    folder = swapped.kept("rooms")
    return {
        name: pictures(resolve(name, params)[0], params.capture, design, records, 0.16, folder)
        for name in ("tiny", "tiny-untrained")
    }


def test_what_all_heads_carry_is_the_picture_of_the_donor(shown):
    made = shown["tiny"].shown()
    assert made.right == (3, 3)
    assert made.pairs["all"] == Flips(2, 2, 2)
    assert (made.from_a["all"].flipped, made.from_b["all"].flipped) == (1, 1)
    assert made.pairs["matched"].pictures == 2 * 3
    none = shown["tiny-untrained"].shown()
    assert none.right[1] == 0
    assert {flips.flipped for flips in (*none.pairs.values(), *none.from_a.values(), *none.from_b.values())} == {0}


def test_matched_heads_are_others_than_the_chosen(shown):
    sets, dose = shown["tiny"]._sets()
    (chosen,) = sets["chosen"]
    assert len(chosen) == 12
    assert all(len(one) == 12 and not set(one) & set(chosen) for one in sets["matched"])
    assert 0 < dose < 1.5


def test_a_developed_picture_is_that_of_the_pipeline(shown):
    stage = shown["tiny"]
    one = stage.clean("viewpoint_2", "spider")
    from plantain.model.tiny.assemble import pipeline

    pipe = pipeline("transformer")
    pipe.set_progress_bar_config(disable=True)
    latents = stage.theatre.scene.latents(one.asked, stage.theatre.target.channels)
    text = behaviour.encode(pipe, [one.asked.prompt])
    made = pipe(
        image=behaviour.to_image(Rooms().reference("spider")),
        prompt_embeds=text,
        height=64,
        width=64,
        num_inference_steps=1,
        guidance_scale=1.0,
        latents=latents,
        max_sequence_length=behaviour.LENGTH,
        output_type="np",
    ).images[0]
    assert np.abs(made - stage._undisturbed(one)).max() <= 1.5 / 255
