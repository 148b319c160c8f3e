"""Local, hub and embedded models: resolved, loaded, and refused when they changed."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from capture_model import LAYERS, build_pipeline
from diffusers import Flux2KleinPipeline
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from plantain.config import Method, ModelParams, Params, Source, read_params
from plantain.errors import InputError
from plantain.files import sha256_file
from plantain.model import embedded
from plantain.model.load import load_pipeline, load_text_encoder, load_tokenizer, load_transformer, resolve_device
from plantain.model.lock import ModelLock, lock_path, read_lock
from plantain.model.materialise import materialise
from plantain.model.resolve import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/small-klein"


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "pipeline"
    build_pipeline(0).save_pretrained(folder)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "state"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def declare(**entries: ModelParams) -> Params:
    params = read_params(Path(__file__).parent.parent / "params.yaml")
    params.models = {name.replace("_", "-"): entry for name, entry in entries.items()}
    return params


def settings(source: Source, **rest) -> ModelParams:
    sizes = {"height": 64, "width": 64, "max_sequence_length": 96, "text_encoder_out_layers": LAYERS}
    usual = {"device": "cpu", "dtype": "float32"} | sizes
    return ModelParams(source=source, **(usual | rest))


def local(folder: Path, **rest) -> Params:
    of = {"of": "mine"}
    return declare(
        mine=settings(Source.local, path=str(folder), **rest),
        fresh=ModelParams(source=Source.untrained, method=Method.reinit, seed=4, **of),
        family=ModelParams(source=Source.untrained, method=Method.shuffle, seeds=3, **of),
    )


def hub_cache(saved: Path, cache: Path, ref: str = "main") -> Path:
    """The files of ``saved`` as the Hub's client lays them out: blobs named by digest, snapshots of links."""
    store = cache / "models--someone--small-klein"
    snapshot = store / "snapshots" / COMMIT
    for path in sorted(saved.rglob("*")):
        if path.is_file():
            large = path.suffix == ".safetensors"
            blob = store / "blobs" / (sha256_file(path) if large else sha256_file(path)[:40])
            blob.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blob)
            link = snapshot / path.relative_to(saved)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    (store / "refs").mkdir()
    (store / "refs" / ref).write_text(COMMIT)
    return snapshot


def hub(**rest) -> Params:
    repo = {"repo": REPO, "revision": "main"} | rest
    return declare(
        distant=settings(Source.hub, **repo),
        fresh=ModelParams(source=Source.untrained, method=Method.reinit, seed=0, of="distant"),
        moved=ModelParams(source=Source.untrained, method=Method.shuffle, seed=0, of="distant"),
    )


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_local_model_loads_as_diffusers_loads_it(saved, home):
    lock, units = resolve("mine", local(saved))
    ours, plain = load_pipeline(lock, "cpu"), Flux2KleinPipeline.from_pretrained(saved)
    for part in ("transformer", "text_encoder", "vae"):
        assert equal(getattr(ours, part), getattr(plain, part))
        assert not getattr(ours, part).training
    assert ours.tokenizer.get_vocab() == plain.tokenizer.get_vocab()
    assert ours.scheduler.config == plain.scheduler.config
    assert ours.config.is_distilled is False
    assert lock.geometry.groups == len(units) == 2 * 2 * 4 + 3 * 16
    assert lock.components["vae"].weights_sha256 == sha256_file(saved / "vae" / "diffusion_pytorch_model.safetensors")


def test_a_lock_survives_its_file(saved, home):
    lock, _ = resolve("mine", local(saved))
    path = home / lock_path("mine")
    path.parent.mkdir(parents=True)
    path.write_bytes(lock.to_bytes())
    assert read_lock(path) == lock
    assert read_lock(path).sha256 == sha256_file(path) == lock.sha256
    path.write_text("{}")
    with pytest.raises(InputError, match=r"not a model lock: .*Fix: run `dvc repro -f model@mine`"):
        read_lock(path)
    path.unlink()
    with pytest.raises(InputError, match="not resolved yet"):
        read_lock(path)


