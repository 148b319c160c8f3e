"""Hub models, on a cache laid out as the Hub's client lays it out; no network."""

import pytest
from diffusers import Flux2KleinPipeline
from helpers.model_sources import COMMIT, REPO, equal, hub, hub_cache, local

from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.model.load import load_text_encoder, load_tokenizer, load_transformer
from plantain.model.materialise import materialise
from plantain.model.resolve import resolve


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


def test_a_store_that_repositories_share_gives_no_digests(saved, home):
    """The Hub's client puts what came by Xet there, named by a digest of Xet's own, and links to it."""
    snapshot = hub_cache(saved, home / "hub")
    blob = (snapshot / "transformer" / "diffusion_pytorch_model.safetensors").resolve()
    for shared in (home / "hub" / "blobs" / "ee" / ("e" * 64), home / "elsewhere" / "blobs" / ("e" * 64)):
        shared.parent.mkdir(parents=True)
        blob.rename(shared)
        blob.symlink_to(shared)
        lock, _ = resolve("distant", hub())
        assert lock.components["transformer"].weights_sha256 == blob.name == sha256_file(shared)
        blob.unlink()
        shared.rename(blob)


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
