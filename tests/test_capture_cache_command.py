import json
import os
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from plantain.capture.shards import Store
from plantain.commands.cache import app, readable_size
from plantain.errors import CheckFailed, InputError

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
