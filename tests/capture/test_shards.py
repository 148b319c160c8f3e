import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from plantain.capture import shards as shards_module
from plantain.capture.shards import Store, entries

KEY = "ab" + "0" * 62


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path, told) -> Store:
    return Store("shards", told.append, tmp_path)


def filled(store: Store) -> None:
    store.write(KEY, {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([1, 2], dtype=np.int32)})


def test_what_is_written_is_read(store):
    assert store.read(KEY) is None
    filled(store)
    found = store.read(KEY)
    np.testing.assert_array_equal(found["x"], np.arange(6).reshape(2, 3))
    assert found["n"].dtype == np.int32


def test_equal_content_gives_equal_bytes(store):
    filled(store)
    first = store.path(KEY).read_bytes()
    filled(store)
    assert store.path(KEY).read_bytes() == first


def test_every_flipped_byte_is_noticed(store, told):
    filled(store)
    good = store.path(KEY).read_bytes()
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1
        store.path(KEY).write_bytes(bytes(damaged))
        assert store.read(KEY) is None, position
        assert not store.path(KEY).exists()
    assert len(told) == len(good)
    assert "damaged" in told[0]


@pytest.mark.parametrize("length", [0, 5, 40])
def test_a_torn_file_is_noticed(store, told, length):
    filled(store)
    store.path(KEY).write_bytes(store.path(KEY).read_bytes()[:length])
    assert store.read(KEY) is None
    assert told


def test_a_file_under_another_name_is_noticed(store, told):
    filled(store)
    other = "ab" + "1" * 62
    store.path(KEY).rename(store.path(other))
    assert store.read(other) is None
    assert told


def test_entries_are_listed_with_their_size(store, tmp_path):
    filled(store)
    (found,) = entries("shards", tmp_path)
    assert found.path == store.path(KEY)
    assert found.size == store.path(KEY).stat().st_size


def test_what_is_pruned_while_it_is_read_was_read(store, monkeypatch):
    filled(store)
    touch = os.utime
    monkeypatch.setattr(shards_module.os, "utime", lambda path: (path.unlink(), touch(path)))
    np.testing.assert_array_equal(store.read(KEY)["n"], [1, 2])
    assert store.read(KEY) is None


def test_what_is_pruned_while_it_is_written_is_written_again(store, monkeypatch):
    write, eaten = Path.write_bytes, []

    def once(self, data):
        write(self, data)
        if not eaten:
            eaten.append(self)
            self.unlink()

    monkeypatch.setattr(Path, "write_bytes", once)
    filled(store)
    assert eaten[0].name.endswith(".tmp")
    assert store.read(KEY) is not None
    assert [path.name for path in store.path(KEY).parent.iterdir()] == [f"{KEY}.safetensors"]


def test_what_vanishes_while_it_is_listed_is_left_out(store, tmp_path, monkeypatch):
    filled(store)
    store.path("ab" + "1" * 62).symlink_to(tmp_path / "gone")
    look = Path.stat

    def vanishing(self, **options):
        status = look(self, **options)
        if self == store.path(KEY):
            self.unlink()
        return status

    monkeypatch.setattr(Path, "stat", vanishing)
    assert len(list(entries("shards", tmp_path))) <= 1
    assert list(entries("shards", tmp_path)) == []


def test_an_entry_is_the_file_that_safetensors_writes_with_its_label(store):
    key = "0" * 64  # as the place that is kept for the digest
    store.write(key, {"a": np.arange(6.0).reshape(2, 3), "b": np.int32([4])})
    data = store.path(key).read_bytes()
    with safe_open(store.path(key), framework="numpy") as file:
        metadata = file.metadata()
    assert json.loads(metadata["plantain"]).keys() == {"key", "sha256"}
    assert save({"a": np.arange(6.0).reshape(2, 3), "b": np.int32([4])}, metadata) == data
    assert store.read(key) is not None
