"""Pictures of one step against the pipeline's own, and what swaps draw, read by the model's own world."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from plantain.base.errors import InputError
from plantain.capture.noise import gaussian
from plantain.causal.gallery import draw_gallery
from plantain.causal.heads import HeadSet
from plantain.causal.pictures import Darkroom, contact_sheet
from plantain.causal.swaps import Swap
from plantain.model.load import load_pipeline
from plantain.probe.halves import CausalDesign, Half
from training import behaviour
from training.creatures import CREATURES


@pytest.fixture
def darkroom(tiny):
    return Darkroom.open(tiny.theatre.lock, "cpu")


def test_the_picture_is_that_of_one_step_of_the_pipeline(tiny, darkroom, room):
    one = tiny.passes["a small dog", "viewpoint"]
    pipeline = load_pipeline(tiny.theatre.lock, "cpu")
    expected = pipeline(
        prompt=one.prompt,
        image=Image.open(room / "kitchen.png"),
        latents=torch.from_numpy(gaussian(0, (1, 32, 4, 4))),
        height=64,
        width=64,
        num_inference_steps=1,
        guidance_scale=1.0,
        max_sequence_length=96,
        text_encoder_out_layers=(9, 18, 27),
        output_type="pil",
    ).images[0]
    found = darkroom.develop(tiny.theatre, one, tiny.clean["a small dog", "viewpoint"].velocity)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], np.asarray(expected))


def role(pictures, candidates) -> list[int]:
    return [behaviour.read(picture.astype(np.float32) / 255, candidates).role for picture in pictures]


def test_all_heads_turn_the_picture_into_that_of_the_other_side(tiny, darkroom, candidates):
    for creature in ("a small dog", "a tall person"):
        mention, viewpoint = tiny.clean[creature, "mention"], tiny.clean[creature, "viewpoint"]
        swapped = tiny.theatre.swapped(mention, [Swap(viewpoint, tiny.theatre.heads())])
        rows = torch.stack([mention.velocity, viewpoint.velocity, swapped[0]])
        pictures = darkroom.develop(tiny.theatre, mention.asked, rows)
        assert role(pictures, candidates) == [1, 0, 0]
        np.testing.assert_array_equal(pictures[1], pictures[2])
    assert len(CREATURES) == candidates.shape[1]


def test_a_lower_noise_level_steps_from_its_own_latents(tiny, darkroom):
    theatre = replace(tiny.theatre, scene=replace(tiny.theatre.scene, sigma=0.5))
    one = tiny.passes["a small dog", "viewpoint"]
    scene = theatre.scene
    clean = darkroom.develop(theatre, one, torch.zeros(16, 32))[0]
    with torch.inference_mode():
        mixed = 0.5 * torch.from_numpy(gaussian(0, (1, 32, 4, 4))) + 0.5 * scene.references["kitchen"].grid
    # With a velocity of zero the picture is that of the noised latents themselves.
    flat = mixed.flatten(2).transpose(1, 2)[0]
    pure = replace(theatre, scene=replace(scene, sigma=1.0))
    noise = torch.from_numpy(gaussian(0, (1, 32, 4, 4))).flatten(2).transpose(1, 2)[0]
    np.testing.assert_allclose(darkroom.develop(pure, one, noise - flat)[0], clean, atol=1)


def test_velocities_of_another_size_are_refused(tiny, darkroom):
    with pytest.raises(InputError, match="are not those of this pass"):
        darkroom.develop(tiny.theatre, tiny.passes["a small dog", "viewpoint"], torch.zeros(2, 15, 32))


def test_a_contact_sheet_shows_every_picture_where_it_belongs():
    names = ("recipient", "donor", "swapped", "matched random")
    rows = [
        {name: np.full((8, 6, 3), 20 * at + 100 * line, np.uint8) for at, name in enumerate(names)} for line in (0, 1)
    ]
    rows[1] = dict(reversed(rows[1].items()))
    sheet = contact_sheet(rows, scale=3)
    pixels = np.asarray(sheet)
    for line in (0, 1):
        for at in range(4):
            left, top = 4 + at * (18 + 4), 14 + line * (24 + 4)
            assert (pixels[top : top + 24, left : left + 18] == 20 * at + 100 * line).all()
    assert (pixels[:14] < 255).any(), "titles"


@pytest.mark.parametrize("change", ["names", "sizes", "none"])
def test_rows_of_a_sheet_are_alike(change):
    tile = np.zeros((4, 4, 3), np.uint8)
    rows = {
        "names": [{"a": tile}, {"b": tile}],
        "sizes": [{"a": tile}, {"a": np.zeros((4, 5, 3), np.uint8)}],
        "none": [],
    }[change]
    with pytest.raises(InputError, match="differ in names or sizes"):
        contact_sheet(rows)


def test_the_gallery_shows_each_case_where_its_record_says(tiny, candidates):
    items = ("a small dog", "a tall person")
    half = Half(("viewpoint",), ("mention",), (0, 1), items)
    design = CausalDesign(half, half, ("viewpoint_2",))
    every = tiny.theatre.heads()
    drawn = draw_gallery(
        tiny.theatre, design, lambda name, item: tiny.passes[item, name], every, HeadSet(every.heads[:1])
    )
    sheet, kept = Image.open(io.BytesIO(drawn.content)), drawn.record
    assert len(kept.rows) == 2 * 2 + 2
    assert kept.rows[1] == "a small dog: heads of viewpoint in mention"
    assert (kept.width, kept.height) == (128, 128)

    def roles(row):
        tiles = [np.asarray(sheet.crop(kept.box(row, at)))[::2, ::2] for at in range(len(kept.columns))]
        return role(tiles, candidates)

    # Recipient, donor, the set (here all heads), all heads, and one head of the first block.
    assert roles(0) == [0, 1, 1, 1, 0]
    assert roles(1) == [1, 0, 0, 0, 1]
