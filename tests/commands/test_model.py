"""``plantain model show``, and what of ``fetch`` needs no hub (`test_fetch.py` has one)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from plantain.base.errors import InputError
from plantain.commands.model import app
from plantain.model import hub

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
REPO = "someone/small-klein"
ROOT = Path(__file__).resolve().parents[2]


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "state"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    text = (ROOT / "params.yaml").read_text().replace("black-forest-labs/FLUX.2-klein-base-4B", REPO)
    (tmp_path / "params.yaml").write_text(text)
    return tmp_path


def test_show_gives_the_counts_of_the_cards_without_weights(home):
    (home / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for name in ("klein-base-4b", "klein-base-4b-untrained", "klein-random"):
        shown = json.loads(invoke("show", name, "--json"))
        assert shown["counts"] == {
            "projections": 25,
            "heads": 600,
            "head_streams": 720,
            "mlp_slices": 1440,
            "groups": 16_320,
            "groups_with_text_stream": 17_280,
            "attention_groups": 4_800,
            "mlp_groups": 11_520,
        }
        assert shown["geometry"]["parameters"] == 3_875_544_576
    table = invoke("show", "black-forest-labs/FLUX.2-dev")
    assert "76,800" in table
    assert "48" in table
    assert not (home / "hub").exists()
    assert not (home / "state").exists()


def test_show_says_what_it_cannot_know(home):
    with pytest.raises(InputError, match=r"configuration of someone/small-klein is not on this machine.*fetch klein"):
        invoke("show", "klein-base-4b")
    with pytest.raises(InputError, match="'nothing' is not declared"):
        invoke("show", "nothing")


def test_fetch_is_for_hub_models(home):
    with pytest.raises(InputError, match="tiny is embedded, not a hub model"):
        invoke("fetch", "tiny")


def test_pin_keeps_every_other_byte(tmp_path):
    path = tmp_path / "params.yaml"
    body = "models:\n  a: {source: hub, revision: main, dtype: float32}  # one\n  b:\n    revision: v1   # two\n"
    path.write_text(body)
    assert hub.pin(path, "a", COMMIT)
    assert hub.pin(path, "b", COMMIT)
    assert path.read_text() == body.replace("main", COMMIT).replace("v1", COMMIT)
    assert not hub.pin(path, "b", COMMIT)


def test_modules_that_other_stages_import_need_no_torch():
    records = [f"plantain.records.{name}" for name in ("lock", "units", "keys", "activations")]
    model = [
        f"plantain.model.{name}" for name in ("layout", "local", "embedded", "hub", "fetching", "materialise", "known")
    ]
    code = "import sys\n" + "\n".join(f"import {name}" for name in [*records, *model])
    check = f"{code}\nprint([name for name in ('torch', 'diffusers', 'transformers', 'numba') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
