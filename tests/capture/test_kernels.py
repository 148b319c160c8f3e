"""Other attention kernels and compiled blocks: the same values within rounding, under keys of their own."""

from functools import partialmethod

import numpy as np
import pytest
from diffusers import Flux2Transformer2DModel
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from helpers.capture_model import make_lock, records

from plantain.base.errors import InputError
from plantain.base.params import AttentionKernel, CaptureParams
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.records.keys import capture_digests, shard_frame

PLAIN = CaptureParams(seeds=[0, 3])


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    monkeypatch.setattr(_AttentionBackendRegistry, "_active_backend", AttentionBackendName.NATIVE)


def captured(folder, params):
    found = capture_cell(records("kitchen"), folder / "images", make_lock(folder), params, Silent())
    return found.activations.mean_square


def test_compiled_blocks_see_every_pass_with_its_own_values(folder, monkeypatch):
    compiled = []
    original = Flux2Transformer2DModel.compile_repeated_blocks

    def note(self, **options):
        compiled.append(self)
        original(self, **options)

    # Everything but the generation of machine code, which takes a compiler.
    monkeypatch.setattr(Flux2Transformer2DModel, "compile_repeated_blocks", partialmethod(note, backend="aot_eager"))
    expected = captured(folder, PLAIN)
    found = captured(folder, CaptureParams(seeds=[0, 3], compile=True))
    assert len(compiled) == 1
    assert not np.array_equal(expected[:, 0], expected[:, 1], equal_nan=True), "passes that differ"
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kernel", [AttentionKernel.math, AttentionKernel.flash])
def test_another_attention_kernel_agrees_within_rounding(folder, monkeypatch, kernel):
    expected = captured(folder, PLAIN)
    asked = []
    original = Flux2Transformer2DModel.set_attention_backend
    monkeypatch.setattr(
        Flux2Transformer2DModel,
        "set_attention_backend",
        lambda self, name: (asked.append(name), original(self, name)),
    )
    found = captured(folder, CaptureParams(seeds=[0, 3], attention=kernel))
    assert asked == [f"_native_{kernel}"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_kernel_that_is_not_there_is_named(folder):
    with pytest.raises(InputError, match="no attention kernel 'cudnn'") as caught:
        captured(folder, CaptureParams(attention=AttentionKernel.cudnn))
    assert caught.value.field == "capture.attention"


def test_how_is_computed_is_part_of_every_key_and_the_plain_way_adds_nothing(folder):
    lock = make_lock(folder)
    ways = [PLAIN, CaptureParams(seeds=[0, 3], compile=True), CaptureParams(seeds=[0, 3], attention="math")]
    frames = [shard_frame(lock, way, 1, 0, "cpu") for way in ways]
    keys = {capture_digests(records("kitchen"), {}, lock, way)["capture_key"] for way in ways}
    assert len(keys) == 3
    assert not {"attention", "compile"} & set(frames[0])
    assert [frame.get("compile") for frame in frames] == [None, True, False]
