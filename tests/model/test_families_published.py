"""The reader on the transformers of published models, made on the meta device from what their configurations say."""

from dataclasses import dataclass, field
from typing import Any

import diffusers
import pytest
import torch

from plantain.model.geometry import geometry, projections


@dataclass(frozen=True)
class Published:
    """What is known of a published transformer: its configuration, and what must come out."""

    transformer: str
    billions: float
    """Parameters, to 1%."""
    blocks: list[tuple[str, str, int, int, int, int]]
    """Kind, stream, projections, heads, head width, MLP width."""
    config: dict[str, Any] = field(default_factory=dict)
    """Where it differs from the defaults of the class."""


def flux2(joint, single, heads, text):
    return {
        "num_layers": joint,
        "num_single_layers": single,
        "num_attention_heads": heads,
        "joint_attention_dim": text,
    }


def streams(joint, single, heads, width=128, mlp=0, text=None):
    """Joint blocks with as many text projections, or ``text`` of them, then single blocks."""
    found = [("joint", "image", joint, heads, width, 0), ("joint", "text", text or joint, heads, width, 0)]
    return [*found, ("single", "all", single, heads, width, mlp)] if single else found


def refined(blocks, heads, width):
    return [
        ("image", "image", 2, heads, width, 0),
        ("text", "text", 2, heads, width, 0),
        ("single", "all", blocks, heads, width, 0),
    ]


def crossed(blocks, own, cross):
    return [("image", "image", blocks, *own, 0), ("cross", "image", blocks, *cross, 0)]


def sd3(layers, **more):
    sizes = {"num_layers": layers, "num_attention_heads": layers, "caption_projection_dim": 64 * layers}
    return sizes | {"pooled_projection_dim": 2048, "qk_norm": "rms_norm"} | more


FLUX2, FLUX1 = "Flux2Transformer2DModel", "FluxTransformer2DModel"

PUBLISHED = {
    # scripts/convert_flux2_to_diffusers.py of diffusers, which made the repositories.
    "FLUX.2 klein 4B": Published(
        FLUX2, 3.88, streams(5, 20, 24, mlp=9216), flux2(5, 20, 24, 7680) | {"guidance_embeds": False}
    ),
    "FLUX.2 klein 9B": Published(
        FLUX2, 9.08, streams(8, 24, 32, mlp=12288), flux2(8, 24, 32, 12288) | {"guidance_embeds": False}
    ),
    "FLUX.2 dev": Published(FLUX2, 32.2, streams(8, 48, 48, mlp=18432), flux2(8, 48, 48, 15360)),
    # The same of FLUX.1: class defaults but for the guidance.
    "FLUX.1 dev and Kontext": Published(FLUX1, 11.9, streams(19, 38, 24, mlp=12288), {"guidance_embeds": True}),
    "FLUX.1 schnell": Published(FLUX1, 11.9, streams(19, 38, 24, mlp=12288)),
    "Chroma1-HD": Published("ChromaTransformer2DModel", 8.9, streams(19, 38, 24, mlp=12288)),
    "Qwen-Image and Edit": Published("QwenImageTransformer2DModel", 20.4, streams(60, 0, 24)),
    "Z-Image": Published("ZImageTransformer2DModel", 6.15, refined(30, 30, 128)),
    "Lumina-Image 2.0": Published(
        "Lumina2Transformer2DModel",
        2.61,
        refined(26, 24, 96),
        {"cap_feat_dim": 2304, "axes_lens": (300, 512, 512)},
    ),
    # Layers, heads and widths hang together in scripts/convert_sd3_to_diffusers.py.
    "SD3.5 medium": Published(
        "SD3Transformer2DModel",
        2.24,
        [*streams(24, 0, 24, 64, text=23), ("image", "image", 13, 24, 64, 0)],
        sd3(24, dual_attention_layers=tuple(range(13)), pos_embed_max_size=384),
    ),
    "SD3.5 large": Published(
        "SD3Transformer2DModel", 8.06, streams(38, 0, 38, 64, text=37), sd3(38, pos_embed_max_size=192)
    ),
    # scripts/convert_pixart_sigma_to_diffusers.py.
    "PixArt-Sigma XL 1024": Published(
        "PixArtTransformer2DModel",
        0.61,
        crossed(28, (16, 72), (16, 72)),
        {"caption_channels": 4096, "interpolation_scale": 2, "use_additional_conditions": False},
    ),
    # scripts/convert_sana_to_diffusers.py.
    "Sana 1.6B": Published("SanaTransformer2DModel", 1.6, crossed(20, (70, 32), (20, 112))),
    "AuraFlow 0.3": Published(
        "AuraFlowTransformer2DModel", 6.83, streams(4, 32, 12, 256), {"pos_embed_max_size": 9216}
    ),
    # scripts/convert_cogview4_to_diffusers.py.
    "CogView4 6B": Published(
        "CogView4Transformer2DModel",
        6.37,
        [("single", "all", 28, 32, 128, 0)],
        {"num_layers": 28, "num_attention_heads": 32, "attention_head_dim": 128},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_blocks_heads_widths_and_parameters_are_the_published_ones(name):
    known = PUBLISHED[name]
    with torch.device("meta"):
        transformer = getattr(diffusers, known.transformer)(**known.config)
    found = projections(transformer)
    alike = {}
    for one in found:
        key = (one.block_kind, one.stream, one.heads, one.head_width, one.mlp_width)
        alike[key] = alike.get(key, 0) + 1
    assert alike == {(kind, stream, *sizes): count for kind, stream, count, *sizes in known.blocks}
    counted = geometry(transformer, 16)
    assert counted.parameters == sum(weight.numel() for weight in transformer.parameters())
    assert counted.parameters / 1e9 == pytest.approx(known.billions, rel=0.01)
