"""The fast pass against hooks of the test's own on the plain pipeline call."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.capture_model import LAYERS, LENGTH, SIZE, make_lock, record, records
from PIL import Image

from plantain.base.params import CaptureParams, CapturePath
from plantain.capture.cell import capture_cell
from plantain.capture.noise import gaussian
from plantain.capture.progress import Silent
from plantain.model.load import load_pipeline
from plantain.records.activations import Activations
from plantain.records.lock import ModelLock

GRID = SIZE // 16


@dataclass(frozen=True)
class Ground:
    lock: ModelLock
    folder: Path
    """Reference images kitchen (as large as the output) and wide (another size)."""


@pytest.fixture
def ground(folder) -> Ground:
    return Ground(make_lock(folder), folder / "images")


def names_in_order(transformer) -> list[str]:
    joint = [f"transformer_blocks.{b}.attn.{p}" for b in range(2) for p in ("to_out.0", "to_add_out")]
    return joint + [f"single_transformer_blocks.{b}.attn.to_out" for b in range(3)]


@contextmanager
def own_hooks(pipeline, seen: dict[str, torch.Tensor]):
    modules = dict(pipeline.transformer.named_modules())
    handles = [
        modules[name].register_forward_pre_hook(lambda _m, a, name=name: seen.__setitem__(name, a[0].clone()))
        for name in names_in_order(pipeline.transformer)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def spans(name: str, text: int, reference: int) -> dict[str, slice]:
    noise = GRID * GRID
    words = {"text": slice(0, text), "pad": slice(text, LENGTH)}
    start = LENGTH if name.startswith("single") else 0
    image = {"noise": slice(start, start + noise), "reference": slice(start + noise, start + noise + reference)}
    if name.startswith("single"):
        return words | image
    return words if name.endswith("to_add_out") else image


def plain(pipeline, prompt: str, image: Path | None, seed: int, width: int, **options) -> dict[str, np.ndarray]:
    """Mean squares by token set, along the whole group axis, from a plain pipeline call."""
    messages = [{"role": "user", "content": prompt}]
    chat = pipeline.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    text = len(pipeline.tokenizer(chat)["input_ids"])
    picture = None if image is None else Image.open(image)
    reference = 0 if image is None else (picture.width // 16) * (picture.height // 16)
    latents = options.pop("latents", torch.from_numpy(gaussian(seed, (1, 16, GRID, GRID))))
    seen: dict[str, torch.Tensor] = {}
    with own_hooks(pipeline, seen):
        pipeline(
            prompt=prompt,
            image=picture,
            latents=latents,
            height=SIZE,
            width=SIZE,
            num_inference_steps=1,
            guidance_scale=1.0,
            max_sequence_length=LENGTH,
            text_encoder_out_layers=LAYERS,
            output_type="latent",
            **options,
        )
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("text", "pad", "noise", "reference")}
    for name in names_in_order(pipeline.transformer):
        means = seen[name].pow(2).unflatten(-1, (-1, width)).mean(-1)
        where = spans(name, text, reference)
        for tokens, found in columns.items():
            part = means[:, where[tokens]] if tokens in where else means[:, :0]
            found.append(part.mean(1)[0].numpy() if part.shape[1] else np.full(means.shape[-1], np.nan))
    return {tokens: np.concatenate(found) for tokens, found in columns.items()}


def captured(found: Activations, item: str, condition: str, alternative: int, seed: int) -> dict[str, np.ndarray]:
    at = (0, found.items.index(item), found.conditions.index(condition), alternative, found.seeds.index(seed))
    return {tokens: found.mean_square[(*at, index)] for index, tokens in enumerate(found.tokens)}


def assert_same_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for tokens, values in expected.items():
        np.testing.assert_array_equal(found[tokens], values.astype(np.float32), err_msg=tokens)


@pytest.mark.parametrize("references", [(), ("kitchen",), ("wide",), ("wide", "kitchen")])
def test_bit_for_bit_the_plain_call(ground, references):
    put = records(*references)
    found = capture_cell(put, ground.folder, ground.lock, CaptureParams(seeds=[0, 3]), Silent()).activations
    pipeline = load_pipeline(ground.lock, "cpu")
    checked = 0
    for one in put:
        for alternative, name in enumerate(references or (None,)):
            for seed in (0, 3):
                image = None if name is None else ground.folder / f"{name}.png"
                expected = plain(pipeline, one.prompt, image, seed, 16)
                assert_same_bits(captured(found, one.item, one.condition, alternative, seed), expected)
                checked += 1
    assert checked == len(put) * max(1, len(references)) * 2


def test_other_group_widths_too(ground, tmp_path):
    lock = make_lock(ground.folder.parent, group_width=4)
    put = records("kitchen", creatures=("a dog",))
    found = capture_cell(put, ground.folder, lock, CaptureParams(group_width=4), Silent()).activations
    expected = plain(load_pipeline(lock, "cpu"), put[0].prompt, ground.folder / "kitchen.png", 0, 4)
    assert_same_bits(captured(found, put[0].item, put[0].condition, 0, 0), expected)
    assert found.mean_square.shape[-1] == lock.geometry.groups


def test_prompts_of_other_lengths_have_other_counts(ground):
    put = (record("short", "a", "x"), record("long", "a", "a" * 40))
    found = capture_cell(put, ground.folder, ground.lock, CaptureParams(), Silent()).activations
    counts = dict(zip(found.items, found.token_count[:, 0, 0].tolist(), strict=True))
    assert counts["long"][0] == counts["short"][0] + 39
    assert all(sum(row) == LENGTH + GRID * GRID for row in counts.values())
    pipeline = load_pipeline(ground.lock, "cpu")
    for one in put:
        expected = plain(pipeline, one.prompt, None, 0, 16)
        assert_same_bits(captured(found, one.item, one.condition, 0, 0), expected)


def test_the_plain_route_gives_the_same_bytes(ground):
    put = records("kitchen")
    for sigma in (1.0, 0.6):
        fast = capture_cell(put, ground.folder, ground.lock, CaptureParams(sigma=sigma), Silent()).activations
        params = CaptureParams(sigma=sigma, path=CapturePath.pipeline)
        slow = capture_cell(put, ground.folder, ground.lock, params, Silent()).activations
        np.testing.assert_array_equal(fast.mean_square, slow.mean_square)
        np.testing.assert_array_equal(fast.token_count, slow.token_count)
        assert fast.header["capture_key"] != slow.header["capture_key"]


@pytest.mark.parametrize("size", [2, 4, 5])
def test_batches_agree_within_rounding(ground, size):
    put = (*records("kitchen"), *records(creatures=("a cat", "a bat")))
    one = capture_cell(put, ground.folder, ground.lock, CaptureParams(), Silent()).activations
    many = capture_cell(put, ground.folder, ground.lock, CaptureParams(batch_size=size), Silent())
    np.testing.assert_allclose(many.activations.mean_square, one.mean_square, rtol=1e-5)
    assert many.notes["batch_size"] == size
    np.testing.assert_array_equal(many.activations.token_count, one.token_count)


@pytest.mark.parametrize("name", ["kitchen", None])
def test_a_lower_noise_level_is_the_schedulers_own_noising(ground, name):
    """Ask the model's scheduler for what it shifts to sigma, let it noise the clean latent, and call the pipeline."""
    sigma = 0.6
    put = records(*([name] if name else []), creatures=("a bee",))
    result = capture_cell(put, ground.folder, ground.lock, CaptureParams(sigma=sigma), Silent())
    pipeline = load_pipeline(ground.lock, "cpu")
    asked = result.notes["sigma"]["asked_of_scheduler"]
    assert asked < 0.3
    noise = torch.from_numpy(gaussian(0, (1, 16, GRID, GRID)))
    clean = torch.zeros_like(noise)
    image = ground.folder / f"{name}.png" if name else None
    if image is not None:
        pixels = pipeline.image_processor.preprocess(Image.open(image), height=SIZE, width=SIZE)
        with torch.no_grad():
            clean = pipeline._encode_vae_image(pixels, None)
    scheduler = load_pipeline(ground.lock, "cpu").scheduler
    scheduler.set_timesteps(sigmas=[sigma], mu=0.0)
    latents = scheduler.scale_noise(clean, scheduler.timesteps[:1], noise)
    expected = plain(pipeline, put[0].prompt, image, 0, 16, latents=latents, sigmas=[asked])
    found = captured(result.activations, put[0].item, put[0].condition, 0, 0)
    for tokens, values in expected.items():
        np.testing.assert_allclose(found[tokens], values, rtol=2e-4, err_msg=tokens)
    pure = plain(pipeline, put[0].prompt, image, 0, 16)
    assert np.nanmax(np.abs(found["noise"] / pure["noise"] - 1)) > 0.01


def test_a_lower_level_needs_a_reference_of_the_same_size(ground):
    from plantain.base.errors import InputError

    with pytest.raises(InputError, match="another size"):
        capture_cell(records("wide"), ground.folder, ground.lock, CaptureParams(sigma=0.5), Silent())
