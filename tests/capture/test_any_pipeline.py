"""Passes through the pipelines of other rows: what is refused, noise levels, references, and what is kept of heads."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from helpers.capture_model import image_folder, record
from helpers.families import SIZE, build

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, Method, ModelParams, ReferenceParams, Source, UnitKind
from plantain.capture.any_pipeline import any_runner, load_for_passes, noise_for, scheduler_at
from plantain.capture.cell import capture_cell
from plantain.capture.encoded import EncodedPrompts
from plantain.capture.levels import prompt_levels
from plantain.capture.noise import gaussian
from plantain.capture.pictures.imagery import draw_by_call
from plantain.capture.progress import Silent
from plantain.measure.views import head_streams, heads, makes_units
from plantain.model.architectures import architecture_calling
from plantain.model.geometry import group_table, projections
from plantain.model.load import load_pipeline, load_transformer
from plantain.model.resolve import resolve
from plantain.records.activations import TOKENS
from plantain.records.keys import Pass, path_of, shard_frame

FIRST, SECOND = "A photo of a red cube", "Two small dogs in a kitchen"


def declare(folder, **changes):
    settings = {"device": "cpu", "dtype": "float32", "height": SIZE, "width": SIZE, "max_sequence_length": 64}
    entry = ModelParams(source=Source.local, path=str(folder), **(settings | changes))
    models = {"mine": entry, "fresh": ModelParams(source=Source.untrained, of="mine", method=Method.reinit, seed=1)}
    return read_params(Path(__file__).parents[2] / "params.yaml").model_copy(update={"models": models})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    image_folder(folder / "images", "room", size=(SIZE, SIZE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTAIN_CACHE", str(folder / "state"))
        yield folder


@pytest.fixture(scope="module")
def pixart(home):
    return resolve("mine", declare(build("pixart-sigma", home / "pixart")))


@pytest.fixture(scope="module")
def kontext(home):
    return resolve("mine", declare(build("flux1-kontext", home / "kontext")))


@pytest.fixture(scope="module")
def sd3(home):
    return resolve("mine", declare(build("sd35-medium", home / "sd3")))


def captured(home, lock, *more, **params):
    records = (record("one", "a", FIRST, *more), record("one", "b", SECOND, *more))
    return capture_cell(records, home / "images", lock, CaptureParams(**params), Silent())


def test_a_row_without_a_fast_path_takes_the_pipeline_and_its_key_says_so(home, pixart):
    lock, _ = pixart
    assert not lock.fast
    assert path_of(lock, CaptureParams()) == "pipeline"
    assert shard_frame(lock, CaptureParams(), 1, 0, "cpu") == shard_frame(
        lock, CaptureParams(path="pipeline"), 1, 0, "cpu"
    )
    assert shard_frame(lock, CaptureParams(), 1, 0, "cpu")["path"] == "pipeline"
    found = captured(home, lock)
    assert found.notes["path"] == "pipeline"
    again = captured(home, lock, path="pipeline")
    assert found.activations.mean_square.tobytes() == again.activations.mean_square.tobytes()


def test_what_the_models_way_does_not_allow_is_refused_before_any_pass(home, pixart):
    lock, _ = pixart
    with pytest.raises(InputError, match="one prompt at a time"):
        captured(home, lock, batch_size=2)
    with pytest.raises(InputError, match="computes the plain way"):
        captured(home, lock, compile=True)
    with pytest.raises(InputError, match="a PixArtSigmaPipeline takes no image"):
        captured(home, lock, "room")
    with pytest.raises(InputError, match="groups of 12 channels, not 4"):
        captured(home, lock, group_width=4)


def test_more_text_than_a_pipeline_takes_is_refused_where_the_model_is_declared(home, sd3):
    with pytest.raises(InputError, match=r"models\.mine\.max_sequence_length: 600 text positions .* take 512"):
        resolve("mine", declare(home / "sd3", max_sequence_length=600))
    with pytest.raises(InputError, match=r"models\.mine\.width: width 72 does not fit the latent.*multiple of 16"):
        resolve("mine", declare(home / "sd3", width=72))


def test_a_prompt_that_may_be_cut_or_means_something_else_is_refused(home, pixart):
    lock, _ = pixart
    prompts = EncodedPrompts(lock, "cpu", Silent())
    with pytest.raises(InputError, match="fills all 64 text positions"):
        prompts.ensure(["dog " * 80])
    with pytest.raises(InputError, match="holds the control token </s>"):
        prompts.ensure(["a dog </s> in a kitchen"])


def test_stored_prompts_are_what_the_pipeline_encodes(home, sd3):
    lock, _ = sd3
    prompts = EncodedPrompts(lock, "cpu", Silent())
    prompts.ensure([FIRST])
    pipeline = load_pipeline(lock, "cpu")
    with torch.inference_mode():
        plain = pipeline.encode_prompt(FIRST, None, None, do_classifier_free_guidance=False, max_sequence_length=64)
    for ours, theirs in zip(prompts(FIRST).outputs, plain, strict=True):
        assert (ours is None) if theirs is None else torch.equal(ours, theirs)
    levels = prompt_levels([record("one", "a", FIRST)], lock, Silent())
    real = prompts(FIRST).text
    assert real.sum() == len(pipeline.tokenizer(FIRST).input_ids) + len(pipeline.tokenizer_3(FIRST).input_ids)
    squares = plain[0][0][torch.from_numpy(real)].double().square()
    assert levels[0, 0].mean() == pytest.approx(float(squares.mean()), rel=1e-5)


def test_a_level_below_one_mixes_the_reference_into_what_is_denoised(home, kontext):
    lock, _ = kontext
    prompts = EncodedPrompts(lock, "cpu", Silent())
    prompts.ensure([FIRST])
    pipeline = load_for_passes(lock, "cpu", 0, whole=False)
    seen = {}
    plain = any_runner(pipeline, prompts, {"room": home / "images" / "room.png"}, lock, CaptureParams(sigma=0.25))

    def keep(module, args, kwargs, output):
        seen.update(kwargs)

    pipeline.transformer.register_forward_hook(keep, with_kwargs=True)
    plain((Pass("one", "a", 0, 3, FIRST, "room"),))
    half = (SIZE // 16) ** 2
    noise = noise_for(pipeline, architecture_calling(lock.pipeline), lock, 3)
    clean = seen["hidden_states"][:, half:]
    assert clean.shape[1] == half
    np.testing.assert_allclose(seen["hidden_states"][:, :half], 0.25 * noise + 0.75 * clean, rtol=1e-5, atol=1e-6)
    assert float(seen["timestep"]) == pytest.approx(0.25)
    assert float(seen["guidance"]) == lock.guidance_scale == 3.5


def test_schedulers_say_the_level_that_was_asked_for():
    flux, pixart = architecture_calling("QwenImagePipeline"), architecture_calling("PixArtSigmaPipeline")
    # One step of a schedule whose last step is fixed is 0 / 0 in diffusers: that of pure noise is asked of a plain one.
    ending = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02)
    for sigma in (1.0, 0.3):
        used, asked, told = scheduler_at(flux, ending, sigma)
        used.set_timesteps(sigmas=asked["sigmas"], mu=1.1)
        assert float(used.timesteps[0]) / 1000 == pytest.approx(sigma) == pytest.approx(told)
    old = DDIMScheduler(beta_schedule="linear")
    used, asked, told = scheduler_at(pixart, old, 0.5)
    assert used is old
    (step,) = asked["timesteps"]
    betas = np.linspace(old.config.beta_start, old.config.beta_end, 1000)
    assert np.sqrt(1 - np.cumprod(1 - betas))[step] == pytest.approx(0.5, abs=5e-3)
    assert scheduler_at(pixart, old, 1.0)[1:] == ({}, 999.0)
    with pytest.raises(InputError, match="no step of the model has the noise level"):
        scheduler_at(pixart, DDIMScheduler(beta_start=0.1, beta_end=0.1), 0.05)


LEVELS = {"flux1-dev": 0.25, "z-image": 0.75, "sd35-medium": 250.0, "cogview4": 250.0, "sana": 250.0}
"""Family to what its transformer is told at a noise level of a quarter."""


@pytest.mark.parametrize("family", LEVELS)
def test_every_clock_tells_the_level_in_every_precision(home, family):
    """That of the declared precision is what the weights are in, whatever the files hold."""
    folder = build(family, home / f"timed-{family}")
    for dtype in ("float32", "bfloat16"):
        lock, _ = resolve("mine", declare(folder, dtype=dtype))
        prompts = EncodedPrompts(lock, "cpu", Silent())
        prompts.ensure([FIRST])
        pipeline = load_for_passes(lock, "cpu", 0, whole=False)
        assert {one.dtype for one in pipeline.transformer.parameters()} == {getattr(torch, dtype)}
        told = []

        def keep(_, args, kwargs, told=told):
            told.append(float(torch.as_tensor(kwargs.get("timestep", args[1] if len(args) > 1 else None)).flatten()[0]))

        pipeline.transformer.register_forward_pre_hook(keep, with_kwargs=True)
        any_runner(pipeline, prompts, {}, lock, CaptureParams(sigma=0.25))((Pass("one", "a", 0, 0, FIRST, None),))
        assert told == [pytest.approx(LEVELS[family], rel=5e-3)]


def test_a_pipeline_that_calls_its_transformer_twice_is_refused(home, pixart):
    lock, _ = pixart
    prompts = EncodedPrompts(lock, "cpu", Silent())
    prompts.ensure([FIRST])
    pipeline = load_for_passes(lock, "cpu", 0, whole=False)
    run = any_runner(pipeline, prompts, {}, lock, CaptureParams())
    plain = pipeline.scheduler.set_timesteps
    pipeline.scheduler.set_timesteps = lambda *_, **more: plain(2, **{k: v for k, v in more.items() if k == "device"})
    with pytest.raises(InputError, match="called its transformer twice"):
        run((Pass("one", "a", 0, 0, FIRST, None),))


def test_heads_that_no_text_reaches_are_no_units_and_no_directions(home, pixart):
    lock, units = pixart
    tested = heads(units).table
    assert lock.geometry.dead_heads == 2
    assert tested.height == 2 * (3 + 2)
    assert not makes_units(units, UnitKind.group16)
    found = captured(home, lock)
    rows = head_streams(units).table[list(found.grams.heads["noise"])]
    place = ["block_kind", "block", "head"]
    assert rows.select(place).equals(tested.select(place))
    assert set(found.grams.mean) == {"noise"}, "no projection sees text"
    dead = units.with_row_index().filter("dead")["index"].to_list()
    values = found.activations.mean_square[0, 0, :, 0, 0, TOKENS.index("noise")]
    assert np.array_equal(values[0, dead], values[1, dead]), "prompts make no difference to them"
    alive = units.with_row_index().filter(~pl.col("dead"))["index"].to_list()
    assert not np.array_equal(values[0, alive], values[1, alive])


def test_directions_of_unlike_heads_are_those_of_their_vectors(home, sd3):
    lock, _ = sd3
    found = captured(home, lock)
    pipeline = load_pipeline(lock, "cpu")
    hooked = projections(pipeline.transformer)
    vectors = {}
    for prompt in (FIRST, SECOND):
        seen = {}
        handles = [
            one.module.register_forward_pre_hook(lambda _, args, name=one.name, seen=seen: seen.update({name: args[0]}))
            for one in hooked
        ]
        latents = torch.from_numpy(gaussian(0, (1, 16, SIZE // 8, SIZE // 8)))
        pipeline(prompt=prompt, height=SIZE, width=SIZE, num_inference_steps=1, guidance_scale=1.0, latents=latents,
                 output_type="latent", max_sequence_length=64)  # fmt: skip
        for handle in handles:
            handle.remove()
        vectors[prompt] = seen
    place = 0
    for one in hooked:
        if one.stream != "image":
            continue
        means = [vectors[prompt][one.name][0].double().mean(0).reshape(one.heads, -1) for prompt in (FIRST, SECOND)]
        for head in range(one.heads):
            half = (means[0][head] - means[1][head]) / 2
            gram = found.grams.mean["noise"][0, 0, 0, place]
            np.testing.assert_allclose(gram, float(half @ half) * np.array([1, -1, 1]), rtol=2e-4)
            place += 1
    assert place == found.grams.mean["noise"].shape[3]
    assert found.grams.mean["text"].shape[3] == sum(one.heads for one in hooked if one.stream == "text") < place


def test_untrained_draws_of_a_row_have_tables_of_positions(home, pixart):
    lock, _ = pixart
    params = declare(home / "pixart")
    fresh, units = resolve("fresh", params)
    trained, drawn = load_transformer(lock, "cpu"), load_transformer(fresh, "cpu")
    assert torch.equal(trained.pos_embed.pos_embed, drawn.pos_embed.pos_embed)
    table = drawn.scale_shift_table.detach()
    assert float(table.var()) == pytest.approx(1 / table.shape[1], rel=0.2)
    assert np.isfinite(captured(home, fresh).activations.mean_square[..., TOKENS.index("noise"), :]).all()
    assert units.equals(group_table(trained, 16))


def test_a_reference_is_drawn_by_the_models_own_guidance(home, kontext):
    lock, _ = kontext
    pipeline = load_pipeline(lock, "cpu")
    ours = draw_by_call(pipeline, FIRST, lock, ReferenceParams(steps=2, guidance_scale=2.5, seed=1))
    noise = torch.from_numpy(gaussian(1, (1, 16, SIZE // 8, SIZE // 8)))
    packed = noise.reshape(1, 16, SIZE // 16, 2, SIZE // 16, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, -1, 64)
    plain = pipeline(prompt=FIRST, height=SIZE, width=SIZE, max_area=SIZE * SIZE, num_inference_steps=2,
                     guidance_scale=2.5, latents=packed, max_sequence_length=64).images[0]  # fmt: skip
    assert np.array_equal(np.asarray(ours), np.asarray(plain))
