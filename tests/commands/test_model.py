"""``plantain model show``, and what of ``fetch`` needs no hub (`test_fetch.py` has one)."""

import json
import shutil
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
            "dead_heads": 0,
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


def shown(name: str) -> dict:
    return json.loads(invoke("show", name, "--json"))


def test_show_gives_the_table_of_any_row(home, tmp_path):
    """Expected from the classes' own code: blocks of the published model, what runs before text is read."""
    found = shown("PixArt-alpha/PixArt-Sigma-XL-2-1024-MS")
    assert found["architecture"] == "PixArt-Sigma"
    assert (found["counts"]["heads"], found["counts"]["dead_heads"]) == (2 * 28 * 16 - 16, 16)
    assert found["group_width"] == 12, "the largest divisor of 72 up to 16"
    assert found["facts"]["conditions_on_image"] == "none"
    found = shown("Tongyi-MAI/Z-Image")
    assert found["facts"]["token_order"] == ["image", "text"]
    assert (found["counts"]["heads"], found["counts"]["dead_heads"]) == (30 * 30, 2 * 30)
    found = shown("black-forest-labs/FLUX.1-Kontext-dev")
    assert found["facts"]["pooled_text"] is True
    assert (found["facts"]["guidance"], found["facts"]["conditions_on_image"]) == ("embedded", "tokens")
    assert shown("black-forest-labs/FLUX.1-schnell")["facts"]["guidance"] == "distilled"
    assert shown("black-forest-labs/FLUX.2-klein-4B")["facts"]["guidance"] == "distilled"
    table = invoke("show", "stabilityai/stable-diffusion-3.5-medium")
    assert "Text enters by attention and, pooled, by the modulation" in table
    assert not (home / "hub").exists()


def test_show_reads_a_folder_of_configurations_alone(home, saved):
    folder = home / "configurations"
    for name in ("model_index.json", "transformer/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(saved / name, folder / name)
    whole, alone = shown(str(folder)), shown(str(folder / "transformer"))
    assert whole["counts"] == alone["counts"]
    assert whole["counts"]["heads"] == (2 + 3) * 2
    assert (whole["pipeline"], alone["pipeline"]) == ("Flux2KleinPipeline", None)
    empty = home / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"empty/config\.json: no such file, so there is no transformer"):
        invoke("show", str(empty))


UNKNOWN = {
    "_class_name": "HiDreamImageTransformer2DModel", "patch_size": 2, "in_channels": 16, "out_channels": 16,
    "num_layers": 2, "num_single_layers": 3, "attention_head_dim": 8, "num_attention_heads": 4,
    "caption_channels": [32, 16], "text_emb_dim": 64, "num_routed_experts": 4, "num_activated_experts": 2,
    "axes_dims_rope": [4, 2, 2], "max_resolution": [32, 32], "llama_layers": [0, 1],
}  # fmt: skip


def test_show_says_what_was_found_in_a_class_without_a_row(home):
    (home / "config.json").write_text(json.dumps(UNKNOWN))
    with pytest.raises(InputError, match="no row for the transformer class HiDream") as error:
        invoke("show", str(home))
    assert "single_stream_blocks.{i}.block.attn1.to_out x 3: 4 heads of 8 in 32 channels" in str(error.value)
    assert "add a row to ARCHITECTURES" in error.value.fix
    for name in ("NoSuchClass", "DiffusionPipeline", "__name__"):
        (home / "config.json").write_text(json.dumps(UNKNOWN | {"_class_name": name}))
        with pytest.raises(InputError, match=f"has no model of the class {name}"):
            invoke("show", str(home))


def test_show_says_what_it_cannot_know(home, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"of someone/small-klein is not on this machine.*HF_HUB_OFFLINE"):
        invoke("show", "klein-base-4b")
    with pytest.raises(InputError, match="'nothing' is not declared, and no folder or repository"):
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
