"""The way of a CUDA device, on a CPU with marks of the test's own: nothing waits, and the values are the plain ones."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from helpers.capture_model import Notes, build_pipeline, make_lock, records, transformer
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams
from plantain.capture import bench as bench_module
from plantain.capture import forward as forward_module
from plantain.capture.cell import capture_cell
from plantain.capture.encode import Embedding, Embeddings
from plantain.capture.forward import Conditioning, Scene, fast_runner
from plantain.capture.hooks import reducing
from plantain.capture.means.mean_vectors import set_weights
from plantain.capture.means.token_sets import Layout
from plantain.capture.overlap import transfer
from plantain.capture.progress import Silent
from plantain.model.geometry import projections
from plantain.records.keys import Pass


@dataclass
class Device:
    """What a CUDA device would be asked: marks behind its work, and memory that is pinned."""

    begun: int = 0
    """Forwards that were begun."""
    total: int = 0
    """Forwards of the capture: behind the last, nobody waits for another."""
    waits: list[tuple[int, int, str]] = field(default_factory=list)
    """Of every wait: the forward that was waited for, how many were begun by then, and the thread."""
    pinned: list[tuple[int, ...]] = field(default_factory=list)
    moved: threading.Condition = field(default_factory=threading.Condition)

    def pin(self, tensor):
        self.pinned.append(tuple(tensor.shape))
        return tensor.clone()

    def begin(self):
        with self.moved:
            self.begun += 1
            self.moved.notify_all()

    def event(self):
        return Mark(self)


class Mark:
    def __init__(self, device):
        self.device, self.forward = device, None

    def record(self, _):
        self.forward = self.device.begun

    def synchronize(self):
        """The device is not done before the next forward is queued: who waits for it in between waits for ever."""
        device = self.device
        with device.moved:
            wanted = min(self.forward + 1, device.total)
            device.moved.wait_for(lambda: device.begun >= wanted, timeout=20)
            device.waits.append((self.forward, device.begun, threading.current_thread().name))


@pytest.fixture
def device(monkeypatch):
    """A CPU that is treated as a CUDA device is, its forwards counted."""
    found = Device()
    carrier = transfer.Streaming(torch.device("cpu"), found.pin, found.event, lambda _: None)
    monkeypatch.setattr(transfer, "carrier_for", lambda _: carrier)
    make = bench_module.fast_runner

    def counted(*arguments):
        run = make(*arguments)
        return lambda batch: (found.begin(), run(batch))[1]

    monkeypatch.setattr(bench_module, "fast_runner", counted)
    return found


def capture(folder, put, told=None, name="small", **params):
    return capture_cell(put, folder / "images", make_lock(folder, name), CaptureParams(**params), told or Silent())


@pytest.fixture
def plain(folder, cache, monkeypatch, tmp_path):
    """What the plain way gives, in a store of its own."""

    def found(put, **params):
        with monkeypatch.context() as patch:
            patch.setenv("PLANTAIN_CACHE", str(tmp_path / "plain"))
            patch.setattr(transfer, "carrier_for", transfer.Waiting)
            return capture(folder, put, **params)

    return found


def assert_close(found, expected):
    np.testing.assert_array_equal(found.activations.token_count, expected.activations.token_count)
    np.testing.assert_allclose(found.activations.mean_square, expected.activations.mean_square, rtol=1e-5)
    for tokens, values in expected.grams.mean.items():
        np.testing.assert_allclose(found.grams.mean[tokens], values, rtol=1e-4, atol=1e-5 * np.abs(values).max())


@pytest.mark.parametrize(
    ("params", "forwards"), [({"seeds": [0, 3]}, 20), ({"batch_size": 4}, 3), ({"sigma": 0.6}, 10)]
)
def test_the_values_are_those_of_the_plain_way(folder, device, plain, params, forwards):
    put = (*records("kitchen"), *records(creatures=("a cat", "a bat")))
    expected = plain(put, **params)
    device.begun, device.total = 0, forwards
    assert_close(capture(folder, put, **params), expected)
    assert device.begun == forwards


def test_a_forward_is_begun_before_the_one_before_it_is_waited_for_and_a_thread_waits(folder, device, cache):
    device.total, told = 12, Notes()
    capture(folder, records("kitchen"), told, seeds=[0, 1])
    forwards = [forward for forward, _, _ in device.waits]
    assert sorted(set(forwards)) == list(range(1, 13))
    assert all(begun > forward for forward, begun, _ in device.waits if forward < 12)
    assert all(begun <= forward + 1 for forward, begun, _ in device.waits), "one result is under way, no more"
    assert {name.rsplit("_", 1)[0] for _, _, name in device.waits} == {"plantain-keep"}
    assert told.passes == 12


def test_a_bad_value_is_seen_a_pass_late_and_what_was_before_it_is_kept(folder, cache, device, monkeypatch):
    load = bench_module.load_transformer

    def broken(*arguments):
        found, ran = load(*arguments), []

        def spoil(_module, _inputs, output):
            ran.append(1)
            return output * float("nan") if len(ran) > 2 else output

        found.single_transformer_blocks[0].attn.to_out.register_forward_hook(spoil)
        return found

    monkeypatch.setattr(bench_module, "load_transformer", broken)
    device.total = 4
    with pytest.raises(InputError, match=r"not finite: first in single_transformer_blocks\.1\..*text") as caught:
        capture(folder, records("kitchen"))
    assert "item 'a-dog', condition 'mention'" in str(caught.value)
    assert device.begun == 4, "the one after it had been begun"
    assert len(list((cache / "shards").glob("*/*.safetensors"))) == 2


def test_prompts_are_read_by_a_thread_into_pinned_memory(folder, device, monkeypatch):
    read, prompts = Embeddings.__call__, []

    def noted(self, prompt):
        prompts.append((prompt, threading.current_thread().name.rsplit("_", 1)[0]))
        return read(self, prompt)

    put = records("kitchen")
    monkeypatch.setattr(Embeddings, "__call__", noted)
    device.total = len(put) * 3
    capture(folder, put, seeds=[4, 5, 6])
    assert {name for _, name in prompts} == {"plantain-read"}
    assert sorted(prompt for prompt, _ in prompts) == sorted(one.prompt for one in put), "once each, for three seeds"
    assert device.pinned.count((1, 96, 96)) >= len(put)


def test_noise_is_made_and_moved_once_a_seed(folder, device, monkeypatch):
    made, make = [], forward_module.gaussian
    forward_module._noise.cache_clear()
    monkeypatch.setattr(forward_module, "gaussian", lambda seed, shape: (made.append(seed), make(seed, shape))[1])
    seeds = list(range(40, 47))
    device.total = len(seeds) * 6
    capture(folder, records("kitchen"), seeds=seeds)
    assert sorted(made) == seeds
    assert device.pinned.count((1, 16, 4, 4)) == len(seeds)


def test_the_next_untrained_draw_is_made_while_passes_of_this_one_run(folder, device, plain, monkeypatch):
    put, make, threads, begun = records("kitchen"), bench_module.made_here, {}, threading.Event()

    def noted(lock, draw):
        threads[draw] = threading.current_thread().name
        if draw:
            begun.set()
        return make(lock, draw)

    def waiting(*arguments, counted=bench_module.fast_runner):
        run = counted(*arguments)
        return lambda batch: (begun.wait(20), run(batch))[1]

    expected = plain(put, name="family")
    monkeypatch.setattr(bench_module, "made_here", noted)
    monkeypatch.setattr(bench_module, "fast_runner", waiting)
    device.begun, device.total = 0, 0
    assert_close(capture(folder, put, name="family"), expected)
    assert threads == {0: "MainThread", 1: "plantain-draw"}
    assert begun.is_set(), "or the first pass of the first draw had waited for nothing"


class Crossings(TorchDispatchMode):
    """Notes what goes from one device to another, and whatever asks a device for a number."""

    def __init__(self):
        super().__init__()
        self.up, self.down, self.waiting = [], [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        found = function(*args, **kwargs)
        if str(function) in ("aten.item.default", "aten._local_scalar_dense.default", "aten.nonzero.default"):
            self.waiting.append(str(function))
        sent = next((one for one in args if isinstance(one, torch.Tensor)), None)
        if sent is not None and isinstance(found, torch.Tensor) and sent.device != found.device:
            (self.down if found.device.type == "cpu" else self.up).append(tuple(sent.shape))
            if not kwargs.get("non_blocking"):
                self.waiting.append(f"{function} {tuple(sent.shape)}")
        return found


@pytest.fixture
def nothing_kept():
    """What stays at hand from pass to pass must not outlive tensors without values, nor come from before them."""
    caches = (forward_module._image_ids, forward_module._text_ids, forward_module._noise, set_weights)
    for kept in caches:
        kept.cache_clear()
    yield
    for kept in caches:
        kept.cache_clear()


def test_no_pass_waits_for_its_device(monkeypatch, nothing_kept):
    """Tensors without values on a device without any: every crossing is seen, and a look at a value would fail."""

    class Nothing:
        def record(self, _):
            pass

    scheduler = build_pipeline().scheduler
    carrier = transfer.Streaming(torch.device("meta"), lambda tensor: tensor, Nothing, lambda _: None)
    monkeypatch.setattr(transfer, "carrier_for", lambda _: carrier)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("meta"):
            model = transformer()
            reference = Conditioning(torch.empty(1, 16, 16), torch.empty(1, 16, 4), torch.empty(1, 16, 4, 4))
        scene = Scene({"kitchen": reference}, (4, 4), scheduler, 1.0)
        texts = {name: Embedding(torch.empty(1, 96, 96), (0, len(name))) for name in ("one", "other")}
        run = fast_runner(model, scene, texts.__getitem__, CaptureParams())
        passes = [Pass("item", "condition", 0, 0, name, "kitchen") for name in texts]
        run((passes[0],))
        with Crossings() as seen:
            run((passes[1],))
    assert seen.waiting == []
    assert sorted(seen.up) == [(1, 2, 32), (1, 2, 96), (1, 4, 128), (1, 96, 96)], "token sets and the prompt"
    assert len(seen.down) == 6, "mean squares and mean vectors of three streams"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "layout", [Layout(((0, 5),), 7, 4, 2), Layout(((2, 7),), 7, 4, 0), Layout(((0, 7), (1, 3)), 7, 4, 2)]
)
def test_one_product_with_the_sets_gives_the_means_of_their_spans(device, monkeypatch, dtype, layout):
    model, rows = transformer().to(dtype), len(layout.text)
    image = layout.noise + layout.reference
    made = torch.Generator().manual_seed(1)
    given = {
        "hidden_states": torch.randn(rows, image, 16, generator=made).to(dtype),
        "encoder_hidden_states": torch.randn(rows, 7, 96, generator=made).to(dtype),
        "timestep": torch.ones(rows, dtype=dtype),
        "guidance": None,
        "img_ids": torch.arange(image * 4).reshape(1, image, 4),
        "txt_ids": torch.arange(28).reshape(1, 7, 4),
    }
    found, device.total = [], 0
    for carrier_for in (transfer.carrier_for, transfer.Waiting):
        monkeypatch.setattr(transfer, "carrier_for", carrier_for)
        with torch.inference_mode(), reducing(projections(model), layout, 16, stop=True, vectors=True) as seen:
            model(**given)
        found.append((seen.mean_square(), seen.vectors()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=2e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-7)
    assert not hasattr(model.single_transformer_blocks[0].attn.to_out, "plantain_tap"), "nothing is left behind"
