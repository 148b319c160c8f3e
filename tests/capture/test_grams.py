"""Gram matrices of mean vectors, against hooks and arithmetic of the test's own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.capture_model import LAYERS, LENGTH, SIZE, Notes, build_pipeline, image_folder, make_lock, record, records
from PIL import Image

from plantain.base.params import CaptureParams, CapturePath
from plantain.capture import bench as bench_module
from plantain.capture.cell import capture_cell
from plantain.capture.grams import centred_products, head_rows
from plantain.capture.means.mean_vectors import Vectors
from plantain.capture.means.token_sets import Layout
from plantain.capture.noise import gaussian
from plantain.capture.not_finite import NotFinite
from plantain.capture.progress import Silent
from plantain.measure.views import head_streams
from plantain.model.geometry import group_table, projections
from plantain.model.load import load_transformer
from plantain.records.grams import Grams, View, write_grams
from tests.capture.test_resume import WORKER

TOKENS = ("text", "pad", "noise", "reference")
HEAD = 32


def capture(folder: Path, put=None, lock=None, told=None, subsets=None, images=None, **params) -> Grams:
    chosen, where = put or records("kitchen"), images or folder / "images"
    taken = CaptureParams(**params)
    return capture_cell(chosen, where, lock or make_lock(folder), taken, told or Silent(), subsets=subsets).grams


def written(grams: Grams, path: Path) -> bytes:
    write_grams(path, grams)
    return path.read_bytes()


def own_vectors(pipeline, prompt: str, image: Path | None, seed: int) -> dict[str, np.ndarray]:
    """Mean vectors of every head by a plain pipeline call with hooks of its own: token set to (head, channel)."""
    seen: dict[str, np.ndarray] = {}

    def hook(name):
        return lambda _module, inputs: seen.__setitem__(name, inputs[0][0].double().numpy())

    transformer, handles = pipeline.transformer, []
    for index, block in enumerate(transformer.transformer_blocks):
        handles.append(block.attn.to_out[0].register_forward_pre_hook(hook(f"joint {index} image")))
        handles.append(block.attn.to_add_out.register_forward_pre_hook(hook(f"joint {index} text")))
    for index, block in enumerate(transformer.single_transformer_blocks):
        handles.append(block.attn.to_out.register_forward_pre_hook(hook(f"single {index}")))
    side = SIZE // 16
    with torch.inference_mode():
        pipeline(
            prompt=prompt,
            image=None if image is None else Image.open(image),
            height=SIZE,
            width=SIZE,
            latents=torch.from_numpy(gaussian(seed, (1, 16, side, side))),
            num_inference_steps=1,
            guidance_scale=1.0,
            max_sequence_length=LENGTH,
            text_encoder_out_layers=tuple(LAYERS),
            output_type="latent",
        )
    for handle in handles:
        handle.remove()
    messages = [{"role": "user", "content": prompt}]
    chat = pipeline.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    real = len(pipeline.tokenizer(chat)["input_ids"])
    spans = {"text": (0, real), "pad": (real, LENGTH), "noise": (0, side * side), "reference": (side * side, None)}
    found: dict[str, list[np.ndarray]] = {name: [] for name in TOKENS}
    for name, values in seen.items():
        for tokens, (first, last) in spans.items():
            text = tokens in ("text", "pad")
            if name.startswith("joint") and name.endswith("text") != text:
                continue
            shift = LENGTH if name.startswith("single") and not text else 0
            chosen = values[first + shift : None if last is None else last + shift, : 2 * HEAD]
            if len(chosen):
                found[tokens].extend(chosen.mean(axis=0).reshape(2, HEAD))
    return {tokens: np.array(heads) for tokens, heads in found.items() if heads}


@pytest.fixture(scope="module")
def pipeline():
    return build_pipeline()


def gram(vectors: np.ndarray) -> np.ndarray:
    """(condition, head, channel) to (head, pair), conditions without vectors left out and NaN."""
    with np.errstate(invalid="ignore"):
        centred = vectors - np.nanmean(vectors, axis=0)
    pairs = [(i, j) for i in range(len(vectors)) for j in range(i, len(vectors))]
    return np.array([[centred[i, head] @ centred[j, head] for i, j in pairs] for head in range(vectors.shape[1])])


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    scale = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, atol=1e-4 * scale, rtol=1e-4)


@pytest.mark.parametrize("path", list(CapturePath))
def test_matrices_are_those_of_vectors_taken_by_hand(folder, pipeline, path):
    put = records("kitchen")
    subsets = {"all": ("a-dog", "a-bee", "an-adult-human"), "odd": ("a-dog", "an-adult-human"), "sampled": ("a-bee",)}
    found = capture(folder, put, subsets=subsets, path=path)
    items, conditions = subsets["all"], ("viewpoint", "mention")
    own = {
        (one.item, one.condition): own_vectors(pipeline, one.prompt, folder / "images/kitchen.png", 0) for one in put
    }
    assert tuple(found.mean) == tuple(found.profile) == TOKENS
    assert found.profile_subsets == ("all", "sampled")
    assert found.subsets == subsets
    for tokens in TOKENS:
        stacked = {item: np.array([own[item, condition][tokens] for condition in conditions]) for item in items}
        for place, chosen in enumerate(subsets.values()):
            assert_close(found.mean[tokens][0, 0, place], gram(np.mean([stacked[item] for item in chosen], axis=0)))
        for place, name in enumerate(("all", "sampled")):
            assert_close(
                found.profile[tokens][0, 0, place], np.mean([gram(stacked[item]) for item in subsets[name]], axis=0)
            )
    assert not np.allclose(found.mean["text"][0, 0, 0], found.profile["text"][0, 0, 0], rtol=0.01)


def test_heads_are_rows_of_the_table_of_head_streams(folder):
    found = capture(folder)
    lock = make_lock(folder)
    table = head_streams(group_table(load_transformer(lock, "cpu"), 16)).table
    streams = table["stream"].to_list()
    for tokens, own in (("text", "text"), ("pad", "text"), ("noise", "image"), ("reference", "image")):
        assert found.heads[tokens] == tuple(row for row, stream in enumerate(streams) if stream in (own, "all"))
    assert head_rows(lock.geometry)["text"][:3] == (2, 3, 6), "two heads of the image stream come before them"


def test_views_are_seeds_and_references_and_what_is_absent_is_left_out(folder, pipeline):
    put = (
        record("i", "a", "the first", "kitchen", "hall"),
        record("i", "b", "a second one", "kitchen"),
        record("i", "c", "no picture"),
        record("i", "d", "and a fourth", "kitchen", "hall"),
    )
    found = capture(folder, put, seeds=[3, 1])
    single = [View(seed, reference) for seed in (3, 1) for reference in ("kitchen", "hall")]
    assert found.views == (View(None, None), *single)
    own = {
        (one.condition, seed, name): own_vectors(
            pipeline, one.prompt, None if name is None else folder / f"images/{name}.png", seed
        )
        for one in put
        for seed in (3, 1)
        for name in (one.reference or (None,))
    }

    def vectors(condition: str, seeds, names, tokens: str) -> np.ndarray:
        keys = [(condition, seed, name) for seed in seeds for name in names]
        chosen = [own[key][tokens] for key in keys if key in own and tokens in own[key]]
        return np.mean(chosen, axis=0) if chosen else np.full((10, HEAD), np.nan)

    for tokens in TOKENS:
        for at, view in enumerate(found.views):
            seeds = (3, 1) if view.seed is None else (view.seed,)
            # The pass without a picture stands where the first alternative does.
            names = {None: ("kitchen", "hall", None), "kitchen": ("kitchen", None), "hall": ("hall",)}[view.reference]
            expected = gram(np.array([vectors(name, seeds, names, tokens) for name in "abcd"]))
            assert_close(found.mean[tokens][0, at, 0], expected)
            assert_close(found.profile[tokens][0, at, 0], expected)
    hall = found.mean["text"][0, 2, 0, 0]
    assert np.isfinite(hall).sum() == 3, "two of four conditions have that reference"


def test_a_token_set_that_no_pass_has_is_left_out(folder):
    found = capture(folder, records())
    assert tuple(found.mean) == tuple(found.heads) == ("text", "pad", "noise")


def test_items_that_lack_a_condition_are_left_out_of_its_mean(folder):
    put = (record("i", "a", "one"), record("i", "b", "two"), record("j", "a", "three"))
    found = capture(folder, put)
    alone = capture(folder, put[:2])
    np.testing.assert_array_equal(found.profile["text"][..., 1], alone.profile["text"][..., 1])
    assert np.isfinite(found.mean["text"]).all()
    assert not np.allclose(found.mean["text"], alone.mean["text"])


def test_a_subset_without_items_is_nan_and_one_of_other_items_is_refused(folder):
    found = capture(folder, records(creatures=("a dog",)), subsets={"all": ("a-dog",), "even": ()})
    assert np.isfinite(found.mean["noise"][:, :, 0]).all()
    assert np.isnan(found.mean["noise"][:, :, 1]).all()
    with pytest.raises(ValueError, match="'odd' names items"):
        capture(folder, records(creatures=("a dog",)), subsets={"odd": ("a-cat",)})


def test_draws_of_a_family_are_those_of_single_models(folder):
    put, many = records(creatures=("a dog",)), make_lock(folder, "family")
    family = capture(folder, put, many)
    assert family.draws == (0, 1)
    one = make_lock(folder, "untrained").model_copy(update={"seeds": many.seeds[1:], "draws": many.draws[1:]})
    alone = capture(folder, put, one)
    for tokens, values in alone.mean.items():
        np.testing.assert_array_equal(values[0], family.mean[tokens][1])
        assert not np.allclose(family.mean[tokens][0], family.mean[tokens][1])


def test_a_small_change_needs_centring_before_products_and_float64():
    random = np.random.default_rng(1)
    common, change = 100 * random.standard_normal((1, 5, 64)), 1e-3 * random.standard_normal((6, 5, 64))
    stored = (common + change).astype(np.float32)
    exact = gram(stored.astype(np.float64))
    present = np.ones(6, dtype=bool)
    np.testing.assert_allclose(centred_products(stored.astype(np.float64), present), exact, rtol=1e-9, atol=1e-12)
    first, second = np.triu_indices(6)
    products = np.einsum("chw,dhw->hcd", stored, stored)
    centre = np.eye(6, dtype=np.float32) - np.float32(1 / 6)
    uncentred = (centre @ products @ centre)[:, first, second]
    diagonal = first == second
    assert (np.abs(uncentred / exact - 1)[:, diagonal] > 0.9).any(), "or nothing is shown here"


def test_chunks_and_low_precision_give_the_mean_of_the_values(folder, monkeypatch):
    whole = capture(folder, lock=make_lock(folder, dtype="bfloat16"))
    monkeypatch.setattr("plantain.capture.means.span_means._CHUNK", 1000)
    monkeypatch.setenv("PLANTAIN_CACHE", str(folder.parent / "chunks"))
    parts = capture(folder, lock=make_lock(folder, dtype="bfloat16"))
    for tokens, values in whole.mean.items():
        assert_close(parts.mean[tokens], values.astype(np.float64))


@pytest.mark.parametrize("size", [2, 4])
def test_batches_that_cross_items_give_the_same_matrices(folder, size):
    one, many = capture(folder), capture(folder, batch_size=size)
    for tokens, values in one.mean.items():
        assert_close(many.mean[tokens], values.astype(np.float64))


def kept(cache: Path, kind: str) -> list[Path]:
    return sorted((cache / kind).glob("*/*.safetensors"))


def test_vectors_go_when_the_matrices_are_made_and_a_finished_cell_computes_nothing(
    folder, cache, tmp_path, monkeypatch
):
    first = written(capture(folder), tmp_path / "first")
    assert [len(kept(cache, kind)) for kind in ("shards", "vectors", "grams")] == [6, 0, 1]
    monkeypatch.setattr(bench_module, "load_transformer", lambda *_: pytest.fail("loaded"))
    assert written(capture(folder), tmp_path / "again") == first


def test_mean_squares_are_the_same_bytes_with_and_without(folder, cache, tmp_path, monkeypatch):
    capture(folder)
    stored = {path.name: path.read_bytes() for path in kept(cache, "shards")}
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "without"))
    found = capture(folder, grams=False)
    assert {path.name: path.read_bytes() for path in kept(tmp_path / "without", "shards")} == stored
    assert (found.mean, found.profile, found.heads) == ({}, {}, {})
    assert not (tmp_path / "without/vectors").exists()
    assert not (tmp_path / "without/grams").exists()


def test_shards_without_matrices_are_run_again_and_stay_as_they_are(folder, cache, tmp_path):
    first = written(capture(folder), tmp_path / "first")
    before = {path: path.stat().st_ino for path in kept(cache, "shards")}
    kept(cache, "grams")[0].unlink()
    told = Notes()
    assert written(capture(folder, told=told), tmp_path / "again") == first
    assert told.passes == 6
    assert {path: path.stat().st_ino for path in before} == before


def test_matrices_without_a_shard_run_its_pass_alone(folder, cache):
    capture(folder)
    kept(cache, "shards")[2].unlink()
    told = Notes()
    capture(folder, told=told)
    assert told.passes == 1
    assert kept(cache, "vectors") == []


@pytest.mark.long
def test_kill_9_and_resume_gives_the_same_bytes(folder, tmp_path, monkeypatch):
    whole = written(capture(folder), tmp_path / "whole")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "killed"))
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(folder)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(kept(tmp_path / "killed", "shards")) < 2 and worker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    done = len(kept(tmp_path / "killed", "shards"))
    assert 2 <= done < 6
    told = Notes()
    assert written(capture(folder, told=told), tmp_path / "resumed") == whole
    assert told.passes == 6 - done


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_the_number_of_workers_and_threads_changes_no_byte(folder, tmp_path, monkeypatch):
    found = []
    for workers in (1, 2):
        monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / f"cache-{workers}"))
        monkeypatch.setenv("PLANTAIN_WORKERS", str(workers))
        found.append(written(capture(folder, lock=make_lock(folder, "family")), tmp_path / str(workers)))
        assert kept(tmp_path / f"cache-{workers}", "vectors") == []
    assert found[0] == found[1]
    before, vectors = torch.get_num_threads(), np.random.default_rng(0).standard_normal((46, 8, 128))
    products = []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        products.append(centred_products(vectors, np.ones(46, dtype=bool)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*products)


def stopped_before_reduction(folder: Path, monkeypatch) -> None:
    """A capture that ends when its vectors are written and not yet reduced."""
    with monkeypatch.context() as patch:
        patch.setattr("plantain.capture.grams.reduce_vectors", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            capture(folder)


@pytest.mark.parametrize(("harm", "again"), [(None, 0), ("damage", 1), ("removal", 1)])
def test_vectors_that_were_damaged_or_vanished_are_computed_again(folder, cache, tmp_path, monkeypatch, harm, again):
    whole = written(capture(folder), tmp_path / "whole")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "harmed"))
    stopped_before_reduction(folder, monkeypatch)
    victim = kept(tmp_path / "harmed", "vectors")[3]
    if harm == "damage":
        data = bytearray(victim.read_bytes())
        data[-5] ^= 0x40
        victim.write_bytes(bytes(data))
    elif harm == "removal":
        victim.unlink()
    told = Notes()
    assert written(capture(folder, told=told), tmp_path / "found") == whole
    assert told.passes == again
    assert [victim.name in sentence for sentence in told.said] == ([True] if harm == "damage" else [])


def test_damaged_matrices_are_reported_and_made_again(folder, cache, tmp_path):
    whole = written(capture(folder), tmp_path / "whole")
    victim = kept(cache, "grams")[0]
    victim.write_bytes(victim.read_bytes()[:-3])
    told = Notes()
    assert written(capture(folder, told=told), tmp_path / "again") == whole
    assert told.passes == 6
    assert "damaged" in told.said[0]


def test_other_subsets_or_conditions_are_other_matrices(folder, cache):
    put = records("kitchen")
    capture(folder, put)
    capture(folder, put, subsets={"all": ("a-dog", "a-bee", "an-adult-human"), "even": ("a-bee",)})
    capture(folder, put[:4])
    capture(folder, tuple(reversed(put)))
    renamed = tuple(record(one.item + "-x", one.condition, one.prompt, *one.reference) for one in put)
    told = Notes()
    found = capture(folder, renamed, told=told)
    assert len(kept(cache, "grams")) == 4
    assert told.passes == 0, "names count by their place alone"
    assert found.subsets["all"][0] == "a-dog-x"


def test_memory_that_runs_out_leaves_no_vectors_of_the_larger_batch(folder, cache, monkeypatch):
    make = bench_module.fast_runner

    def limited(*arguments):
        run, done = make(*arguments), []

        def one(batch):
            done.append(batch)
            if len(batch) > 1 and len(done) > 1:
                raise RuntimeError("MPS backend out of memory")
            return run(batch)

        return one

    monkeypatch.setattr(bench_module, "fast_runner", limited)
    found = capture(folder, batch_size=2)
    assert kept(cache, "vectors") == []
    assert np.isfinite(found.mean["noise"]).all()


def test_a_family_keeps_the_vectors_of_one_draw_at_a_time(folder, cache, monkeypatch):
    make, seen = bench_module.fast_runner, []

    def watched(*arguments):
        seen.append(len(kept(cache, "vectors")))
        return make(*arguments)

    monkeypatch.setattr(bench_module, "fast_runner", watched)
    capture(folder, lock=make_lock(folder, "family"))
    assert seen == [0, 0]


def test_vectors_that_are_not_finite_are_refused_with_their_place(folder):
    hooked = projections(build_pipeline().transformer)
    layout = Layout(((0, 5), (0, 5)), 7, 4, 2)
    taken = Vectors(hooked, layout)
    for index, projection in enumerate(hooked):
        part = torch.ones(2, layout.length(projection.stream), projection.attention_width + projection.mlp_width)
        if projection.name == "single_transformer_blocks.1.attn.to_out":
            part[1, 8, 3] = float("inf")
        taken.add(index, 0, part)
    with pytest.raises(NotFinite) as found:
        taken.means()
    assert (found.value.row, found.value.projection) == (1, "single_transformer_blocks.1.attn.to_out")


def test_images_are_read_from_where_they_are(folder, tmp_path):
    """The stand-in folder holds other pixels, so vectors over reference tokens must differ."""
    image_folder(tmp_path / "other", "first", "kitchen")
    one, other = capture(folder), capture(folder, images=tmp_path / "other")
    assert not np.allclose(one.mean["reference"], other.mean["reference"])
