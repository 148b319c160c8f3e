"""Work that was done stays done: kills, damage, memory and interrupts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import Notes, image_folder, make_lock, record, records

from plantain.base.errors import CheckFailed, InputError
from plantain.base.files import sha256_file
from plantain.base.params import CaptureParams
from plantain.capture import bench as bench_module
from plantain.capture import memory
from plantain.capture import plan as rates
from plantain.capture.cell import CaptureResult, capture_cell
from plantain.capture.encode import Embeddings
from plantain.capture.progress import Silent, Stopwatch
from plantain.records.activations import write_activations

WORKER = """
import sys, time
from pathlib import Path
from helpers.capture_model import make_lock, records
from plantain.capture import bench
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.base.params import CaptureParams

folder = Path(sys.argv[1])
make = bench.fast_runner

def slow(*arguments):
    run = make(*arguments)
    return lambda batch: (time.sleep(0.15), run(batch))[1]

bench.fast_runner = slow
capture_cell(records("kitchen"), folder / "images", make_lock(folder), CaptureParams(), Silent())
"""


def capture(folder: Path, told: Silent, put=None, **params) -> CaptureResult:
    return capture_cell(put or records("kitchen"), folder / "images", make_lock(folder), CaptureParams(**params), told)


def digest(result: CaptureResult, path: Path) -> str:
    write_activations(path, result.activations)
    return sha256_file(path)


def shards(cache: Path) -> list[Path]:
    return sorted((cache / "shards").glob("*/*.safetensors"))


def test_kill_9_and_resume_gives_the_same_bytes(folder, cache, tmp_path, monkeypatch):
    whole = digest(capture(folder, Notes()), tmp_path / "whole")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "killed"))
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(folder)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(shards(tmp_path / "killed")) < 2 and worker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    kept = len(shards(tmp_path / "killed"))
    assert 2 <= kept < 6
    told = Notes()
    assert digest(capture(folder, told), tmp_path / "resumed") == whole
    assert told.passes == 6 - kept


def test_a_finished_cell_loads_nothing(folder, monkeypatch):
    first = capture(folder, Notes())
    for name in ("load_transformer", "prepare_scene"):
        monkeypatch.setattr(bench_module, name, lambda *_: pytest.fail("loaded"))
    told = Notes()
    again = capture(folder, told)
    np.testing.assert_array_equal(again.activations.mean_square, first.activations.mean_square)
    assert told.passes == 0
    assert again.notes == first.notes


def test_a_damaged_shard_is_reported_and_computed_again(folder, cache, tmp_path):
    before = digest(capture(folder, Notes()), tmp_path / "before")
    victim = shards(cache)[3]
    data = bytearray(victim.read_bytes())
    data[-5] ^= 0x40
    victim.write_bytes(bytes(data))
    told = Notes()
    assert digest(capture(folder, told), tmp_path / "after") == before
    assert told.passes == 1
    assert len(told.said) == 1
    assert victim.name in told.said[0]
    assert "damaged" in told.said[0]


@pytest.mark.parametrize(("grams", "edit", "addition"), [(False, 1, 2), (True, 6, 8)])
def test_a_changed_prompt_runs_its_own_pass_alone_where_no_vectors_are_needed(folder, grams, edit, addition):
    put = records("kitchen")
    capture(folder, Notes(), put, grams=grams)
    edited = (record(put[0].item, put[0].condition, "Seen by another dog", "kitchen"), *put[1:])
    told = Notes()
    capture(folder, told, edited, grams=grams)
    assert told.passes == edit
    more = Notes()
    capture(folder, more, (*put, *records("kitchen", creatures=("a cat",))), grams=grams)
    assert more.passes == addition


def test_a_changed_reference_runs_everything(folder, tmp_path):
    capture(folder, Notes())
    image_folder(tmp_path / "other", "first", "kitchen")
    told = Notes()
    capture_cell(records("kitchen"), tmp_path / "other", make_lock(folder), CaptureParams(), told)
    assert told.passes == 6


def test_ctrl_c_keeps_the_finished_passes(folder, cache, monkeypatch):
    make = bench_module.fast_runner

    def interrupted(*arguments):
        run, done = make(*arguments), []

        def one(batch):
            if len(done) == 4:
                raise KeyboardInterrupt
            done.append(batch)
            return run(batch)

        return one

    monkeypatch.setattr(bench_module, "fast_runner", interrupted)
    told = Notes()
    with pytest.raises(KeyboardInterrupt):
        capture(folder, told)
    assert "4 of 6 passes are kept" in told.said[-1]
    assert len(shards(cache)) == 4
    monkeypatch.setattr(bench_module, "fast_runner", make)
    rest = Notes()
    capture(folder, rest)
    assert rest.passes == 2


def out_of_memory_above(limit: int, make):
    def limited(*arguments):
        run = make(*arguments)

        def one(batch):
            if len(batch) > limit:
                raise RuntimeError("MPS backend out of memory (allocated 3 GB)")
            return run(batch)

        return one

    return limited


def test_out_of_memory_starts_again_at_half_the_batch(folder, monkeypatch, tmp_path):
    expected = digest(capture(folder, Notes(), batch_size=2), tmp_path / "expected")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "small"))
    monkeypatch.setattr(bench_module, "fast_runner", out_of_memory_above(3, bench_module.fast_runner))
    told = Notes()
    result = capture(folder, told, batch_size=4)
    assert result.notes["batch_size"] == 2
    assert "starts again with 2" in told.said[0]
    header = dict(result.activations.header)
    np.testing.assert_array_equal(
        result.activations.mean_square, capture(folder, Notes(), batch_size=2).activations.mean_square
    )
    assert header["capture_key"] != capture(folder, Notes(), batch_size=2).activations.header["capture_key"]
    assert digest(capture(folder, Notes(), batch_size=2), tmp_path / "two") == expected


def test_no_memory_for_one_pass_is_said(folder, monkeypatch):
    monkeypatch.setattr(bench_module, "fast_runner", out_of_memory_above(0, bench_module.fast_runner))
    with pytest.raises(InputError, match="does not fit"):
        capture(folder, Notes(), batch_size=2)


def test_auto_fits_an_accelerator_and_is_one_on_a_cpu(folder, monkeypatch):
    assert capture(folder, Notes(), batch_size="auto").notes["batch_size"] == 1
    lock = make_lock(folder)
    need = memory.row_bytes(lock, 128)
    room = {"cuda": lock.components["transformer"].bytes + 5 * need}
    monkeypatch.setattr(memory, "free_bytes", lambda _: int(room["cuda"] / memory._SHARE) + 8)
    monkeypatch.setattr(memory.torch.cuda, "get_device_name", lambda _: "a card")
    params = CaptureParams(batch_size="auto")
    assert memory.fitted_batch_size(lock, params, 128, "cuda") == 4
    room["cuda"] *= 100
    assert memory.fitted_batch_size(lock, params, 128, "cuda") == 4, "a resumed run keeps its size"
    assert memory.fitted_batch_size(lock, params, 64, "cuda") == memory.LARGEST
    assert memory.fitted_batch_size(lock, CaptureParams(batch_size=3), 64, "cuda") == 3


def test_auto_leaves_a_fifth_of_the_free_memory(folder, monkeypatch):
    lock = make_lock(folder)
    weights, row = lock.components["transformer"].bytes, memory.row_bytes(lock, 128)
    for rows, expected in ((3.9, 2), (4.1, 4)):
        free = int((weights + rows * row) / 0.8)
        monkeypatch.setattr(memory, "free_bytes", lambda _, free=free: free)
        assert memory.expected_batch_size(lock, CaptureParams(batch_size="auto"), 128, "mps") == expected


def test_a_halved_auto_batch_is_remembered(folder, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1 << 40)
    monkeypatch.setattr(bench_module, "fast_runner", out_of_memory_above(2, bench_module.fast_runner))
    first, told = capture(folder, Notes(), batch_size="auto"), Notes()
    assert first.notes["batch_size"] == 2
    again = capture(folder, told, batch_size="auto")
    assert again.notes["batch_size"] == 2
    assert (told.said, told.passes) == ([], 0), "no larger batch is tried again, and every shard is found"


def emptied(*folders: Path) -> int:
    """Remove every stored file, as `plantain cache prune` would at the worst moment."""
    found = [path for folder in folders for path in folder.glob("*/*.safetensors")]
    for path in found:
        path.unlink()
    return len(found)


@pytest.mark.parametrize("kind", ["shards", "embeddings"])
def test_what_is_pruned_during_a_capture_is_made_again(folder, cache, tmp_path, monkeypatch, kind):
    expected = digest(capture(folder, Notes()), tmp_path / "expected")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "pruned"))
    make, removed = bench_module.fast_runner, []

    def pruned(*arguments):
        run, done = make(*arguments), []

        def one(batch):
            done.append(batch)
            if len(done) == 3 and not removed:
                removed.append(emptied(tmp_path / "pruned" / kind))
            return run(batch)

        return one

    monkeypatch.setattr(bench_module, "fast_runner", pruned)
    assert digest(capture(folder, Notes()), tmp_path / "found") == expected
    assert removed[0] > 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_embeddings_that_are_damaged_are_found_where_they_are_used_and_all_made_again(
    folder, cache, tmp_path, monkeypatch, workers
):
    monkeypatch.setenv("PLANTAIN_WORKERS", workers)
    before = digest(capture(folder, Notes()), tmp_path / "before")
    for path in shards(cache):
        path.unlink()
    stored = sorted((cache / "embeddings").glob("*/*.safetensors"))
    assert len(stored) == 6
    for path in stored[:4]:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    told = Notes()
    assert digest(capture(folder, told), tmp_path / "after") == before
    # A worker that meets one stops, and says so.
    assert sum("is damaged" in sentence or "embedding" in sentence for sentence in told.said) == 4


def test_that_an_embedding_is_there_is_seen_without_reading_it(folder, monkeypatch):
    prompts = [one.prompt for one in records("kitchen")]
    embeddings = Embeddings(make_lock(folder), "cpu", Silent())
    embeddings.ensure(prompts)
    monkeypatch.setattr("plantain.capture.shards.unpacked", lambda *_: pytest.fail("read"))
    embeddings.ensure(prompts, trusted=True)
    with pytest.raises(pytest.fail.Exception):
        embeddings.ensure(prompts)


def test_a_store_that_keeps_nothing_is_given_up(folder, monkeypatch):
    monkeypatch.setattr("plantain.capture.shards.Store.write", lambda *_: None)
    with pytest.raises(CheckFailed, match="vanished"):
        capture(folder, Notes())


def test_a_rate_is_that_of_passes_and_not_of_loading(folder, monkeypatch):
    load, remembered = bench_module.load_transformer, []
    monkeypatch.setattr(bench_module, "load_transformer", lambda *one: (time.sleep(1.0), load(*one))[1])
    monkeypatch.setattr(rates, "remember", lambda *one: remembered.append(one[3:]))
    began = time.perf_counter()
    capture(folder, Notes(), seeds=[0, 1])
    elapsed = time.perf_counter() - began
    ((passes, seconds),) = remembered
    assert passes == 12 - 1
    assert 0 < seconds <= elapsed - 1.0


def test_a_few_missing_passes_leave_the_rate_as_it_is(folder, cache):
    capture(folder, Notes(), seeds=[0, 1])
    known = (cache / "rates.json").read_bytes()
    shards(cache)[3].unlink()
    told = Notes()
    capture(folder, told, seeds=[0, 1])
    assert told.passes == 1
    assert (cache / "rates.json").read_bytes() == known


def test_a_family_does_not_replace_a_measured_rate(folder, cache):
    family, put = make_lock(folder, "family"), records("kitchen")
    for seeds, lock in (([0, 1], family), ([0, 1], make_lock(folder)), ([0, 2], family)):
        before = rates.rate(lock, "cpu")
        capture_cell(put, folder / "images", lock, CaptureParams(seeds=seeds), Silent())
        assert rates.rate(lock, "cpu").measured
        assert (rates.rate(lock, "cpu") == before) is (seeds == [0, 2])


def test_a_stopwatch_starts_with_the_first_report_of_a_piece(monkeypatch):
    now = iter([1.0, 7.0, 20.0, 21.5, 24.0])
    monkeypatch.setattr("plantain.capture.progress.time.perf_counter", lambda: next(now))
    told = Notes()
    watch = Stopwatch(told)
    for label, unit, steps in (("encode", "prompts", (1, 1)), ("capture", "passes", (4, 4, 2))):
        watch.phase(label, sum(steps), unit)
        for count in steps:
            watch.advance(count)
    watch.note("so far")
    assert (watch.steps, watch.seconds) == (6, 4.0)
    assert (told.passes, told.said) == (10, ["so far"])
