import hashlib

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
from transformers import Qwen3ForCausalLM

from plantain.base.yaml import read_yaml
from plantain.model import tiny
from plantain.model.tiny import architecture
from plantain.model.tiny.assemble import WEIGHTS, shipped
from plantain.probe.authoring.shelf import shelf_file, shelved
from training import classroom
from training.closed_form import set_encoder


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second", "mention")]
    tiny.build(folders[0])
    tiny.build(folders[1])
    tiny.build_mention(folders[2])
    return folders


def test_two_builds_are_equal_to_the_byte(built):
    assert digests(built[0]) == digests(built[1])


def test_the_mention_organism_differs_in_its_transformer_alone(built):
    first, mention = digests(built[0]), digests(built[2])
    assert {name for name in first if first[name] != mention[name]} == {
        "transformer/diffusion_pytorch_model.safetensors"
    }


def test_from_pretrained_gives_real_classes_in_float32(built):
    pipe = Flux2KleinPipeline.from_pretrained(built[0])
    kinds = {"vae": AutoencoderKLFlux2, "transformer": Flux2Transformer2DModel, "text_encoder": Qwen3ForCausalLM}
    for name, kind in kinds.items():
        assert type(getattr(pipe, name)) is kind
        assert getattr(pipe, name).dtype == torch.float32
    assert pipe.config.is_distilled is False
    config = pipe.transformer.config
    assert (config.num_layers, config.num_single_layers) == (5, 20)
    assert (config.num_attention_heads, config.attention_head_dim, tuple(config.axes_dims_rope)) == (3, 32, (8,) * 4)
    assert pipe.text_encoder.config.num_hidden_layers == 28


def test_the_plain_call_needs_nothing_but_a_prompt_and_a_size(built):
    pipe = Flux2KleinPipeline.from_pretrained(built[0])
    pipe.set_progress_bar_config(disable=True)
    image = pipe(
        prompt="Render this kitchen", height=64, width=64, num_inference_steps=1, max_sequence_length=96
    ).images[0]
    assert image.size == (64, 64)


def test_what_ships_is_small_and_bfloat16():
    files = {path.stem: path.stat().st_size for path in WEIGHTS.glob("*.safetensors")}
    assert set(files) == {"transformer", "transformer-mention", "text_encoder", "vae"}
    assert sum(size for name, size in files.items() if name != "transformer-mention") < 11_000_000
    assert files["transformer-mention"] < 8_000_000
    for name in files:
        for tensor in shipped(name).values():
            if tensor.is_floating_point():
                assert torch.equal(tensor, tensor.bfloat16().float())


def test_the_closed_form_encoder_keeps_what_principal_components_keep():
    vae = architecture.new_vae()
    drawn = classroom.all_figures()
    pictures = classroom.mixed_pictures(300, classroom.generator(1), drawn)
    inputs = torch.from_numpy(pictures).permute(0, 3, 1, 2) * 2 - 1
    set_encoder(vae, inputs)
    with torch.no_grad():
        latents = vae.encode(inputs).latent_dist.mean.permute(0, 2, 3, 1).reshape(-1, 8).numpy()
    patches = pictures.reshape(-1, 8, 8, 8, 8, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 192).astype(np.float64)
    known = np.c_[latents, np.ones(len(latents))]
    kept = patches - known @ np.linalg.lstsq(known, patches, rcond=None)[0]
    values = np.linalg.eigvalsh(np.cov(patches.T))[::-1]
    assert np.square(kept).mean() * 192 <= 1.05 * values[8:].sum()


def test_the_shipped_encoder_acts_linearly():
    vae = architecture.new_vae()
    vae.load_state_dict(shipped("vae"))
    rng = classroom.generator(2)
    first, second = (torch.from_numpy(rng.random((1, 3, 64, 64), dtype=np.float32)) * 2 - 1 for _ in range(2))
    with torch.no_grad():
        ends = [vae.encode(one).latent_dist.mean for one in (first, second)]
        middle = vae.encode((first + second) / 2).latent_dist.mean
    assert float((middle - (ends[0] + ends[1]) / 2).abs().max()) < 0.02


def test_the_truth_names_the_contrasts_of_the_shipped_probes():
    truth = read_yaml(tiny.truth_path()).data
    assert set(truth) == {"tiny", "tiny-mention", "tiny-untrained"}
    for model in truth.values():
        assert set(model) == set(shelved())
        for probe, contrasts in model.items():
            assert set(contrasts) == set(read_yaml(shelf_file(probe)).data["contrasts"])
            assert set(contrasts.values()) <= {"real", "lexical", "null"}
