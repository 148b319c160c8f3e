"""Forecasts of published models that are not on this machine, from the classes that the files would be loaded into."""

from functools import partial

import diffusers
import pytest
import torch
import transformers
from diffusers import Flux2Transformer2DModel
from helpers.model_sources import hub, hub_cache
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3ForCausalLM

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.capture.plan import pass_flops, pass_positions
from plantain.commands.forecast import declared_lock
from plantain.model import known
from plantain.model.architectures import architecture_calling
from plantain.model.describe import empty_of
from plantain.model.known import KLEIN_4B, PUBLISHED
from plantain.model.resolve import resolve
from plantain.model.unfetched import unfetched_lock

COMMON_QWEN3 = {
    "vocab_size": 151936, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 40960,
}  # fmt: skip


def qwen3(**config):
    return Qwen3ForCausalLM(Qwen3Config(**COMMON_QWEN3, **config))


def clip(kind, width, layers, heads):
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "projection_dim": width}
    return kind(transformers.CLIPTextConfig(**sizes, num_hidden_layers=layers, num_attention_heads=heads))


def qwen_vl():
    text = {
        "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "intermediate_size": 18944, "vocab_size": 152064, "tie_word_embeddings": False,
    }  # fmt: skip
    vision = {"depth": 32, "hidden_size": 1280, "out_hidden_size": 3584, "intermediate_size": 3420, "num_heads": 16}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def mistral():
    text = {
        "model_type": "mistral", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 32768, "vocab_size": 131072,
        "tie_word_embeddings": False,
    }  # fmt: skip
    config = transformers.Mistral3Config(text_config=text, tie_word_embeddings=False)
    return transformers.Mistral3ForConditionalGeneration(config)


def t5(kind, config, **sizes):
    return kind(config(vocab_size=32128, d_kv=64, num_layers=24, **sizes))


def glm():
    sizes = {"hidden_size": 4096, "intermediate_size": 13696, "num_hidden_layers": 40, "num_attention_heads": 32}
    more = {"vocab_size": 151552, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True}
    return transformers.GlmModel(transformers.GlmConfig(**sizes, **more))


def kl(channels, widths=(128, 256, 512, 512), **rest):
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return diffusers.AutoencoderKL(
        block_out_channels=widths, latent_channels=channels, **blocks, **{"layers_per_block": 2} | rest
    )


PLAIN = {"use_quant_conv": False, "use_post_quant_conv": False}
PARTS = {
    known.QWEN3_4B: partial(qwen3, hidden_size=2560, intermediate_size=9728, tie_word_embeddings=True),
    known.QWEN3_8B: partial(qwen3, hidden_size=4096, intermediate_size=12288, tie_word_embeddings=False),
    known.T5_XXL: partial(
        t5, transformers.T5EncoderModel, transformers.T5Config,
        d_model=4096, d_ff=10240, num_heads=64, feed_forward_proj="gated-gelu",
    ),
    known.PILE_T5_XL: partial(
        t5, transformers.UMT5EncoderModel, transformers.UMT5Config,
        d_model=2048, d_ff=5120, num_heads=32, feed_forward_proj="gated-silu",
    ),
    known.CLIP_L: partial(clip, transformers.CLIPTextModel, 768, 12, 12),
    known.CLIP_L_PROJECTED: partial(clip, transformers.CLIPTextModelWithProjection, 768, 12, 12),
    known.CLIP_BIG_G: partial(clip, transformers.CLIPTextModelWithProjection, 1280, 32, 20),
    known.QWEN_VL_7B: qwen_vl,
    known.MISTRAL_24B: mistral,
    known.GEMMA2_2B: lambda: transformers.Gemma2Model(transformers.Gemma2Config()),
    known.GLM4_9B: glm,
    known.VAE_FLUX2: diffusers.AutoencoderKLFlux2,
    known.VAE_16: partial(kl, 16, **PLAIN),
    known.VAE_4: partial(kl, 4),
    known.VAE_COGVIEW4: partial(
        kl, 16, (128, 512, 1024, 1024), layers_per_block=3, mid_block_add_attention=False, **PLAIN
    ),
    known.VAE_QWEN: diffusers.AutoencoderKLQwenImage,
    known.VAE_DC: diffusers.AutoencoderDC,
}  # fmt: skip
"""What every part that is known by a number is built of, by its published configuration."""

BILLIONS = {
    "black-forest-labs/FLUX.2-klein-base-4B": 3.88, "black-forest-labs/FLUX.2-klein-base-9B": 9.08,
    "black-forest-labs/FLUX.2-dev": 32.2, "black-forest-labs/FLUX.1-dev": 11.9, "lodestones/Chroma1-HD": 8.9,
    "Qwen/Qwen-Image": 20.4, "Tongyi-MAI/Z-Image": 6.15, "stabilityai/stable-diffusion-3.5-medium": 2.24,
    "stabilityai/stable-diffusion-3.5-large": 8.06, "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS": 0.61,
    "Efficient-Large-Model/Sana_1600M_1024px_diffusers": 1.6, "fal/AuraFlow": 6.83, "THUDM/CogView4-6B": 6.37,
}  # fmt: skip
"""Parameters of transformers as they are published, in billions."""