def test_half_precision_is_what_from_pretrained_gives(saved, home):
    lock, _ = resolve("mine", local(saved, dtype="bfloat16"))
    plain = Flux2KleinPipeline.from_pretrained(saved, dtype=torch.bfloat16)
    assert equal(load_transformer(lock, "cpu"), plain.transformer)
    assert equal(load_text_encoder(lock, "cpu"), plain.text_encoder)


def test_changed_local_weights_are_refused_and_accepted_by_resolving_again(saved, home):
    mine = home / "mine"
    shutil.copytree(saved, mine)
    params = local(Path("mine"))
    lock, _ = resolve("mine", params)
    weights = mine / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors[next(iter(tensors))].view(-1)[0] += 1
    save_file(tensors, weights, metadata={"format": "pt"})
    message = (
        r"weights of mine changed since models/mine/model\.lock\.json was written \(in: vae;.*dvc repro -f model@mine"
    )
    with pytest.raises(InputError, match=message):
        load_tokenizer(lock)
    again, _ = resolve("mine", params)
    assert again.sha256 != lock.sha256
    load_pipeline(again, "cpu")


def test_a_touched_local_file_with_the_same_bytes_is_accepted(saved, home):
    mine = home / "mine"
    shutil.copytree(saved, mine)
    lock, _ = resolve("mine", local(mine))
    (mine / "vae" / "diffusion_pytorch_model.safetensors").touch()
    assert materialise(lock) == mine


def test_an_unchanged_local_weight_file_is_not_hashed_again(saved, home, monkeypatch):
    lock, _ = resolve("mine", local(saved))
    hashed = []
    monkeypatch.setattr("plantain.model.local.sha256_file", lambda path: hashed.append(path) or sha256_file(path))
    materialise(lock)
    assert hashed == []


def test_another_library_version_in_a_config_changes_no_lock(saved, home):
    mine = home / "mine"
    shutil.copytree(saved, mine)
    lock, _ = resolve("mine", local(mine))
    path = mine / "transformer" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"_diffusers_version": "9.9"}))
    assert materialise(lock) == mine
    path.write_text(json.dumps(config | {"rope_theta": 1}))
    with pytest.raises(InputError, match="in: transformer"):
        materialise(lock)


def edit_index(folder: Path, **changes) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_distilled": True}, "the pipeline is distilled"),
        ({"_class_name": "Flux2KleinKVPipeline"}, "the pipeline is a Flux2KleinKVPipeline, not a Flux2KleinPipeline"),
        ({"vae": ["diffusers", "AutoencoderKL"]}, "the vae is AutoencoderKL"),
        ({"transformer": None}, "the transformer is missing"),
    ],
)
def test_other_pipelines_are_refused(saved, home, changes, message):
    mine = home / "mine"
    shutil.copytree(saved, mine)
    edit_index(mine, **changes)
    with pytest.raises(InputError, match=message):
        resolve("mine", local(mine))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 72}, "height 72 does not fit the latent.*multiple of 16"),
        ({"text_encoder_out_layers": [1, 2, 9]}, r"layers are \[1, 2, 9\].*name 3 of the encoder's layers 0 to 3"),
        ({"text_encoder_out_layers": [1, 2]}, r"layers are \[1, 2\].*name 3"),
        ({"dtype": "int8"}, "'int8' is not a dtype"),
    ],
)
def test_settings_that_the_files_cannot_serve_are_refused(saved, home, changes, message):
    with pytest.raises(InputError, match=message):
        resolve("mine", local(saved, **changes))


def test_a_missing_folder_or_shard_is_named(saved, home):
    with pytest.raises(InputError, match="no such folder"):
        resolve("mine", local(home / "nowhere"))
    mine = home / "mine"
    shutil.copytree(saved, mine)
    (mine / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InputError, match="no safetensors weight file"):
        resolve("mine", local(mine))


