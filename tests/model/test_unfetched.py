"""Forecasts of published models that are not on this machine, from the classes that the files would be loaded into."""

import pytest
import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from transformers import Qwen3Config, Qwen3ForCausalLM

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.commands.forecast import declared_lock
from plantain.model.known import KLEIN_4B
from plantain.model.resolve import resolve
from plantain.model.unfetched import unfetched_lock

QWEN3 = {
    "klein-4b": {"hidden_size": 2560, "intermediate_size": 9728, "tie_word_embeddings": True},
    "klein-9b": {"hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False},
}
"""What differs between the published configurations of Qwen3 4B and 8B."""


@pytest.fixture
def params(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return read_params()


def parameters(module):
    return sum(one.numel() for one in module.parameters())


@pytest.mark.parametrize("width", ["klein-4b", "klein-9b"])
def test_sizes_are_those_of_the_classes(params, width):
    entry = params.models["klein-base-4b"]
    if width == "klein-9b":
        entry = entry.model_copy(update={"repo": "black-forest-labs/FLUX.2-klein-base-9B"})
    lock = unfetched_lock("it", params.model_copy(update={"models": {"it": entry}}))
    common = {
        "vocab_size": 151936, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "max_position_embeddings": 40960,
    }  # fmt: skip
    with torch.device("meta"):
        encoder, vae = Qwen3ForCausalLM(Qwen3Config(**common, **QWEN3[width])), AutoencoderKLFlux2()
    assert lock.components["text_encoder"].bytes == 2 * parameters(encoder)
    assert lock.components["vae"].bytes == 2 * parameters(vae)
    assert lock.components["transformer"].bytes == 2 * lock.geometry.parameters


def test_geometry_is_read_from_the_published_configuration(params):
    lock = unfetched_lock("klein-base-4b", params)
    with torch.device("meta"):
        assert lock.geometry.parameters == parameters(Flux2Transformer2DModel(**KLEIN_4B))
    assert (lock.geometry.joint_blocks, lock.geometry.single_blocks, lock.geometry.groups) == (5, 20, 17_280)


def test_the_dry_run_falls_back_on_it_and_no_stage_does(params, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    family = declared_lock(params, "klein-base-4b-reinit")
    assert len(family.seeds) == 40
    assert family.components["text_encoder"].weights_sha256 == "not fetched"
    with pytest.raises(InputError, match="plantain model fetch klein-base-4b"):
        resolve("klein-base-4b", params)


def test_an_unknown_repository_still_has_to_be_fetched(params, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    entry = params.models["klein-base-4b"].model_copy(update={"repo": "somebody/else"})
    unknown = params.model_copy(update={"models": {"klein-base-4b": entry}})
    assert unfetched_lock("klein-base-4b", unknown) is None
    assert unfetched_lock("tiny", params) is None
    with pytest.raises(InputError, match="plantain model fetch klein-base-4b"):
        declared_lock(unknown, "klein-base-4b")
