from pathlib import Path

import pytest


@pytest.fixture
def folder(small_model) -> Path:
    return small_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A store of its own for every test."""
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