@pytest.fixture
def params(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return read_params()


def parameters(module):
    return sum(one.numel() for one in module.parameters())


@pytest.mark.parametrize("number", PARTS)
def test_sizes_of_parts_are_those_of_the_classes(number):
    with torch.device("meta"):
        assert parameters(PARTS[number]()) == number


def test_every_published_model_is_made_of_them():
    used = {number for one in PUBLISHED.values() for number in (*one.encoders, one.vae)}
    assert used == PARTS.keys()


@pytest.mark.parametrize("repo", BILLIONS)
def test_a_published_model_has_its_geometry_and_its_parts(params, repo):
    entry = params.models["klein-base-4b"].model_copy(update={"repo": repo, "text_encoder_out_layers": None})
    lock = unfetched_lock("it", params.model_copy(update={"models": {"it": entry}}))
    assert lock.geometry.parameters / 1e9 == pytest.approx(BILLIONS[repo], rel=0.01)
    assert lock.components["transformer"].bytes == 2 * lock.geometry.parameters
    assert lock.pipeline == PUBLISHED[repo].pipeline
    row = architecture_calling(lock.pipeline)
    assert lock.architecture == row.name
    assert set(row.encoders) <= lock.components.keys()


def empty(*shape):
    return torch.empty(*shape, device="meta")


def latents(channels, side, text, width, **rest):
    """Arguments of a transformer that takes a grid of 1024 x 1024 pixels."""
    prompt = {"encoder_hidden_states": empty(1, text, width), "timestep": empty(1)}
    return text, {"hidden_states": empty(1, channels, side, side), **prompt, **rest}


def packed(channels, text, width, **rest):
    """The same of one that takes packed latents."""
    prompt = {"encoder_hidden_states": empty(1, text, width), "timestep": empty(1)}
    return text, {"hidden_states": empty(1, 4096, channels), **prompt, **rest}


SIZES = {"original_size": empty(1, 2), "target_size": empty(1, 2), "crop_coords": empty(1, 2)}
FORWARDS = {
    "black-forest-labs/FLUX.2-klein-base-4B": packed(
        128, 512, 7680, img_ids=empty(1, 4096, 4), txt_ids=empty(1, 512, 4)
    ),
    "black-forest-labs/FLUX.1-dev": packed(
        64,
        512,
        4096,
        pooled_projections=empty(1, 768),
        guidance=empty(1),
        img_ids=empty(4096, 3),
        txt_ids=empty(512, 3),
    ),
    "Qwen/Qwen-Image": packed(64, 512, 3584, encoder_hidden_states_mask=None, img_shapes=[[(1, 64, 64)]]),
    "stabilityai/stable-diffusion-3.5-medium": latents(16, 128, 333, 4096, pooled_projections=empty(1, 2048)),
    "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS": latents(
        4, 128, 300, 4096, added_cond_kwargs={"resolution": None, "aspect_ratio": None}
    ),
    "Efficient-Large-Model/Sana_1600M_1024px_diffusers": latents(32, 32, 300, 2304),
    "fal/AuraFlow": latents(4, 128, 256, 2048),
    "THUDM/CogView4-6B": latents(16, 128, 224, 4096, **SIZES),
}  # fmt: skip
"""Text positions, and what the transformer is called with."""

FEW_LAYERS = ("black-forest-labs/FLUX.2-klein-base-4B", "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS", "fal/AuraFlow")
COUNTED = [pytest.param(repo, marks=() if repo in FEW_LAYERS else pytest.mark.long) for repo in FORWARDS]


@pytest.mark.parametrize("repo", COUNTED)
def test_the_operations_of_a_pass_are_those_that_torch_counts(params, repo):
    """At 1024 x 1024 pixels, on the meta device: everything but modulation and embeddings, which meet one position."""
    length, arguments = FORWARDS[repo]
    changed = {"repo": repo, "max_sequence_length": length, "text_encoder_out_layers": None}
    entry = params.models["klein-base-4b"].model_copy(update=changed)
    lock = unfetched_lock("it", params.model_copy(update={"models": {"it": entry}}))
    transformer = empty_of(PUBLISHED[repo].transformer, PUBLISHED[repo].config, repo).eval()
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        transformer(**arguments)
    forecast = pass_flops(lock, pass_positions(lock, False))
    assert forecast == pytest.approx(counter.get_total_flops(), rel=0.04 if "Sana" in repo else 0.01)


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
    with pytest.raises(InputError, match=r"nor known to plantain.*`plantain model show klein-base-4b`, which brings"):
        declared_lock(unknown, "klein-base-4b")


def test_configurations_in_the_cache_are_believed_and_suffice(params, saved, monkeypatch, tmp_path):
    """As the files would be resolved: the same sizes, geometry and settings, but for bytes a parameter."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    snapshot = hub_cache(saved, tmp_path / "hub")
    whole, _ = resolve("distant", hub())
    for path in snapshot.rglob("*.safetensors"):
        path.unlink()
    found = declared_lock(hub(), "distant")
    same = {"components": {}, "files_sha256": "", "revision": None}
    assert found.model_copy(update=same) == whole.model_copy(update=same)
    assert found.components.keys() == whole.components.keys()
    for part, one in found.components.items():
        assert one.bytes * 2 == pytest.approx(whole.components[part].bytes, abs=25_000), part  # headers of files
    (snapshot / "vae" / "config.json").unlink()
    with pytest.raises(InputError, match="plantain model show distant"):
        declared_lock(hub(), "distant")
