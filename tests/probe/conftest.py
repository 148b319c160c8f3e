import pytest
from helpers.workspace import ROOT


@pytest.fixture
def house(tmp_path):
    """A folder in which probes are written: the parameters, and no probe yet."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return tmp_path
