"""What published models consist of, so that their geometry is shown and their cost forecast before any download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def _config(joint: int, single: int, heads: int, text_width: int, guidance: bool) -> dict[str, Any]:
    return {
        "patch_size": 1,
        "in_channels": 128,
        "num_layers": joint,
        "num_single_layers": single,
        "attention_head_dim": 128,
        "num_attention_heads": heads,
        "joint_attention_dim": text_width,
        "timestep_guidance_channels": 256,
        "mlp_ratio": 3.0,
        "axes_dims_rope": [32, 32, 32, 32],
        "rope_theta": 2000,
        "eps": 1e-6,
        "guidance_embeds": guidance,
    }


KLEIN_4B = _config(5, 20, 24, 3 * 2560, guidance=False)
KLEIN_9B = _config(8, 24, 32, 3 * 4096, guidance=False)
FLUX2_DEV = _config(8, 48, 48, 15360, guidance=True)

KNOWN: dict[str, dict[str, Any]] = {
    "black-forest-labs/FLUX.2-klein-base-4B": KLEIN_4B,
    "black-forest-labs/FLUX.2-klein-4B": KLEIN_4B,
    "black-forest-labs/FLUX.2-klein-base-9B": KLEIN_9B,
    "black-forest-labs/FLUX.2-klein-9B": KLEIN_9B,
    "black-forest-labs/FLUX.2-dev": FLUX2_DEV,
}
"""Repository name to the arguments of ``Flux2Transformer2DModel``."""


@dataclass(frozen=True)
class PublishedModel:
    """What a published repository consists of, as far as its size depends on it."""

    transformer: str
    """Class in diffusers."""
    config: Mapping[str, Any]
    """Arguments of the class; the others have their defaults."""
    pipeline: str
    encoders: tuple[int, ...]
    """Parameters of its text encoders, in the order of the pipeline."""
    vae: int
    """Parameters of its autoencoder."""
    is_distilled: bool = False
    """The pipeline's flag of that name."""
    pixels: int = 16
    """Along a side of what a position of the transformer stands for."""

    def parts(self) -> dict[str, int]:
        """Parameters of every part but the transformer, by name."""
        names = ["text_encoder", *(f"text_encoder_{number}" for number in range(2, len(self.encoders) + 1))]
        return dict(zip(names, self.encoders, strict=True)) | {"vae": self.vae, "scheduler": 0, "tokenizer": 0}


QWEN3_4B, QWEN3_8B = 4_022_468_096, 8_190_735_360
T5_XXL, CLIP_L, CLIP_L_PROJECTED, CLIP_BIG_G = 4_762_310_656, 123_060_480, 123_650_304, 694_659_840
QWEN_VL_7B, MISTRAL_24B, GEMMA2_2B, PILE_T5_XL = 8_292_166_656, 24_011_361_280, 2_614_341_888, 1_223_550_976
GLM4_9B = 8_779_194_368
"""Parameters of the encoders that are published with them, by their published configurations; a test builds all."""

VAE_FLUX2, VAE_16, VAE_4, VAE_COGVIEW4 = 84_046_115, 83_819_683, 83_653_863, 406_100_643
VAE_QWEN, VAE_DC = 126_892_531, 362_893_923
"""Parameters of autoencoders: FLUX.2's, Qwen's and the deep one as the defaults of their classes make them,
AutoencoderKL with 16 and 4 latent channels, and CogView4's; a test builds all."""

_SD3 = {
    "sample_size": 128,
    "caption_projection_dim": 1536,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 2048,
    "attention_head_dim": 64,
    "qk_norm": "rms_norm",
}
_PIXART = {
    "sample_size": 128,
    "num_layers": 28,
    "num_attention_heads": 16,
    "attention_head_dim": 72,
    "cross_attention_dim": 1152,
    "caption_channels": 4096,
    "interpolation_scale": 2,
    "use_additional_conditions": False,
}
_CLIPS_T5 = (CLIP_L_PROJECTED, CLIP_BIG_G, T5_XXL)


def _klein(config: Mapping[str, Any], encoder: int, is_distilled: bool) -> PublishedModel:
    return PublishedModel("Flux2Transformer2DModel", config, "Flux2KleinPipeline", (encoder,), VAE_FLUX2, is_distilled)


