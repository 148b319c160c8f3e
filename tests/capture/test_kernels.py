"""Other attention kernels and compiled blocks: the same values within rounding, under keys of their own."""

from functools import partialmethod

import numpy as np
import pytest
import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from helpers.capture_model import LENGTH, make_lock, record, records

from plantain.base.errors import InputError
from plantain.base.params import AttentionKernel, CaptureParams
from plantain.capture import bench as bench_module
from plantain.capture import kernels as kernels_module
from plantain.capture.cell import capture_cell
from plantain.capture.forward import fast_runner
from plantain.capture.kernels import KernelChoice, attention_on, chosen_kernel, measured_kernel
from plantain.capture.progress import Silent
from plantain.records.keys import capture_digests, shard_frame

PLAIN = CaptureParams(seeds=[0, 3])


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    monkeypatch.setattr(_AttentionBackendRegistry, "_active_backend", AttentionBackendName.NATIVE)


def captured(folder, params):
    found = capture_cell(records("kitchen"), folder / "images", make_lock(folder), params, Silent())
    return found.activations.mean_square


def test_blocks_are_compiled_whole_once_a_class_and_see_every_pass_with_its_own_values(folder, monkeypatch):
    """No break in a graph, or ``fullgraph`` fails: the hooks are in what is compiled."""
    graphs, compiled = [], []
    original = Flux2Transformer2DModel.compile_repeated_blocks

    def counted(graph, _):
        graphs.append([node.target for node in graph.graph.nodes])
        return graph.forward

    def note(self, **options):
        compiled.append(self)
        original(self, **options)

    # Everything but the generation of machine code, which takes a compiler.
    way = partialmethod(note, backend=counted, fullgraph=True)
    monkeypatch.setattr(Flux2Transformer2DModel, "compile_repeated_blocks", way)
    put = (record("short", "a", "x", "kitchen"), record("long", "a", "a" * 40, "kitchen"))
    expected, found = (
        capture_cell(put, folder / "images", make_lock(folder), CaptureParams(seeds=[0, 3], compile=one), Silent())
        for one in (False, True)
    )
    assert len(compiled) == 1
    assert len(graphs) == 2, "one a class of blocks, whatever the prompt and the block"
    norms = sorted(sum(target is torch.linalg.vector_norm for target in targets) for targets in graphs)
    assert norms == [1, 2], "the reduction is part of them, of text and image in a joint block"
    values = expected.activations.mean_square
    assert not np.array_equal(values[:, 0], values[:, 1], equal_nan=True), "passes that differ"
    np.testing.assert_allclose(found.activations.mean_square, values, rtol=1e-5)
    for tokens, vectors in expected.grams.mean.items():
        np.testing.assert_allclose(found.grams.mean[tokens], vectors, rtol=1e-4, atol=1e-5 * np.abs(vectors).max())


def test_a_compiled_block_that_sees_something_else_is_refused(folder, monkeypatch):
    original = Flux2Transformer2DModel.compile_repeated_blocks
    monkeypatch.setattr(Flux2Transformer2DModel, "compile_repeated_blocks", partialmethod(original, backend="eager"))
    monkeypatch.setattr(bench_module, "fast_runner", lambda model, *more: fast_runner(longer(model), *more))
    with pytest.raises(InputError, match=r"transformer_blocks\.0\..* saw a tensor of shape .* was expected"):
        captured(folder, CaptureParams(compile=True))


def longer(model):
    """The model with a text token more than it was given."""
    model.context_embedder.register_forward_hook(lambda *three: torch.cat([three[2], three[2][:, :1]], dim=1))
    embed = model.pos_embed.forward
    model.pos_embed.forward = lambda ids: embed(torch.cat([ids[:1], ids]) if len(ids) == LENGTH else ids)
    return model


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


def test_a_choice_left_open_is_torchs_own_on_a_cpu_and_in_no_key(folder, cache):
    lock, open_still = make_lock(folder), CaptureParams(seeds=[0, 3], attention="auto")
    found = capture_cell(records("kitchen"), folder / "images", lock, open_still, Silent())
    np.testing.assert_array_equal(found.activations.mean_square, captured(folder, PLAIN))
    assert "attention" not in found.notes
    assert shard_frame(lock, open_still, 1, 0, "cpu") == shard_frame(lock, PLAIN, 1, 0, "cpu")
    assert not (cache / "kernels.json").exists()


