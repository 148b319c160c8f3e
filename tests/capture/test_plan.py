import numpy as np
import pytest
import torch
from helpers.capture_model import LENGTH, build_pipeline, make_lock, prompted, record, records

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, CapturePath, ReferenceParams
from plantain.capture import memory, speed
from plantain.capture import plan as plan_module
from plantain.capture.cell import capture_cell
from plantain.capture.plan import LARGEST, Rate, RateBasis, pass_flops, pass_positions, plan, rate, remember, row_bytes
from plantain.capture.progress import Silent
from plantain.probe.sampling import item_subsets
from plantain.records.activations import write_activations
from plantain.records.lock import Geometry


def test_the_forecast_is_what_happens(folder, cache, tmp_path):
    lock, put, params = make_lock(folder, "family"), records("kitchen"), CaptureParams(seeds=[0, 1])
    forecast = plan(put, [prompted("kitchen", "A kitchen")], lock, params, ReferenceParams())
    result = capture_cell(put, folder / "images", lock, params, Silent())
    assert forecast.passes == result.notes["passes"] == 3 * 2 * 2 * 2
    assert forecast.prompts == 6
    assert forecast.images == 1
    path = tmp_path / "a.safetensors"
    write_activations(path, result.activations)
    np.testing.assert_allclose(forecast.activation_bytes, path.stat().st_size, rtol=0.1)
    matrices = [*result.grams.mean.values(), *result.grams.profile.values()]
    assert forecast.gram_bytes == sum(values.nbytes for values in matrices)
    kept = sum(file.stat().st_size for file in cache.rglob("*.safetensors"))
    np.testing.assert_allclose(forecast.cache_bytes, kept, rtol=0.1)
    assert not forecast.rate.measured
    after = plan(put, [], lock, params, ReferenceParams())
    assert after.rate.measured
    assert 0 < after.seconds < 60
    assert rate(lock, "cuda").measured is False


def test_a_cache_that_is_a_file_is_no_missing_rate(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="is a file, not a folder"):
        rate(Klein, "cpu")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "none"))
    assert not rate(Klein, "cpu").measured


class Klein:
    """What a forecast reads of the lock of Klein 4B."""

    geometry = Geometry(
        joint_blocks=5,
        single_blocks=20,
        heads=24,
        head_width=128,
        mlp_width=9216,
        groups=17280,
        parameters=0,
        text_width=7680,
    )
    dtype = "bfloat16"
    group_width = 16
    architecture = "FLUX.2"
    max_sequence_length = 512


def test_operations_of_the_full_size_model():
    """76.6 TFLOP a pass at 1024 x 1024 with one reference and 512 text positions, 6.14 GFLOP a position."""
    assert pass_flops(Klein, 512 + 2 * 4096) == pytest.approx(76.6e12, rel=0.01)


