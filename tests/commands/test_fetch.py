"""``plantain model fetch``, the real command in a process of its own, against a hub process on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.capture_model import records
from helpers.command_line import Answer, plantain
from helpers.hub_server import TOKEN, Hub, hub_server, sha256
from helpers.model_sources import local
from huggingface_hub import constants

from plantain.base.config import read_params
from plantain.base.params import CaptureParams
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.model.adapters import find_lora
from plantain.model.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
REPO = "someone/small-klein"
FIRST, SECOND = "1a" * 20, "2b" * 20
MODEL = "klein-base-4b"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
TOKENIZER = "tokenizer/tokenizer.json"
MIB = 1 << 20
FETCH = ("-m", "plantain.cli", "model", "fetch", MODEL)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Hub]:
    with hub_server(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def published(saved, tmp_path_factory) -> Path:
    """What the repository holds: the pipeline, and beside it what is not wanted."""
    folder = tmp_path_factory.mktemp("repository") / "first"
    shutil.copytree(saved, folder)
    for name in ("flux-2-klein.safetensors", "README.md", "transformer/model.bin", "transformer/code.py"):
        (folder / name).write_bytes(b"not part of what is wanted")
    second = "transformer/diffusion_pytorch_model.fp16.safetensors"
    (folder / second).write_bytes(b"a second copy of the weights")
    return folder


@pytest.fixture(scope="module")
def heavy(published) -> Path:
    """The same with a file of 40 MiB: the client writes in pieces of 10."""
    folder = published.with_name("heavy")
    shutil.copytree(published, folder)
    value = json.loads((folder / TOKENIZER).read_text())
    (folder / TOKENIZER).write_text(json.dumps(value) + " " * (40 * MIB))
    return folder


@pytest.fixture
def hub(server, published) -> Hub:
    server.state["repos"].clear()
    server.state.pop("xet", None)
    server.faults()
    server.publish(REPO, FIRST, published)
    server.asked()
    return server


class Desk:
    """A workspace and a cache of its own, and the command in them: in this process, or in one of its own."""

    def __init__(self, folder: Path, hub: Hub, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.hub, self.patch = folder, hub, patch
        self.cache = folder / "hf" / "hub" / "models--someone--small-klein"
        text = (ROOT / "params.yaml").read_text().replace("black-forest-labs/FLUX.2-klein-base-4B", REPO)
        (folder / "params.yaml").write_text(text)
        for name in ("dvc.yaml", "environment.yaml"):
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(ROOT / "prompts", folder / "prompts")
        for name in [name for name in os.environ if name.startswith(("HF_", "DVC_", "PLANTAIN_"))]:
            patch.delenv(name)
        patch.setenv("PLANTAIN_CACHE", str(folder / "state"))
        patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "hf" / "hub"))
        # The client waits a second before it asks again.
        patch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))
        self.at(hub.address)

    def at(self, address: str) -> None:
        """From now on the hub is looked for there."""
        self.patch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        self.patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """A process, which has all that from the environment."""
        own = {"HF_HOME": str(self.folder / "hf"), "HF_ENDPOINT": self.hub.address}
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            env=os.environ | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fetch(self, token: str = "", offline: bool = False) -> Answer:
        with pytest.MonkeyPatch.context() as patch:
            if token:
                patch.setenv("HF_TOKEN", token)
            patch.setattr(constants, "HF_HUB_OFFLINE", offline)
            return plantain("model", "fetch", MODEL, folder=self.folder)

    def refused(self, token: str = "", offline: bool = False) -> str:
        """The one sentence of a fetch that cannot be, which leaves params.yaml as it was."""
        before = self.params()
        code, _, errors = self.fetch(token, offline)
        assert code == 2, errors
        assert self.params() == before
        assert "Traceback" not in errors
        assert not any(secret in errors for secret in (TOKEN, "hf_stranger", "Signature="))
        (sentence,) = [line for line in errors.splitlines() if line.startswith("plantain: ")]
        assert " Fix: " in sentence
        return sentence

    def fetched(self, token: str = "") -> str:
        code, said, errors = self.fetch(token)
        assert code == 0, errors
        return said

    def params(self) -> str:
        return (self.folder / "params.yaml").read_text()

    def snapshot(self, commit: str = FIRST) -> Path:
        return self.cache / "snapshots" / commit

    def whole(self, source: Path, commit: str = FIRST) -> bool:
        """Whether everything that is wanted of ``source`` is in the cache, and nothing else."""
        found = {path.relative_to(self.snapshot(commit)): path for path in self.snapshot(commit).rglob("*.*")}
        unwanted = ("README.md", "model.bin", "code.py", "flux-2-klein", ".fp16.")
        files = {path.relative_to(source): path for path in source.rglob("*") if path.is_file()}
        wanted = {name: path for name, path in files.items() if not any(part in str(name) for part in unwanted)}
        same = found.keys() == wanted.keys()
        return same and all(found[name].read_bytes() == path.read_bytes() for name, path in wanted.items())

    def halves(self) -> list[Path]:
        return sorted((self.cache / "blobs").glob("*incomplete"))


@pytest.fixture
def desk(tmp_path, hub, monkeypatch) -> Desk:
    return Desk(tmp_path, hub, monkeypatch)


def test_a_branch_becomes_a_commit_and_large_files_come_from_where_the_hub_leads(desk, hub, published):
    before = desk.params()
    said = desk.fetched(token=TOKEN)
    assert f"{REPO} at {FIRST}" in said
    assert desk.params() == before.replace("revision: main", f"revision: {FIRST}") != before
    assert desk.whole(published)
    assert (desk.cache / "refs" / "main").read_text() == FIRST
    assert desk.halves() == []
    asked = hub.asked()
    large = [one for one in asked if one["port"] == hub.files_port]
    assert {one["path"].split("/", 4)[4] for one in large} == {
        path.relative_to(published).as_posix()
        for path in published.rglob("*")
        if path.name in ("tokenizer.json", "diffusion_pytorch_model.safetensors", "model.safetensors")
    }
    assert not any(one["authorization"] for one in large)
    assert all(one["authorization"] == f"Bearer {TOKEN}" for one in asked if f"/{REPO}/" in one["path"])
    assert not any("code.py" in one["path"] or "fp16" in one["path"] for one in asked if "/tree/" not in one["path"])


def test_xet_is_not_what_files_come_by(desk, hub, published):
    hub.state["xet"] = True
    hub.write()
    desk.fetched()
    assert desk.whole(published)
    assert not any("xet" in one["path"] for one in hub.asked())


def test_what_is_there_is_not_fetched_again_but_what_is_damaged_is(desk, hub, published):
    desk.fetched()
    hub.asked()
    said = desk.fetched()
    assert "is now this commit" not in said
    assert not any("/resolve/" in one["path"] or one["port"] == hub.files_port for one in hub.asked())
    blob = (desk.snapshot() / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    (desk.snapshot() / "vae/config.json").resolve().write_text("{}")
    desk.refused()  # of a small file the client knows the name alone: it is removed
    desk.fetched()
    assert desk.whole(published)
    assert desk.fetch(offline=True).code == 0
    (desk.snapshot() / "vae/config.json").unlink()
    assert "HF_HUB_OFFLINE is set" in desk.refused(offline=True)


def test_show_brings_configurations_alone(desk, hub, published):
    answer = plantain("model", "show", f"{REPO}@main", "--json", folder=desk.folder)
    assert json.loads(answer.output)["counts"]["heads"] == 10, answer.errors
    asked = hub.asked()
    assert not any(one["port"] == hub.files_port for one in asked)
    assert {one["path"].split(f"/{FIRST}/")[1] for one in asked if "/resolve/" in one["path"]} == {
        path.relative_to(published).as_posix()
        for path in published.rglob("*.json")
        if path.name in ("model_index.json", "config.json", "scheduler_config.json")
    }
    assert plantain("model", "show", MODEL, folder=desk.folder).code == 0
    assert hub.asked() == [], "they are in the cache now"
    answer = plantain("model", "show", "someone/else", folder=desk.folder)
    assert (answer.code, "no repository someone/else" in answer.errors) == (2, True)
    desk.fetched()
    assert desk.whole(published)


def test_a_lora_is_fetched_and_pinned_too(desk, hub, published):
    other = published.with_name("style")
    other.mkdir(exist_ok=True)
    (other / "style.safetensors").write_bytes(b"a LoRA" * 1000)
    hub.publish("someone/style", SECOND, other)
    before = desk.params()
    entry = "    lora: {repo: someone/style, file: style.safetensors, revision: main, scale: 0.5}\n"
    declared = before.replace("    revision: main\n", f"    revision: main\n{entry}", 1)
    (desk.folder / "params.yaml").write_text(declared)
    said = desk.fetched()
    assert f"style.safetensors of someone/style at {SECOND}" in said
    assert desk.params() == declared.replace("revision: main\n", f"revision: {FIRST}\n").replace(
        "revision: main,", f"revision: {SECOND},"
    )
    found = find_lora(read_params(desk.folder / "params.yaml").models[MODEL].lora, MODEL)
    assert (found.revision, found.scale) == (SECOND, 0.5)
    assert found.sha256 == sha256(other / "style.safetensors")
    (desk.folder / "params.yaml").write_text(declared.replace("file: style", "file: other"))
    assert "someone/style has no file other.safetensors" in desk.fetch().errors


def wait_until(holds, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_a_killed_fetch_goes_on_where_it_stopped(desk, hub, heavy):
    hub.publish(REPO, FIRST, heavy)
    hub.faults({"kind": "stall", "of": TOKENIZER, "after": 25 * MIB})
    process = desk.start(*FETCH)
    wait_until(lambda: any(path.stat().st_size >= 20 * MIB for path in desk.halves()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (desk.cache / "refs").exists()
    assert "revision: main" in desk.params()
    (half,) = [path for path in desk.halves() if path.stat().st_size]
    there = half.stat().st_size
    hub.faults()
    hub.asked()
    desk.fetched()
    assert desk.whole(heavy)
    assert desk.halves() == []
    (again,) = [one for one in hub.asked() if one["port"] == hub.files_port and TOKENIZER in one["path"]]
    assert again["range"] == f"bytes={there}-"


def test_a_half_file_of_other_bytes_is_fetched_from_the_start(desk, hub, heavy):
    hub.publish(REPO, FIRST, heavy)
    (desk.cache / "blobs").mkdir(parents=True)
    half = desk.cache / "blobs" / f"{sha256(heavy / TOKENIZER)}.plantain.incomplete"
    half.write_bytes(bytes(10 * MIB))
    desk.fetched()
    assert desk.whole(heavy)
    assert [one["range"] for one in hub.asked() if one["port"] == hub.files_port and TOKENIZER in one["path"]] == [
        f"bytes={10 * MIB}-",
        None,
    ]


@pytest.mark.parametrize("fault", ["hang up", "no range"])
def test_a_server_that_hangs_up_is_asked_for_the_rest(desk, hub, heavy, fault):
    hub.publish(REPO, FIRST, heavy)
    hang = {"kind": "hang up", "of": TOKENIZER, "after": 25 * MIB, "times": 2}
    hub.faults(hang, *([{"kind": "no range", "of": TOKENIZER}] if fault == "no range" else []))
    desk.fetched()
    assert desk.whole(heavy)


def test_a_server_that_always_hangs_up_is_named(desk, hub, published):
    hub.faults({"kind": "hang up", "of": WEIGHTS, "after": 1000})
    assert f"could not be fetched from {hub.address}" in desk.refused()
    hub.faults({"kind": "hang up", "of": "vae/config.json", "after": 10})
    assert REPO in desk.refused()
    hub.faults()
    desk.fetched()
    assert desk.whole(published)


@pytest.mark.parametrize("name", [WEIGHTS, "vae/config.json", "model_index.json"])
@pytest.mark.parametrize("kind", ["corrupt", "cut"])
def test_content_that_is_not_what_the_hub_lists_never_gets_its_place(desk, hub, published, name, kind):
    hub.faults({"kind": kind, "of": name, "after": 50})
    sentence = desk.refused()
    assert "another content" in sentence or "ends a file before its end" in sentence
    assert not (desk.snapshot() / name).exists()
    assert not (desk.cache / "refs").exists()
    hub.faults()
    desk.fetched()
    assert desk.whole(published)


def test_a_gated_repository_says_what_to_do(desk, hub, published):
    hub.publish(REPO, FIRST, published, gated=True)
    nobody = desk.refused()
    assert "gated" in nobody
    assert "(401)" in nobody
    assert "hf auth login" in nobody
    assert f"{hub.address}/{REPO}" in nobody
    stranger = desk.refused(token="hf_stranger_token")
    assert "the account of your token is not among those with access (403)" in stranger
    unknown = desk.refused(token="hf_of_nobody_at_all")
    assert "does not let your token read" in unknown
    assert "hf_of_nobody" not in unknown
    desk.fetched(token=TOKEN)
    assert desk.whole(published)


def test_what_is_not_there_is_named(desk, hub, published):
    params = desk.params()
    (desk.folder / "params.yaml").write_text(params.replace("revision: main", "revision: v7"))
    assert f"{REPO} has no revision 'v7' (404)" in desk.refused()
    (desk.folder / "params.yaml").write_text(params.replace(REPO, "someone/else"))
    assert "no repository someone/else" in desk.refused()
    assert "no repository someone/else" in desk.refused(token=TOKEN)
    hub.publish("someone/else", SECOND, published, private=True)
    assert "run `hf auth login`" in desk.refused()
    other = published.with_name("no-pipeline")
    (other / "transformer").mkdir(parents=True, exist_ok=True)
    (other / "transformer" / "config.json").write_text("{}")
    hub.publish("someone/else", "3c" * 20, other, private=False)
    assert "has no model_index.json" in desk.refused()


def test_a_pipeline_that_is_not_measured_is_refused_before_anything_large(desk, hub, published):
    other = published.with_name("other")
    shutil.copytree(published, other, dirs_exist_ok=True)
    (other / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    hub.publish(REPO, SECOND, other)
    assert "StableDiffusionPipeline" in desk.refused()
    assert not any(one["port"] == hub.files_port for one in hub.asked())


@pytest.mark.parametrize("body", ["<html>Please log in to the hotel's network</html>", "{}", "[]", '{"sha": "main"}'])
def test_what_is_no_hub_is_named(desk, hub, body):
    hub.faults({"kind": "answer", "of": "/revision/main", "status": 200, "body": body})
    assert f"{hub.address} does not answer as a hub does" in desk.refused()


def test_a_hub_in_trouble_and_a_hub_that_is_not_there(desk, hub):
    hub.faults({"kind": "answer", "of": "/revision/main", "status": 503})
    assert "answered 503" in desk.refused()
    desk.at("http://127.0.0.1:9")
    assert "could not be fetched from http://127.0.0.1:9" in desk.refused()


def test_a_revision_that_moved_is_another_commit(desk, hub, published):
    desk.fetched()
    second = published.with_name("second")
    shutil.copytree(published, second, dirs_exist_ok=True)
    scheduler = json.loads((second / "scheduler/scheduler_config.json").read_text())
    (second / "scheduler/scheduler_config.json").write_text(json.dumps(scheduler | {"shift": 2.5}))
    hub.publish(REPO, SECOND, second)
    hub.asked()
    desk.fetched()  # pinned: the branch may go where it likes
    assert (desk.cache / "refs" / "main").read_text() == FIRST
    pinned = desk.params()
    (desk.folder / "params.yaml").write_text(pinned.replace(FIRST, "main"))
    desk.fetched()
    assert desk.params() == pinned.replace(FIRST, SECOND)
    assert desk.whole(published, FIRST)
    assert desk.whole(second, SECOND)
    assert not any(one["port"] == hub.files_port for one in hub.asked()), "the weights are the same bytes"


def test_two_fetches_at_once_take_turns(desk, hub, heavy):
    hub.publish(REPO, FIRST, heavy)
    hub.faults({"kind": "stall", "of": TOKENIZER, "after": 25 * MIB})
    first = desk.start(*FETCH)
    wait_until(desk.halves)
    second = desk.start(*FETCH)
    assert second.stderr.readline() == "Another fetch of someone/small-klein is under way; waiting for it.\n"
    hub.faults()
    answers = [process.communicate(timeout=60) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], answers
    assert desk.whole(heavy)
    bodies = [one for one in hub.asked() if one["method"] == "GET" and one["port"] == hub.files_port]
    assert sum(TOKENIZER in one["path"] for one in bodies) == 2, "the one that stalled, and its rest"


PROGRAM = """
import resource, runpy, shutil, sys
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
else:  # others fill the disk while the fetch is under way
    shutil.disk_usage = lambda _: type("Usage", (), {{"free": 1 << 40}})