def attending(offsets):
    """Kernels that give one value, off by so many roundings of bfloat16; None where there is no such kernel."""

    def attend(kernel):
        if offsets[kernel] is None:
            raise RuntimeError("No available kernel. Aborting execution.")
        return torch.full((2, 3), 1.0 + offsets[kernel] / 128, dtype=torch.bfloat16)

    return attend


@pytest.mark.parametrize(
    ("offsets", "times", "expected", "timed"),
    [
        ((0, 0, 0), (3.0, 2.0, 2.5), "cudnn", 3),
        ((0, 1, 0), (3.0, 2.0, 2.5), "cudnn", 3),
        ((0, None, 0), (3.0, 2.5), "flash", 2),
        ((0, 9, 0), (3.0, 2.5), "flash", 2),
        ((0, None, None), (3.0,), "native", 1),
        ((0, 0, 0), (3.0, 2.95, 2.99), "native", 3),
        ((None, 0, 0), (), "native", 0),
    ],
)
def test_the_fastest_kernel_that_agrees_is_taken_where_it_gains(offsets, times, expected, timed):
    turns = iter(times)
    names = (AttentionKernel.native, AttentionKernel.cudnn, AttentionKernel.flash)
    found = measured_kernel(attending(dict(zip(names, offsets, strict=True))), lambda run: (run(), next(turns))[1])
    assert found.kernel == expected
    assert list(found.milliseconds.values()) == list(times)
    assert len(found.milliseconds) == timed


def test_attention_is_measured_by_what_the_transformer_calls():
    shape = (1, 40, 2, 32)
    attend = attention_on(shape, torch.float32, "cpu")
    made = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(shape, generator=made)[0].transpose(0, 1) for _ in range(3))
    expected = torch.softmax(query @ key.transpose(1, 2) / 32**0.5, dim=-1) @ value
    torch.testing.assert_close(attend(AttentionKernel.native)[0].transpose(0, 1), expected)
    with pytest.raises((RuntimeError, ValueError)):
        attend(AttentionKernel.cudnn)


def test_a_choice_is_measured_once_and_is_in_shard_keys_and_receipt_but_not_in_the_capture_key(
    folder, cache, monkeypatch
):
    measured = []

    def measure(*_):
        measured.append(1)
        return KernelChoice(AttentionKernel.math, {"native": 3.0, "math": 1.0})

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    monkeypatch.setattr(kernels_module, "attention_on", lambda *_: None)
    monkeypatch.setattr(kernels_module, "measured_kernel", measure)
    lock, auto = make_lock(folder), CaptureParams(attention="auto")
    chosen = [chosen_kernel(lock, auto, 128, "cuda") for _ in range(2)]
    assert chosen[0] == chosen[1]
    assert len(measured) == 1, "a resumed capture finds its shards again"
    (cache / "kernels.json").write_text('{"torn": ')
    assert chosen_kernel(lock, auto, 128, "cuda") == chosen[0]
    assert len(measured) == 2
    used = chosen[0].applied(auto)
    assert shard_frame(lock, used, 1, 0, "cuda")["attention"] == "math"
    assert chosen[0].notes == {"attention": {"kernel": "math", "milliseconds": {"native": 3.0, "math": 1.0}}}
    keys = {capture_digests(records(), {}, lock, way)["capture_key"] for way in (auto, CaptureParams())}
    assert len(keys) == 1
    for left in (CaptureParams(), CaptureParams(attention="auto", path="pipeline")):
        assert chosen_kernel(lock, left, 128, "cuda") == KernelChoice()
    monkeypatch.setattr("plantain.capture.cell.chosen_kernel", lambda *_: chosen[0])
    found = capture_cell(records("kitchen"), folder / "images", lock, auto, Silent())
    assert found.notes["attention"]["kernel"] == "math"
