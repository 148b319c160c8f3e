"""``plantain model show`` and ``fetch``, the second against a small server that speaks the Hub's protocol."""

import json
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers.capture_model import build_pipeline
from huggingface_hub import constants
from typer.testing import CliRunner

from plantain.base.errors import InputError
from plantain.base.files import sha256_file
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


class Handler(BaseHTTPRequestHandler):
    """Revision, tree and file downloads of one repository, as huggingface.co answers them."""

    def __init__(self, files: dict[str, Path], asked: list[str], *rest) -> None:
        self.files, self.asked = files, asked
        super().__init__(*rest)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path.split("?")[0])
        prefix = f"/{REPO}/resolve/{COMMIT}/"
        if path.startswith(prefix):
            self.send_stored(path.removeprefix(prefix))
        elif path.startswith(f"/api/models/{REPO}/tree/"):
            self.send_body(json.dumps([self.entry(name) for name in self.files]).encode(), "application/json")
        elif path.startswith(f"/api/models/{REPO}"):
            answer = {"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": []}
            self.send_body(json.dumps(answer).encode(), "application/json")
        else:
            self.send_error(404)

    def entry(self, name: str) -> dict:
        path = self.files[name]
        size, sha256 = path.stat().st_size, sha256_file(path)
        large = {"lfs": {"oid": sha256, "size": size, "pointerSize": 130}} if name.endswith(".safetensors") else {}
        return {"type": "file", "path": name, "size": size, "oid": sha256[:40], **large}

    def send_stored(self, name: str) -> None:
        self.asked.append(name)
        path = self.files[name]
        tag = sha256_file(path) if name.endswith(".safetensors") else sha256_file(path)[:40]
        self.send_body(path.read_bytes(), "application/octet-stream", tag)

    def send_body(self, body: bytes, kind: str, tag: str = "x") -> None:
        self.send_response(200)
        for key, value in (("Content-Type", kind), ("Content-Length", len(body)), ("ETag", f'"{tag}"')):
            self.send_header(key, str(value))
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        return


@pytest.fixture
def server(tmp_path, monkeypatch):
    folder = tmp_path / "repository"
    build_pipeline(0).save_pretrained(folder)
    for name in ("flux-2-klein.safetensors", "README.md", "transformer/model.bin"):
        (folder / name).write_bytes(b"not part of what is wanted")
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    asked: list[str] = []
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, files, asked))
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{served.server_port}")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield asked, files
    served.shutdown()
    served.server_close()
    thread.join()


def test_fetch_takes_the_parts_alone_and_pins_the_commit(home, server):
    asked, files = server
    before = (home / "params.yaml").read_text()
    output = invoke("fetch", "klein-base-4b-untrained")
    unwanted = {"flux-2-klein.safetensors", "README.md", "transformer/model.bin"}
    assert set(asked) == set(files) - unwanted
    after = (home / "params.yaml").read_text()
    assert after == before.replace("revision: main", f"revision: {COMMIT}")
    assert after != before
    assert COMMIT in output
    snapshot = home / "hub" / "models--someone--small-klein" / "snapshots" / COMMIT
    for name in set(files) - unwanted:
        assert (snapshot / name).read_bytes() == files[name].read_bytes()
    weights = snapshot / "transformer" / "diffusion_pytorch_model.safetensors"
    assert hub.blob_digest(weights) == weights.resolve().name == sha256_file(weights)
    shown = json.loads(invoke("show", "klein-base-4b", "--json"))
    assert shown["geometry"]["joint_blocks"] == 2
    asked.clear()
    assert "is now this commit" not in invoke("fetch", "klein-base-4b")
    assert asked == []


def test_fetch_refuses_when_the_disk_is_full(home, server, monkeypatch):
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
    with pytest.raises(InputError, match=r"needs 0\.\d GB more, and .* has 0\.0 GB free"):
        invoke("fetch", "klein-base-4b")


def test_fetch_says_why_it_cannot(home, server, monkeypatch):
    text = (home / "params.yaml").read_text()
    (home / "params.yaml").write_text(text.replace(REPO, "someone/else"))
    with pytest.raises(InputError, match=r"someone/else could not be read: .*404"):
        invoke("fetch", "klein-base-4b")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"could not be fetched.*connect this machine"):
        invoke("fetch", "klein-base-4b")
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
    model = [f"plantain.model.{name}" for name in ("layout", "local", "embedded", "hub", "materialise", "known")]
    code = "import sys\n" + "\n".join(f"import {name}" for name in [*records, *model])
    check = f"{code}\nprint([name for name in ('torch', 'diffusers', 'transformers', 'numba') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
