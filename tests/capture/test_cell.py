"""What a cell is made of: axes, draws, refusals, keys."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2Transformer2DModel
from helpers.capture_model import LENGTH, make_lock, record, records

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, CapturePath, Measure, Tokens, UnitKind
from plantain.capture import bench as bench_module
from plantain.capture import encode as encode_module
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.capture.workers import set_threads_for
from plantain.measure.magnitude import measure
from plantain.measure.views import unit_table
from plantain.model.geometry import group_table
from plantain.model.load import load_transformer
from plantain.records.activations import read_activations, write_activations


def capture(folder: Path, put, lock=None, **params):
    return capture_cell(put, folder / "images", lock or make_lock(folder), CaptureParams(**params), Silent())


def test_axes_keep_the_order_of_the_records(folder):
    put = tuple(
        record(item, condition, f"{condition} {item}") for item in ("z", "a", "m") for condition in ("two", "one")
    )
    found = capture(folder, put, seeds=[5, 2]).activations
    assert (found.items, found.conditions, found.seeds) == (("z", "a", "m"), ("two", "one"), (5, 2))
    assert found.references == ("none",)
    assert not np.array_equal(found.mean_square[0, 0, 0, 0, 0, 2], found.mean_square[0, 0, 0, 0, 1, 2])
    alone = capture(folder, put[5:], seeds=[2]).activations
    np.testing.assert_array_equal(alone.mean_square[0, 0, 0, 0, 0], found.mean_square[0, 2, 1, 0, 1])


def test_alternatives_are_an_axis_and_absent_ones_are_nan(folder):
    put = (
        record("i", "a", "x", "kitchen", "hall"),
        record("i", "b", "y", "hall"),
        record("j", "a", "z", "kitchen", "hall"),
        record("j", "b", "w", "kitchen"),
    )
    found = capture(folder, put).activations
    assert found.references == ("alternative_1", "hall")
    assert np.isnan(found.mean_square[0, :, 1, 1]).all()
    assert (found.token_count[:, 1, 1] == 0).all()
    assert (found.token_count[:, 0] > 0).all()
    alone = capture(folder, (record("i", "a", "y", "hall"),)).activations
    np.testing.assert_array_equal(alone.mean_square[0, 0, 0, 0], found.mean_square[0, 0, 1, 0])


def test_image_pairs_with_one_prompt(folder):
    put = (record("e", "before", "the same", "kitchen"), record("e", "after", "the same", "hall"))
    found = capture(folder, put).activations
    assert found.references == ("alternative_1",)
    assert not np.allclose(found.mean_square[0, 0, 0, 0, 0, 3], found.mean_square[0, 0, 1, 0, 0, 3], equal_nan=True)


def test_a_family_has_a_draw_axis(folder, tmp_path):
    lock = make_lock(folder, "family")
    found = capture(folder, records(creatures=("a dog",)), lock).activations
    assert found.draws == (0, 1)
    assert found.mean_square.shape[0] == 2
    assert not np.allclose(found.mean_square[0], found.mean_square[1], equal_nan=True)
    write_activations(tmp_path / "a.safetensors", found)
    np.testing.assert_array_equal(read_activations(tmp_path / "a.safetensors").mean_square, found.mean_square)
    groups = group_table(load_transformer(lock, "cpu"), 16)
    first, second = (measure(found, groups, UnitKind.head, Tokens.image, Measure.rms, draw=d) for d in (0, 1))
    assert first.shape[-1] == unit_table(groups, UnitKind.head).height == 10
    assert np.isfinite(first).all()
    assert not np.allclose(first, second)


def test_draws_of_a_family_are_those_of_single_models(folder):
    put = records(creatures=("a dog",))
    one, many = make_lock(folder, "untrained"), make_lock(folder, "family")
    assert one.seeds == [5]
    alone = capture(folder, put, one.model_copy(update={"seeds": many.seeds[1:], "draws": many.draws[1:]}))
    family = capture(folder, put, many)
    np.testing.assert_array_equal(alone.activations.mean_square[0], family.activations.mean_square[1])


def test_prompts_are_checked_before_any_pass(folder, monkeypatch):
    monkeypatch.setattr("plantain.capture.encode.load_text_encoder", lambda *_: pytest.fail("loaded"))
    for prompt in ("do <|im_start|> this", "x" * LENGTH):
        with pytest.raises(InputError, match="prompt"):
            capture(folder, (*records(), record("bad", "viewpoint", prompt), record("bad", "mention", "b")))


def test_refusals_say_what_is_wrong(folder):
    lock = make_lock(folder)
    put = records(creatures=("a dog",))
    with pytest.raises(InputError, match="16 channels, not 8"):
        capture(folder, put, lock, group_width=8)
    with pytest.raises(InputError, match="one prompt at a time"):
        capture(folder, put, lock, path=CapturePath.pipeline, batch_size=2)
    with pytest.raises(InputError, match="'garden' is missing"):
        capture(folder, records("garden"))


def test_both_paths_store_groups_as_wide_as_the_lock_says_where_the_declared_width_divides_nothing(folder):
    lock = make_lock(folder, group_width=24)
    assert lock.group_width == 16
    fast, plain = (
        capture(folder, records("kitchen", creatures=("a dog",)), lock, group_width=24, path=path).activations
        for path in ("fast", "pipeline")
    )
    assert fast.mean_square.shape[-1] == lock.geometry.groups
    np.testing.assert_array_equal(fast.mean_square, plain.mean_square)


def test_a_distilled_model_is_measured_as_what_it_is(folder):
    put, lock = records(creatures=("a dog",)), make_lock(folder)
    plain, distilled = (capture(folder, put, lock.model_copy(update={"is_distilled": one})) for one in (False, True))
    assert plain.activations.mean_square.tobytes() == distilled.activations.mean_square.tobytes()


def test_the_capture_key_names_what_was_captured(folder):
    put = records("kitchen", creatures=("a dog",))
    header = capture(folder, put).activations.header
    again = capture(folder, tuple(reversed(put))).activations.header
    assert header["capture_key"] == again["capture_key"]
    others = [
        capture(folder, put, seeds=[1]),
        capture(folder, put, sigma=0.5),
        capture(folder, put, batch_size=2),
        capture(folder, records("hall", creatures=("a dog",))),
        capture(folder, put, make_lock(folder, "untrained")),
    ]
    keys = {header["capture_key"], *(other.activations.header["capture_key"] for other in others)}
    assert len(keys) == 6


def test_threads_are_as_declared_and_one_for_a_small_model(folder, monkeypatch):
    before = torch.get_num_threads()
    small = make_lock(folder).components["transformer"]
    large = small.model_copy(update={"bytes": 1 << 30})
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        monkeypatch.setenv("PLANTAIN_THREADS", "2")
        set_threads_for(large, "cpu")
        assert torch.get_num_threads() == 2
        set_threads_for(small, "cpu")
        assert torch.get_num_threads() == 1
        monkeypatch.delenv("PLANTAIN_THREADS")
        set_threads_for(large, "cpu")
        assert torch.get_num_threads() == 3
        monkeypatch.setenv("PLANTAIN_THREADS", "many")
        with pytest.raises(InputError, match="many"):
            set_threads_for(large, "cpu")
    finally:
        torch.set_num_threads(before)


def broken(load, value: float, block: int, *, after: int = 0):
    """A loader whose transformer puts ``value`` out of a single block from its pass ``after`` on."""

    def loaded(*arguments):
        found, ran = load(*arguments), []
        transformer = getattr(found, "transformer", found)

        def spoil(_module, _inputs, output):
            ran.append(1)
            return output * value if len(ran) > after else output

        transformer.single_transformer_blocks[block].attn.to_out.register_forward_hook(spoil)
        return found

    return loaded


@pytest.mark.parametrize(
    ("path", "value"), [("fast", float("nan")), ("fast", float("inf")), ("pipeline", float("nan"))]
)
def test_values_that_are_not_finite_are_refused_and_not_stored(folder, cache, tmp_path, monkeypatch, path, value):
    for name in ("load_transformer", "load_pipeline"):
        monkeypatch.setattr(bench_module, name, broken(getattr(bench_module, name), value, 0, after=2))
    put = records(creatures=("a dog", "a bee"))
    with pytest.raises(InputError, match="not finite") as caught:
        capture(folder, put, path=CapturePath(path), seeds=[3])
    said = str(caught.value)
    for part in (
        "'small'",
        "single_transformer_blocks.1.attn.to_out",
        "item 'a-dog'",
        "'mention'",
        "seed 3",
        "float32",
    ):
        assert part in said
    assert caught.value.field == "models.small.dtype"
    assert "capture.attention" in caught.value.fix
    assert len(list((tmp_path / "cache/shards").glob("*/*.safetensors"))) == 2, "the passes before it"


def test_a_draw_that_is_not_finite_is_named(folder, monkeypatch):
    monkeypatch.setattr(bench_module, "load_transformer", broken(bench_module.load_transformer, float("nan"), 0))
    with pytest.raises(InputError, match="'untrained', draw 5 computes"):
        capture(folder, records(creatures=("a dog",)), make_lock(folder, "untrained"))


@pytest.mark.parametrize(("way", "last"), [({}, []), ({"compile": True}, ["to_out"] * 2)])
def test_a_fast_pass_ends_at_the_last_projection_or_where_that_is_compiled_at_its_block(folder, monkeypatch, way, last):
    monkeypatch.setattr(Flux2Transformer2DModel, "compile_repeated_blocks", lambda _self: None)
    load, ran = bench_module.load_transformer, []

    def watched(*arguments):
        found = load(*arguments)
        found.single_transformer_blocks[-1].attn.to_out.register_forward_hook(lambda *_: ran.append("to_out"))
        found.proj_out.register_forward_hook(lambda *_: ran.append("proj_out"))
        return found

    monkeypatch.setattr(bench_module, "load_transformer", watched)
    capture(folder, records(creatures=("a dog",)), **way)
    assert ran == last, "neither the last projection itself nor what follows it"


def test_a_capture_of_a_small_model_computes_on_one_thread(folder, monkeypatch):
    before, load, seen = torch.get_num_threads(), bench_module.load_transformer, []
    monkeypatch.setattr(
        bench_module, "load_transformer", lambda *one: (seen.append(torch.get_num_threads()), load(*one))[1]
    )
    monkeypatch.setenv("PLANTAIN_THREADS", "2")
    torch.set_num_threads(2)
    try:
        capture(folder, records(creatures=("a dog",)))
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_the_encoder_is_gone_before_the_transformer_comes(folder, monkeypatch):
    encoders, alive = [], []

    def encoder(*arguments, load=encode_module.load_text_encoder):
        found = load(*arguments)
        encoders.append(weakref.ref(found.base_model.layers[0].mlp.down_proj.weight))
        return found

    def released(*arguments, release=encode_module.release):
        release(*arguments)
        alive.append([one() is not None for one in encoders])

    monkeypatch.setattr(encode_module, "_WORTH_COLLECTING", 0)
    monkeypatch.setattr(encode_module, "load_text_encoder", encoder)
    monkeypatch.setattr(encode_module, "release", released)
    gc.disable()
    try:
        capture(folder, records(creatures=("a dog",)))
    finally:
        gc.enable()
    assert alive == [[False]], "released once, and nothing of it was left"
