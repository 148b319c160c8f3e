from pathlib import Path

import pytest
from huggingface_hub import constants


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A workspace of its own, with caches of its own."""
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "state"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path
