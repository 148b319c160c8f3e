"""klein-random with a small transformer in place of the full one: the rest is built as shipped."""

import pytest
import torch
from diffusers import Flux2Transformer2DModel
from helpers.capture_model import build_pipeline

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Method, ModelParams, Source
from plantain.model import klein_random, tiny
from plantain.model.embedded import KLEIN_RANDOM_SEED
from plantain.model.known import KLEIN_4B
from plantain.model.load import load_pipeline, load_transformer
from plantain.model.resolve import resolve
from plantain.model.untrained import reinitialise

SMALL = KLEIN_4B | {
    "num_layers": 1,
    "num_single_layers": 1,
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "joint_attention_dim": 96,
    "axes_dims_rope": [8, 8, 8, 8],
}


@pytest.fixture
def params(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path))
    monkeypatch.setattr(klein_random, "KLEIN_4B", SMALL)
    monkeypatch.setattr(klein_random, "_HIDDEN", 32)
    monkeypatch.setattr(tiny, "build", lambda folder: build_pipeline().save_pretrained(folder))
    found = read_params()
    found.models["klein-random"].device = "cpu"
    found.models["drawn"] = ModelParams(Source.untrained, of="klein-random", method=Method.reinit, seed=0)
    found.models["moved"] = ModelParams(Source.untrained, of="klein-random", method=Method.shuffle, seed=0)
    return found


def test_the_transformer_is_made_from_its_seed_and_not_stored(params, tmp_path):
    lock, _ = resolve("klein-random", params)
    folder = tmp_path / "models" / lock.files_sha256 / "transformer"
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    made = load_transformer(lock, "cpu")
    expected = Flux2Transformer2DModel(**SMALL).to(torch.bfloat16)
    reinitialise(expected, KLEIN_RANDOM_SEED)
    state = expected.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())
    assert lock.components["transformer"].bytes == 2 * sum(value.numel() for value in made.parameters())


def test_equal_locks_every_time(params, tmp_path, monkeypatch):
    first = resolve("klein-random", params)[0].to_bytes()
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "again"))
    assert resolve("klein-random", params)[0].to_bytes() == first


def test_other_weights_than_the_locked_ones_are_refused(params):
    lock, _ = resolve("klein-random", params)
    part = lock.components["transformer"].model_copy(update={"weights_sha256": "0" * 64})
    wrong = lock.model_copy(update={"components": lock.components | {"transformer": part}})
    with pytest.raises(InputError, match="made here have digest"):
        load_transformer(wrong, "cpu")


def test_untrained_draws_of_it_are_other_weights(params):
    base = load_transformer(resolve("klein-random", params)[0], "cpu").x_embedder.weight
    drawn = load_transformer(resolve("drawn", params)[0], "cpu").x_embedder.weight
    moved = load_transformer(resolve("moved", params)[0], "cpu").x_embedder.weight
    assert not torch.equal(base, drawn)
    assert not torch.equal(base, moved)
    assert torch.equal(base.flatten().sort().values, moved.flatten().sort().values)


def test_the_pipeline_runs(params):
    lock, _ = resolve("klein-random", params)
    pipeline = load_pipeline(lock, "cpu")
    assert pipeline.vae_scale_factor == 8
    assert pipeline.vae.config.latent_channels * 4 == KLEIN_4B["in_channels"]
    image = pipeline(
        prompt="a kitchen",
        height=64,
        width=64,
        num_inference_steps=1,
        guidance_scale=1.0,
        max_sequence_length=lock.max_sequence_length,
        text_encoder_out_layers=tuple(lock.text_encoder_out_layers),
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    assert image.size == (64, 64)
    assert image.getextrema()[0][0] < image.getextrema()[0][1]