def test_sharded_weights_are_read_and_a_missing_shard_is_named(saved, home):
    mine = home / "mine"
    pipeline = Flux2KleinPipeline.from_pretrained(saved)
    pipeline.save_pretrained(mine, max_shard_size="200KB")
    lock, _ = resolve("mine", local(mine))
    assert equal(load_transformer(lock, "cpu"), pipeline.transformer)
    shard = next((mine / "transformer").glob("*-00001-of-*.safetensors"))
    shard.unlink()
    with pytest.raises(InputError, match=f"{shard.name} is missing"):
        load_transformer(lock, "cpu")


def test_a_reinitialised_model_keeps_everything_but_its_transformer(saved, home):
    params = local(saved)
    lock, units = resolve("fresh", params)
    parent, parent_units = resolve("mine", params)
    assert (lock.seeds, lock.family, lock.reference_model, len(lock.draws)) == ([4], False, "mine", 1)
    assert units.equals(parent_units)
    assert equal(load_text_encoder(lock, "cpu"), load_text_encoder(parent, "cpu"))
    made = load_transformer(lock, "cpu")
    assert equal(made, load_transformer(lock, "cpu"))
    assert not equal(made, load_transformer(parent, "cpu"))
    weight = made.x_embedder.weight
    assert weight.abs().max() <= weight.shape[1] ** -0.5


def test_a_family_is_one_lock_with_a_digest_a_draw(saved, home):
    params = local(saved)
    lock, _ = resolve("family", params)
    assert (lock.seeds, lock.family, len(set(lock.draws))) == ([0, 1, 2], True, 3)
    parent = load_transformer(resolve("mine", params)[0], "cpu").x_embedder.weight
    draws = [load_transformer(lock, "cpu", draw).x_embedder.weight for draw in range(3)]
    for draw in draws:
        assert not torch.equal(draw, parent)
        assert torch.equal(draw.flatten().sort().values, parent.flatten().sort().values)
    assert not torch.equal(draws[0], draws[1])
    with pytest.raises(InputError, match=r"family has no draw 3.*0 to 2"):
        load_transformer(lock, "cpu", 3)


def test_a_draw_that_differs_from_its_digest_is_refused(saved, home):
    lock, _ = resolve("family", local(saved))
    wrong = lock.model_copy(update={"draws": [lock.draws[1], lock.draws[0], lock.draws[2]]})
    load_transformer(wrong, "cpu", 2)
    with pytest.raises(InputError, match="weights of family, draw 0, made here have digest"):
        load_transformer(wrong, "cpu", 0)


def test_a_hub_model_is_read_from_the_cache_alone(saved, home):
    snapshot = hub_cache(saved, home / "hub")
    lock, _ = resolve("distant", hub())
    assert (lock.repo, lock.revision) == (REPO, COMMIT)
    assert materialise(lock) == snapshot
    plain = Flux2KleinPipeline.from_pretrained(saved)
    assert equal(load_transformer(lock, "cpu"), plain.transformer)
    assert equal(load_text_encoder(lock, "cpu"), plain.text_encoder)
    local_lock, _ = resolve("mine", local(saved))
    assert lock.components == local_lock.components


def test_hub_digests_are_the_names_of_the_blobs(saved, home, monkeypatch):
    hub_cache(saved, home / "hub")
    hashed = []
    monkeypatch.setattr("plantain.model.hub.sha256_file", lambda path: hashed.append(path) or sha256_file(path))
    lock, _ = resolve("distant", hub())
    weights = saved / "transformer" / "diffusion_pytorch_model.safetensors"
    assert lock.components["transformer"].weights_sha256 == sha256_file(weights)
    assert hashed == []


