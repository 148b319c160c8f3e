import os
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import Notes, make_lock, records

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams
from plantain.capture import bench as bench_module
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.capture.workers import share, worker_count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")


def capture(folder: Path, cache: Path, monkeypatch, workers: int, told: Silent):
    monkeypatch.setenv("PLANTAIN_CACHE", str(cache))
    monkeypatch.setenv("PLANTAIN_WORKERS", str(workers))
    return capture_cell(records("kitchen"), folder / "images", make_lock(folder), CaptureParams(), told).activations


def stored(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for kind in ("shards", "embeddings") for path in (cache / kind).glob("*/*")}


def test_the_number_of_workers_changes_no_byte(folder, tmp_path, monkeypatch):
    told = Notes()
    many = capture(folder, tmp_path / "many", monkeypatch, 3, told)
    alone = capture(folder, tmp_path / "alone", monkeypatch, 1, Notes())
    np.testing.assert_array_equal(many.mean_square, alone.mean_square)
    assert stored(tmp_path / "many") == stored(tmp_path / "alone")
    assert told.steps == 6 + 6
    assert told.said == []


def test_what_a_failing_worker_leaves_is_done_without_it(folder, tmp_path, monkeypatch):
    parent, make = os.getpid(), bench_module.fast_runner

    def failing(*arguments):
        if os.getpid() != parent:
            raise RuntimeError("no such luck")
        return make(*arguments)

    monkeypatch.setattr(bench_module, "fast_runner", failing)
    told = Notes()
    found = capture(folder, tmp_path / "failing", monkeypatch, 2, told)
    assert sum("no such luck" in sentence for sentence in told.said) == 2
    monkeypatch.setattr(bench_module, "fast_runner", make)
    expected = capture(folder, tmp_path / "fine", monkeypatch, 1, Notes())
    np.testing.assert_array_equal(found.mean_square, expected.mean_square)


def test_every_task_is_done_once(tmp_path):
    def work(tasks, progress):
        for task in tasks:
            (tmp_path / str(task)).write_text(str(os.getpid()))
            progress.advance()

    told = Notes()
    share(range(7), 3, work, told)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(7))
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 3
    assert told.steps == 7


def test_workers_are_for_small_models_with_much_to_do(folder, monkeypatch):
    monkeypatch.delenv("PLANTAIN_WORKERS", raising=False)
    monkeypatch.setenv("PLANTAIN_THREADS", "4")
    small = make_lock(folder).components["transformer"]
    large = small.model_copy(update={"bytes": 1 << 30})
    assert worker_count(small, "cpu", 10_000) == 4
    assert worker_count(small, "cpu", 100) == 2
    assert worker_count(small, "cpu", 10) == 1
    assert worker_count(small, "cuda", 10_000) == 1
    assert worker_count(large, "cpu", 10_000) == 1
    monkeypatch.setenv("PLANTAIN_WORKERS", "none")
    with pytest.raises(InputError, match="PLANTAIN_WORKERS"):
        worker_count(small, "cpu", 10)