def _flux1(pipeline: str, guidance: bool) -> PublishedModel:
    return PublishedModel("FluxTransformer2DModel", {"guidance_embeds": guidance}, pipeline, (CLIP_L, T5_XXL), VAE_16)


def _qwen(pipeline: str) -> PublishedModel:
    return PublishedModel("QwenImageTransformer2DModel", {}, pipeline, (QWEN_VL_7B,), VAE_QWEN)


def _z_image() -> PublishedModel:
    return PublishedModel("ZImageTransformer2DModel", {}, "ZImagePipeline", (QWEN3_4B,), VAE_16)


def _sd35(**config: Any) -> PublishedModel:
    return PublishedModel("SD3Transformer2DModel", _SD3 | config, "StableDiffusion3Pipeline", _CLIPS_T5, VAE_16)


PUBLISHED: dict[str, PublishedModel] = {
    "black-forest-labs/FLUX.2-klein-base-4B": _klein(KLEIN_4B, QWEN3_4B, is_distilled=False),
    "black-forest-labs/FLUX.2-klein-4B": _klein(KLEIN_4B, QWEN3_4B, is_distilled=True),
    "black-forest-labs/FLUX.2-klein-base-9B": _klein(KLEIN_9B, QWEN3_8B, is_distilled=False),
    "black-forest-labs/FLUX.2-klein-9B": _klein(KLEIN_9B, QWEN3_8B, is_distilled=True),
    "black-forest-labs/FLUX.2-dev": PublishedModel(
        "Flux2Transformer2DModel", FLUX2_DEV, "Flux2Pipeline", (MISTRAL_24B,), VAE_FLUX2
    ),
    "black-forest-labs/FLUX.1-dev": _flux1("FluxPipeline", guidance=True),
    "black-forest-labs/FLUX.1-schnell": _flux1("FluxPipeline", guidance=False),
    "black-forest-labs/FLUX.1-Kontext-dev": _flux1("FluxKontextPipeline", guidance=True),
    "lodestones/Chroma1-HD": PublishedModel("ChromaTransformer2DModel", {}, "ChromaPipeline", (T5_XXL,), VAE_16),
    "Qwen/Qwen-Image": _qwen("QwenImagePipeline"),
    "Qwen/Qwen-Image-Edit": _qwen("QwenImageEditPipeline"),
    "Tongyi-MAI/Z-Image": _z_image(),
    "Tongyi-MAI/Z-Image-Turbo": _z_image(),
    "stabilityai/stable-diffusion-3.5-medium": _sd35(
        num_layers=24, num_attention_heads=24, pos_embed_max_size=384, dual_attention_layers=tuple(range(13))
    ),
    "stabilityai/stable-diffusion-3.5-large": _sd35(
        num_layers=38, num_attention_heads=38, caption_projection_dim=2432, pos_embed_max_size=192
    ),
    "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS": PublishedModel(
        "PixArtTransformer2DModel", _PIXART, "PixArtSigmaPipeline", (T5_XXL,), VAE_4
    ),
    "Efficient-Large-Model/Sana_1600M_1024px_diffusers": PublishedModel(
        "SanaTransformer2DModel", {}, "SanaPipeline", (GEMMA2_2B,), VAE_DC, pixels=32
    ),
    "fal/AuraFlow": PublishedModel("AuraFlowTransformer2DModel", {}, "AuraFlowPipeline", (PILE_T5_XL,), VAE_4),
    "THUDM/CogView4-6B": PublishedModel(
        "CogView4Transformer2DModel",
        {"num_layers": 28, "attention_head_dim": 128, "num_attention_heads": 32},
        "CogView4Pipeline",
        (GLM4_9B,),
        VAE_COGVIEW4,
    ),
}
"""Repository name to what its sizes follow from.

Source: the conversion scripts of diffusers that made these repositories (``scripts/convert_*_to_diffusers.py``:
flux2, flux, sd3, pixart_sigma, sana, aura_flow, cogview4), and the defaults of the classes where those are what was
published. Once a repository's own configurations are here, they are read instead.
"""

DOWNLOAD_GB: dict[str, int] = {
    "black-forest-labs/FLUX.2-klein-base-4B": 16,
    "black-forest-labs/FLUX.2-klein-base-9B": 35,
}
"""Size of the parts of a pipeline, in GB: transformer and text encoder at two bytes a parameter, and the VAE."""