def test_missing_hub_weights_name_repository_files_and_command(saved, home):
    with pytest.raises(InputError) as error:
        resolve("distant", hub(repo="black-forest-labs/FLUX.2-klein-base-4B"))
    for part in ("black-forest-labs/FLUX.2-klein-base-4B", "text_encoder", "16 GB", "plantain model fetch distant"):
        assert part in str(error.value)
    snapshot = hub_cache(saved, home / "hub")
    (snapshot / "text_encoder" / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"Found incomplete: .*text_encoder.*no safetensors"):
        resolve("distant", hub())


def test_a_hub_snapshot_that_moved_on_is_not_taken_for_the_locked_one(saved, home):
    snapshot = hub_cache(saved, home / "hub")
    lock, _ = resolve("distant", hub())
    snapshot.rename(snapshot.with_name("f" * 40))
    (home / "hub" / "models--someone--small-klein" / "refs" / "main").write_text("f" * 40)
    with pytest.raises(InputError, match=f"revision {COMMIT}.*fetch distant"):
        load_tokenizer(lock)


def test_a_reinitialised_hub_model_needs_no_transformer_weights(saved, home):
    snapshot = hub_cache(saved, home / "hub")
    (snapshot / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    lock, _ = resolve("fresh", hub())
    assert load_transformer(lock, "cpu").config.num_layers == 2
    with pytest.raises(InputError, match="fetch distant"):
        resolve("moved", hub())


@pytest.fixture
def small_embedded(saved, monkeypatch):
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        shutil.copytree(saved, folder)

    monkeypatch.setitem(embedded.BUILDERS, "tiny", build)
    return built


def embedded_params() -> Params:
    return declare(
        tiny=settings(Source.embedded),
        tiny_untrained=ModelParams(source=Source.untrained, method=Method.reinit, seed=0, of="tiny"),
    )


def test_an_embedded_model_is_built_once_and_again_where_it_is_gone(saved, home, small_embedded):
    lock, _ = resolve("tiny", embedded_params())
    folder = materialise(lock)
    assert folder == home / "state" / "models" / lock.files_sha256
    assert len(small_embedded) == 1
    shutil.rmtree(home / "state")
    assert equal(load_transformer(lock, "cpu"), Flux2KleinPipeline.from_pretrained(saved).transformer)
    assert len(small_embedded) == 2
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [lock.files_sha256]


def test_a_damaged_embedded_model_is_built_again(home, small_embedded):
    lock, _ = resolve("tiny", embedded_params())
    weights = materialise(lock) / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    materialise(lock)
    assert len(small_embedded) == 2
    assert weights.read_bytes() != bytes(data)


def test_an_embedded_model_that_this_version_builds_otherwise_is_refused(home, small_embedded, monkeypatch):
    lock, _ = resolve("tiny-untrained", embedded_params())
    other = home / "other"
    build_pipeline(1).save_pretrained(other)
    shutil.rmtree(home / "state")
    monkeypatch.setitem(embedded.BUILDERS, "tiny", lambda folder: shutil.copytree(other, folder))
    with pytest.raises(InputError, match="tiny-untrained as this version of plantain builds it differs"):
        load_tokenizer(lock)


def test_embedded_locks_do_not_depend_on_the_place(home, small_embedded, monkeypatch, tmp_path):
    first = {name: resolve(name, embedded_params())[0].to_bytes() for name in ("tiny", "tiny-untrained")}
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "elsewhere"))
    assert {name: resolve(name, embedded_params())[0].to_bytes() for name in first} == first
    assert str(tmp_path).encode() not in b"".join(first.values())
    assert ModelLock.model_validate_json(first["tiny-untrained"]).reference_model == "tiny"


def test_unknown_names_are_refused(saved, home):
    with pytest.raises(InputError, match="model 'other' is not declared"):
        resolve("other", local(saved))
    with pytest.raises(InputError, match="there is no embedded model 'huge'"):
        resolve("huge", declare(huge=settings(Source.embedded)))


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cuda", "mps", "cpu")
    with pytest.raises(InputError, match="device 'tpu' is declared, and this machine has"):
        resolve_device("tpu")
