"""Embedded models: built once, checked, built again."""

import shutil
from pathlib import Path

import pytest
from diffusers import Flux2KleinPipeline
from helpers.capture_model import build_pipeline
from helpers.model_sources import declare, equal, settings

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.base.params import Method, ModelParams, Params, Source
from plantain.model import embedded
from plantain.model.load import load_tokenizer, load_transformer
from plantain.model.materialise import materialise
from plantain.model.resolve import resolve
from plantain.records.lock import ModelLock


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


def test_the_shipped_tiny_has_the_shape_of_klein_and_its_own_head_width(home):
    lock, units = resolve("tiny", read_params())
    shape = lock.geometry
    assert (shape.joint_blocks, shape.single_blocks, shape.head_width) == (5, 20, 32)
    assert len(units) == shape.groups
    transformer = load_transformer(lock, "cpu")
    assert sum(parameter.numel() for parameter in transformer.parameters()) == shape.parameters
    assert sha256_file(materialise(lock) / "transformer" / "diffusion_pytorch_model.safetensors") == (
        lock.components["transformer"].weights_sha256
    )