sys.argv = ["plantain", "model", "fetch", "{model}"]
runpy.run_module("plantain.cli", run_name="__main__")
"""


def test_a_file_system_that_takes_no_more_is_named_and_the_next_fetch_goes_on(desk, hub, heavy):
    hub.publish(REPO, FIRST, heavy)
    process = desk.start("-c", PROGRAM.format(limit=15 * MIB, model=MODEL))
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "could not be stored in" in errors
    assert "a further fetch goes on from here" in errors
    assert "Traceback" not in errors
    hub.asked()
    desk.fetched()
    assert desk.whole(heavy)
    (again,) = [one for one in hub.asked() if one["port"] == hub.files_port and TOKENIZER in one["path"]]
    assert int(again["range"].removeprefix("bytes=").rstrip("-")) >= 10 * MIB


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_too_small_is_known_before(desk, hub, heavy, small_disk, monkeypatch):
    hub.publish(REPO, FIRST, heavy)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(small_disk))
    sentence = desk.refused()
    assert "GB more" in sentence
    assert "HF_HOME" in sentence
    assert not any(one["port"] == hub.files_port for one in hub.asked())


@pytest.mark.long
def test_a_disk_that_fills_up_meanwhile_is_named(desk, hub, heavy, small_disk):
    hub.publish(REPO, FIRST, heavy)
    process = desk.start("-c", PROGRAM.format(limit=0, model=MODEL), HF_HUB_CACHE=str(small_disk))
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 2, errors
    assert "no space left on device" in errors
    assert "Traceback" not in errors


def test_offline_what_was_fetched_is_locked_and_measured(desk, hub, saved, monkeypatch):
    desk.fetched()
    hub.faults({"kind": "answer", "of": "", "status": 500})
    hub.asked()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert json.loads(plantain("model", "show", MODEL, "--json", folder=desk.folder).output)["counts"]["heads"] == 10
    params = read_params(desk.folder / "params.yaml")
    small = {"device": "cpu", "dtype": "float32", "height": 64, "width": 64, "max_sequence_length": 96}
    entry = params.models[MODEL].model_copy(update=small | {"text_encoder_out_layers": [1, 2, 3]})
    lock, _ = resolve(MODEL, params.model_copy(update={"models": {MODEL: entry}}))
    assert lock.revision == FIRST
    assert lock.components["transformer"].weights_sha256 == sha256(saved / WEIGHTS)
    here, there = (
        capture_cell(records(creatures=("a cat",)), desk.folder, one, CaptureParams(), Silent()).activations
        for one in (resolve("mine", local(saved))[0], lock)
    )
    assert np.array_equal(here.mean_square, there.mean_square, equal_nan=True)
    assert np.isfinite(there.mean_square).any()
    assert hub.asked() == []
