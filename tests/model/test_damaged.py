"""Pipelines that are damaged, incomplete or mixed up: one sentence at the model stage, with file and fix."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from diffusers import Flux2KleinPipeline
from helpers.model_sources import COMMIT, hub, hub_cache, local
from huggingface_hub import constants
from safetensors.numpy import load_file, save_file

from plantain.base.errors import InputError
from plantain.model.describe import describe
from plantain.model.fetching import fetch
from plantain.model.hub import Hub
from plantain.model.resolve import resolve

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def mine(saved, home) -> Path:
    shutil.copytree(saved, home / "mine")
    return home / "mine"


def refused(folder: Path, name: str = "mine") -> InputError:
    with pytest.raises(InputError) as caught:
        resolve(name, local(folder))
    assert "\n" not in str(caught.value)
    assert caught.value.fix
    return caught.value


def packed(header: bytes | dict, body: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
TWICE = json.dumps(ONE)[:-1] + "," + json.dumps(ONE)[1:]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "its header would have 0 bytes, the file has 0"),
        (b"\x01\x02", "the file has 2"),
        (packed(ONE, bytes(8), 10**15), "its header would have 1,000,000,000,000,000 bytes, the file has"),
        (packed(b"{" * 40, b""), "invalid JSON"),
        (packed([], b""), "invalid JSON"),
        (packed(ONE, bytes(4)), "not fully covered"),
        (packed(ONE, bytes(12)), "not fully covered"),
        (packed({"a": ONE["a"] | {"data_offsets": [0, 800]}}, bytes(8)), "invalid"),
        (packed({"a": ONE["a"] | {"dtype": "F16"}}, bytes(8)), "invalid"),
        (packed({"a": ONE["a"] | {"dtype": "Q9"}}, bytes(8)), "Q9"),
        (packed(TWICE.encode(), bytes(8)), "the name a occurs twice"),
    ],
)
@pytest.mark.parametrize("name", ["mine", "fresh"])
def test_a_damaged_weight_file_is_named_before_it_is_hashed(mine, content, says, name, monkeypatch):
    path = mine / "vae" / WEIGHTS
    path.write_bytes(content)
    hashed = []
    monkeypatch.setattr("plantain.model.local.sha256_file", lambda path: hashed.append(path) or "0" * 64)
    error = refused(mine, name)
    assert error.file == path
    assert says in error.problem
    assert path not in hashed


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_a_weight_file_cut_short_is_refused(mine, part):
    (path,) = (mine / part).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(mine).file == path


def rewrite(path: Path, **changes: np.ndarray | None) -> None:
    tensors = load_file(path)
    for name, value in changes.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    save_file(tensors, path, metadata={"format": "pt"})


def test_weights_that_lack_a_tensor_are_refused_since_libraries_make_one_up(mine):
    path = mine / "transformer" / WEIGHTS
    rewrite(path, **{"norm_out.linear.weight": None})
    # What diffusers does with it is no error.
    Flux2KleinPipeline.from_pretrained(mine, low_cpu_mem_usage=False)
    error = refused(mine)
    assert "asks for the tensor norm_out.linear.weight of shape [128, 64], which is not in the weight" in error.problem


@pytest.mark.parametrize(
    ("part", "name"),
    [("vae", "encoder.conv_in.weight"), ("text_encoder", "model.layers.1.mlp.up_proj.weight")],
)
def test_every_part_is_compared_with_its_configuration(mine, part, name):
    (path,) = (mine / part).glob("*.safetensors")
    shape = load_file(path)[name].shape
    rewrite(path, **{name: np.zeros((3, 3), np.float32)})
    assert f"{name.removeprefix('model.')} of shape {list(shape)}, which has [3, 3]" in refused(mine).problem


def test_weights_that_are_no_floating_numbers_are_refused(mine):
    path = mine / "transformer" / WEIGHTS
    name = "norm_out.linear.weight"
    rewrite(path, **{name: np.zeros(load_file(path)[name].shape, np.int8)})
    error = refused(mine)
    assert (error.file, "holds I8" in error.problem) == (path, True)


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("transformer/config.json", b"{", "not valid JSON"),
        ("transformer/config.json", b"[1]", "not a JSON object"),
        ("transformer/config.json", b"\xff\xfe\x00", "not valid JSON"),
        ("transformer/config.json", b'{"num_layers": "many"}', "not readable as a transformer"),
        ("transformer/config.json", None, "not readable as a transformer"),
        ("vae/config.json", b"null", "not a JSON object"),
        ("vae/config.json", b'{"block_out_channels": 3}', "not readable as an autoencoder"),
        ("text_encoder/config.json", b'{"hidden_size": "wide"}', "not readable as a text encoder"),
        ("tokenizer/tokenizer.json", b"{}", "not readable as a tokenizer"),
        ("tokenizer/tokenizer_config.json", b"7", "not a JSON object"),
        ("scheduler/scheduler_config.json", None, "not readable as a scheduler"),
        ("model_index.json", b"nothing", "not valid JSON"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(mine, part, content, says):
    path = mine / part
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    error = refused(mine)
    assert says in error.problem
    assert str(error.file) in (str(path), str(path.parent))


def test_describing_a_model_names_a_broken_configuration_too(mine):
    for content, says in (
        (b"{", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'{"num_layers": "x"}', "not readable"),
    ):
        (mine / "transformer/config.json").write_bytes(content)
        with pytest.raises(InputError, match=says):
            describe("mine", local(mine))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({}, "does not name files of this folder"),
        ({"weight_map": ["x"]}, "does not name files of this folder"),
        ({"weight_map": {"a": "../vae/diffusion_pytorch_model.safetensors"}}, "does not name files of this folder"),
        ({"weight_map": {"a": 3}}, "does not name files of this folder"),
        ({"weight_map": {"a": "one.safetensors"}}, "weight file one.safetensors is missing"),
    ],
)
def test_a_shard_index_that_misleads_is_refused(mine, index, says):
    (mine / "transformer" / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    assert says in refused(mine).problem


def test_a_tensor_in_two_shards_is_refused(mine):
    folder = mine / "transformer"
    (folder / WEIGHTS).rename(folder / "one.safetensors")
    assert "no weight file is called diffusion_pytorch_model.safetensors" in refused(mine).problem
    shutil.copy(folder / "one.safetensors", folder / "two.safetensors")
    names = {"a": "one.safetensors", "b": "two.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": names}))
    error = refused(mine)
    assert error.file == folder / "two.safetensors"
    assert "is in one.safetensors too" in error.problem


def test_a_damaged_memory_of_digests_is_made_anew(mine, home):
    lock, _ = resolve("mine", local(mine))
    (store,) = (home / "state/local").iterdir()
    for content in (b"{", b"[]", b'{"vae/x": 3}'):
        store.write_bytes(content)
        assert resolve("mine", local(mine))[0] == lock


@pytest.mark.parametrize(("key", "value"), [("height", 72), ("width", 1000)])
def test_a_size_that_is_no_multiple_of_16_names_its_key(mine, key, value):
    with pytest.raises(InputError, match=rf"models\.mine\.{key}: {key} {value} does not fit.*multiple of 16"):
        resolve("mine", local(mine, **{key: value}))


def distant() -> InputError:
    with pytest.raises(InputError) as caught:
        resolve("distant", hub())
    assert "\n" not in str(caught.value)
    assert "plantain model fetch distant" in caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    "part",
    [
        "model_index.json",
        "transformer/config.json",
        f"transformer/{WEIGHTS}",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
    ],
)
@pytest.mark.parametrize("offline", [True, False])
def test_a_link_of_the_cache_that_leads_nowhere_is_named(saved, home, part, offline, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    snapshot = hub_cache(saved, home / "hub")
    (snapshot / part).resolve().unlink()
    assert (snapshot / part).is_symlink()
    error = distant()
    assert part == "model_index.json" or Path(part).name in error.problem


def test_a_damaged_file_of_the_cache_is_to_be_fetched_again(saved, home):
    snapshot = hub_cache(saved, home / "hub")
    for part, says in ((f"vae/{WEIGHTS}", "cut short"), ("transformer/config.json", "not valid JSON")):
        blob = (snapshot / part).resolve()
        whole = blob.read_bytes()
        blob.write_bytes(whole[:-20])
        error = distant()
        assert says in error.problem
        assert error.fix == "run `plantain model fetch distant`: it fetches a damaged file again."
        blob.write_bytes(whole)
    resolve("distant", hub())


@pytest.mark.parametrize("ref", ["", "e" * 40, f"{COMMIT}\n\n", "../../.."])
def test_a_reference_of_the_cache_to_no_snapshot_is_missing_weights(saved, home, ref):
    hub_cache(saved, home / "hub")
    (home / "hub/models--someone--small-klein/refs/main").write_text(ref)
    assert "are not in the Hugging Face cache" in distant().problem


def test_a_cache_that_is_a_file_is_missing_weights(home):
    (home / "hub").write_text("")
    assert "are not in the Hugging Face cache" in distant().problem


@pytest.mark.parametrize("repo", ["a/b/c", "with space/x", "-x/y", ""])
def test_a_name_that_is_no_repository_is_refused(home, repo):
    with pytest.raises(InputError, match=r"models\.distant\.repo: .* is no repository's name\. Fix: .*owner/name"):
        resolve("distant", hub(repo=repo))
    with pytest.raises(InputError, match="is no repository's name"):
        describe("distant", hub(repo=repo))
    with pytest.raises(InputError, match="is no repository's name"):
        fetch(Hub("distant", repo, "main"))


def test_fetching_offline_says_so(home, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"could not be fetched: HF_HUB_OFFLINE is set.*Fix: unset HF_HUB_OFFLINE"):
        fetch(Hub("distant", "someone/small-klein", "main"))
