"""Local models: resolved, loaded as diffusers loads them, and refused when they changed."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import Flux2KleinPipeline
from helpers.model_sources import declare, equal, local, settings
from safetensors.torch import load_file, save_file

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.base.params import Source
from plantain.model.load import load_pipeline, load_text_encoder, load_tokenizer, load_transformer, resolve_device
from plantain.model.materialise import materialise
from plantain.model.resolve import resolve
from plantain.records.lock import read_lock


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
    path = home / places.model_lock("mine")
    path.parent.mkdir(parents=True)
    path.write_bytes(lock.to_bytes())
    assert read_lock(path) == lock
    assert read_lock(path).sha256 == sha256_file(path) == lock.sha256
    path.write_text("{}")
    with pytest.raises(InputError, match=r"not readable as a model lock .*Fix: run `dvc repro -f model@mine`"):
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
        ({"_class_name": "Flux2KleinKVPipeline"}, "there is no row for a Flux2KleinKVPipeline; plantain calls"),
        ({"safety_checker": ["diffusers", "Anything"]}, "plantain does not load a safety_checker"),
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


def test_a_distilled_pipeline_is_taken_as_what_it_is(saved, home):
    mine = home / "mine"
    shutil.copytree(saved, mine)
    edit_index(mine, is_distilled=True)
    lock, _ = resolve("mine", local(mine))
    plain, _ = resolve("mine", local(saved))
    assert (lock.is_distilled, lock.guidance, lock.klein) == (True, "distilled", False)
    assert (plain.is_distilled, plain.guidance, plain.klein) == (False, "none", True)
    assert load_pipeline(lock, "cpu").config.is_distilled is True


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