def test_a_position_of_the_full_size_model_takes_its_channels_and_the_group_means():
    # q, k, v; both halves of the MLP beside them; input and concatenated output; float32 means of 16 channels.
    channels = 3 * 3072 + (3 * 3072 + 2 * 9216) + 2 * (3072 + 9216)
    assert row_bytes(Klein, 1000) == 1000 * (2 * channels + 4 * (3072 + 9216) // 16)


def klein(folder):
    shape = Klein.geometry.model_copy(update={"parameters": 4_000_000_000})
    return make_lock(folder).model_copy(update={"geometry": shape, "device": "cuda"})


def wordings(items: int, conditions: int):
    names = [f"item-{index}" for index in range(items)]
    put = [record(item, f"c{index}", f"{item} {index}", "room") for item in names for index in range(conditions)]
    return put, item_subsets(names, 10)


def test_the_gram_file_of_the_full_size_model_stays_small(folder):
    """46 conditions are 1,081 pairs; 600 heads see each of four token sets; four means and two profiles: 62.3 MB."""
    put, subsets = wordings(25, 46)
    found = plan(put, [], klein(folder), CaptureParams(), ReferenceParams(), subsets)
    assert found.gram_bytes == 4 * 600 * 4 * (4 + 2) * 1081 == 62_265_600
    assert found.gram_bytes <= 65_000_000
    assert found.temporary_bytes == 25 * 46 * 4 * 600 * 4 * 128, "1.2 MB a pass"
    without = plan(put, [], klein(folder), CaptureParams(grams=False), ReferenceParams(), subsets)
    assert (without.gram_bytes, without.temporary_bytes) == (0, 0)
    assert found.cache_bytes - without.cache_bytes == found.gram_bytes


def test_vectors_wait_for_one_draw_of_a_large_model_and_for_all_of_a_small_one(folder):
    put, subsets = wordings(2, 3)
    many = {"seeds": [0, 1, 2]}
    for lock, draws in ((klein(folder), 1), (make_lock(folder), 3)):
        one = plan(put, [], lock, CaptureParams(), ReferenceParams(), subsets)
        all_of_them = plan(put, [], lock.model_copy(update=many), CaptureParams(), ReferenceParams(), subsets)
        assert all_of_them.temporary_bytes == draws * one.temporary_bytes
        assert all_of_them.gram_bytes == 3 * one.gram_bytes


def test_views_of_seeds_are_in_the_forecast(folder):
    put, _ = wordings(2, 3)
    sizes = [plan(put, [], make_lock(folder), CaptureParams(seeds=seeds), ReferenceParams()).gram_bytes for seeds in
             ([0], [0, 1], [0, 1, 2])]  # fmt: skip
    assert [size / sizes[0] for size in sizes] == [1, 3, 4]


def forecast(lock, params=None, *, put=None, images=1, guidance=4.0):
    references = [prompted(f"room-{index}", "A room") for index in range(images)]
    drawn = ReferenceParams(steps=10, guidance_scale=guidance, seed=0)
    return plan(records("kitchen") if put is None else put, references, lock, params or CaptureParams(), drawn)


def test_the_time_is_that_of_passes_prompts_and_images(folder, monkeypatch):
    monkeypatch.setattr(plan_module, "rate", lambda *_: Rate(1.0, RateBasis.capture))
    lock = make_lock(folder)
    encoder = sum(parameter.numel() for parameter in build_pipeline().text_encoder.parameters())
    passes = 6 * pass_flops(lock, LENGTH + 32)
    prompts = 6 * 2 * encoder * LENGTH
    step = pass_flops(lock, LENGTH + 16)
    assert forecast(lock, images=0).seconds == pytest.approx(passes + prompts, rel=0.01)
    assert prompts / passes > 0.05, "or the line above would not tell whether prompts count"
    bare = forecast(lock, images=0).seconds
    assert forecast(lock, images=2).seconds - bare == pytest.approx(2 * 10 * 2 * step), "guided: two passes a step"
    assert forecast(lock, images=2, guidance=1.0).seconds - bare == pytest.approx(2 * 10 * step)


def test_the_memory_is_that_of_the_largest_part_with_its_activations(folder):
    lock = make_lock(folder)
    weights = 4 * lock.geometry.parameters
    for size in (1, 3):
        found = forecast(lock, CaptureParams(batch_size=size))
        assert found.largest == "transformer"
        assert found.memory_bytes == pytest.approx(weights + size * row_bytes(lock, LENGTH + 32), rel=0.02)
        assert found.memory_bytes > 1.05 * weights, "or activations would not be seen"
    narrow = lock.model_copy(update={"dtype": "bfloat16"})
    expected = weights / 2 + row_bytes(narrow, LENGTH + 32)
    assert forecast(narrow).memory_bytes == pytest.approx(expected, rel=0.02), "files in float32, loaded in bfloat16"


def test_auto_is_the_device_that_capture_takes_here(folder, monkeypatch):
    lock = make_lock(folder, device="auto")
    remember(lock, "cpu", 100, 50, 1.0)
    found = forecast(lock)
    assert (found.device, found.rate) == ("cpu", rate(lock, "cpu"))
    assert found.rate.measured
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = forecast(lock)
    assert (found.device, found.rate) == ("cuda", rate(lock, "cuda"))
    assert forecast(lock.model_copy(update={"device": "cuda:1"})).rate == rate(lock, "cuda")


def test_an_auto_batch_is_forecast_as_it_will_be_taken(folder, cache, monkeypatch):
    lock, auto = make_lock(folder, device="cuda"), CaptureParams(batch_size="auto")
    absent = forecast(lock, auto)
    assert (absent.batch_size, absent.fitted) == (LARGEST, False)
    assert absent.memory_bytes > 20 * row_bytes(lock, LENGTH + 32)
    on_cpu = forecast(lock.model_copy(update={"device": "cpu"}), auto)
    plain = forecast(lock, CaptureParams(batch_size="auto", path=CapturePath.pipeline))
    assert (on_cpu.batch_size, on_cpu.fitted) == (plain.batch_size, plain.fitted) == (1, True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    free = (lock.components["transformer"].bytes + 5 * row_bytes(lock, LENGTH + 32)) / 0.8
    monkeypatch.setattr(memory, "free_bytes", lambda _: int(free) + 8)
    here = forecast(lock, auto)
    assert (here.batch_size, here.fitted) == (4, True)
    assert here.memory_bytes == forecast(lock, CaptureParams(batch_size=4)).memory_bytes
    assert not (cache / "batch-sizes").exists(), "a forecast decides nothing"
    assert memory.fitted_batch_size(lock, auto, LENGTH + 32, "cuda") == 4
    assert len(list((cache / "batch-sizes").iterdir())) == 1


def test_positions_are_those_of_a_pass(folder):
    lock = make_lock(folder)
    assert pass_positions(lock, True) == LENGTH + 32
    found = capture_cell(records("kitchen"), folder / "images", lock, CaptureParams(), Silent()).activations
    assert (found.token_count.sum(axis=-1) == pass_positions(lock, True)).all()


def sized(lock, parameters, **changes):
    geometry = lock.geometry.model_copy(update={"parameters": parameters})
    return lock.model_copy(update={"geometry": geometry} | changes)


def test_before_its_first_capture_a_model_is_forecast_by_the_nearest_of_like_size(folder):
    lock = make_lock(folder)
    small, large = sized(lock, 1_000_000), sized(lock, 4_000_000_000)
    remember(small, "cpu", 100, 50, 1.0)
    remember(large, "cpu", 100, 50, 2.0)
    near = rate(sized(lock, 9_000_000_000), "cpu")
    assert (near.flops, near.basis, near.measured) == (rate(large, "cpu").flops, RateBasis.like, False)
    assert rate(sized(lock, 3_000_000), "cpu").flops == rate(small, "cpu").flops
    for other, device in (
        (sized(lock, 60_000_000), "cpu"),
        (sized(lock, 4_000_000_000, dtype="bfloat16"), "cpu"),
        (large, "cuda"),
    ):
        assert rate(other, device).basis is RateBasis.assumed


def test_where_a_gpu_is_at_hand_its_matrix_product_says_how_fast_it_is(folder, monkeypatch):
    lock = make_lock(folder, device="cuda")
    assert forecast(lock).rate.basis is RateBasis.assumed, "none is here"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert forecast(lock).rate.basis is RateBasis.assumed, "torch can do nothing with it"
    monkeypatch.setattr(speed, "product_rate", lambda device, dtype: 8.0e14 if dtype is torch.float32 else 0.0)
    found = forecast(lock)
    assert found.rate == Rate(4.0e14, RateBasis.product)
    remember(lock, "cuda", 100, 50, 1.0)
    assert forecast(lock).rate.measured


def test_the_rate_of_a_product_is_its_operations_over_the_median_of_its_times(monkeypatch):
    now, step = [0.0], iter([9.0, 9.0, *[0.5] * 4, *[2.0] * 6])

    def clock():
        found, now[0] = now[0], now[0] + (next(step) if clock.open else 0.0)
        clock.open = not clock.open
        return found

    clock.open = True
    monkeypatch.setattr("plantain.capture.speed.time.perf_counter", clock)
    assert speed.product_rate("cpu", torch.float32, 16) == 2 * 16**3 / 2.0
