import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from helpers.model_sources import declare, settings
from typer.testing import CliRunner

from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import Source
from plantain.capture.shards import Store
from plantain.commands.cache import app, readable_size
from plantain.model import embedded
from plantain.model.materialise import materialise
from plantain.model.resolve import resolve

OLD, NEW = "aa" + "0" * 62, "bb" + "0" * 62


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path))
    made = Store("shards", print)
    for key in (OLD, NEW):
        made.write(key, {"x": np.zeros(1000, dtype=np.float32)})
    past = time.time() - 40 * 86_400
    os.utime(made.path(OLD), (past, past))
    return made


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_show_counts_files_and_bytes(store):
    shown = json.loads(run("--json").stdout)["kinds"]
    assert shown["shards"]["files"] == 2
    assert shown["shards"]["bytes"] == sum(store.path(key).stat().st_size for key in (OLD, NEW))
    assert shown["embeddings"]["files"] == 0
    assert "shards" in run().stdout


def test_prune_removes_only_what_was_not_used(store):
    assert json.loads(run("prune", "--dry-run", "--json").stdout)["files"] == 1
    assert store.path(OLD).exists()
    assert "removed 1 files" in run("prune").stdout
    assert not store.path(OLD).exists()
    assert store.path(NEW).exists()


def test_reading_counts_as_use(store):
    store.read(OLD)
    run("prune")
    assert store.path(OLD).exists()


def test_prune_of_everything_and_of_one_kind(store):
    run("prune", "--kind", "embeddings", "--unused-for", "0")
    assert store.path(NEW).exists()
    run("prune", "--unused-for", "0")
    assert not store.path(NEW).exists()
    assert isinstance(run("prune", "--kind", "shadows").exception, InputError)


def test_verify_finds_damage(store):
    assert "2 stored files are whole" in run("verify").stdout
    data = bytearray(store.path(NEW).read_bytes())
    data[-1] ^= 1
    store.path(NEW).write_bytes(bytes(data))
    failed = run("verify")
    assert isinstance(failed.exception, CheckFailed)
    assert NEW in str(failed.exception)


def test_sizes_are_readable():
    assert readable_size(5) == "5 B"
    assert readable_size(1536) == "1.5 KiB"
    assert readable_size(3 * 1024**4) == "3,072.0 GiB"


def beside(store: Store, *, age: float) -> Path:
    """A temporary file as `Store.write` has it, last written ``age`` seconds ago."""
    path = store.path(NEW).with_name(f".{NEW}.safetensors.123.tmp")
    path.write_bytes(b"half of it")
    at = time.time() - age
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize(("age", "stays"), [(600.0, True), (7200.0, False)])
def test_what_is_being_written_stays_and_what_a_killed_writer_left_goes(store, age, stays):
    path = beside(store, age=age)
    run("prune", "--unused-for", "0")
    assert path.exists() is stays
    assert not store.path(NEW).exists()


def test_a_left_over_stays_as_long_as_a_finished_file_would(store):
    path = beside(store, age=7200.0)
    run("prune", "--unused-for", "1")
    assert path.exists()


@pytest.fixture
def model(store, tmp_path, monkeypatch):
    """An embedded model of a few bytes' work, built: its lock and its folder."""
    from helpers.capture_model import build_pipeline

    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        build_pipeline().save_pretrained(folder)

    monkeypatch.setitem(embedded.BUILDERS, "tiny", build)
    lock, _ = resolve("tiny", declare(tiny=settings(Source.embedded)))
    return lock, tmp_path / "models" / lock.files_sha256, built


def test_everything_under_the_folder_is_listed_and_what_stays_is_said(model, tmp_path):
    _, folder, _ = model
    for name, size in (("tiny-training/flow.safetensors", 5000), ("executions.jsonl", 70), ("mine/notes/a.txt", 9)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    shown = json.loads(run("--json").stdout)["kinds"]
    prunable = {"shards", "vectors", "grams", "embeddings", "references", "causal", "models", "verdicts"}
    assert set(shown) == prunable | {"tiny-training", "executions.jsonl", "mine"}
    assert {name for name, row in shown.items() if row["prunable"]} == prunable
    assert shown["models"]["bytes"] >= sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert shown["tiny-training"]["bytes"] == 5000
    everything = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert sum(row["bytes"] for row in shown.values()) == everything
    text = run().stdout
    assert "tiny-training stays: checkpoints" in text
    assert "mine stays: not plantain's." in text
    assert "models stays" not in text
    for name in ("tiny-training", "mine"):
        assert isinstance(run("prune", "--kind", name).exception, InputError)
    run("prune", "--unused-for", "0")
    assert (tmp_path / "tiny-training/flow.safetensors").exists()
    assert (tmp_path / "executions.jsonl").exists()


def test_a_model_is_pruned_whole_and_built_again_when_it_is_needed(model):
    lock, folder, built = model
    scratch = folder.parent / ".tiny.abc"
    (scratch / "pipeline").mkdir(parents=True)
    (scratch / "pipeline" / "model_index.json").write_text("{}")
    assert json.loads(run("prune", "--kind", "models", "--json").stdout)["files"] == 0, "used today"
    assert json.loads(run("prune", "--kind", "models", "--unused-for", "0", "--dry-run", "--json").stdout)["files"] > 5
    assert folder.exists()
    found = json.loads(run("prune", "--kind", "models", "--unused-for", "0", "--json").stdout)
    assert found["files"] > 5
    assert found["bytes"] > 100_000
    assert sorted(path.name for path in folder.parent.iterdir()) == [".tiny.abc", "tiny.lock"]
    assert len(built) == 1
    assert materialise(lock) == folder
    assert len(built) == 2


def test_a_model_that_is_read_counts_as_used(model):
    _, folder, _ = model
    past = time.time() - 40 * 86_400
    for path in folder.rglob("*"):
        os.utime(path, (past, past))
    assert json.loads(run("prune", "--kind", "models", "--dry-run", "--json").stdout)["files"] > 5
    os.utime(folder / "model_index.json", (time.time(), past))
    assert json.loads(run("prune", "--kind", "models", "--dry-run", "--json").stdout)["files"] == 0


def test_models_are_not_pruned_while_one_is_being_built(model):
    _, folder, _ = model
    with FileLock(folder.parent / "tiny.lock"):
        refused = run("prune", "--unused-for", "0").exception
        assert isinstance(refused, InputError)
        assert "'tiny' is being built" in str(refused)
        run("prune", "--kind", "shards", "--unused-for", "0")
    assert folder.exists()
