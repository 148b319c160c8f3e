"""Transformer configurations of published FLUX.2 models, so that their geometry can be shown before any download.

Source: ``scripts/convert_flux2_to_diffusers.py`` of diffusers, which made the published repositories.
"""

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

KNOWN: dict[str, dict[str, Any]] = {
    "black-forest-labs/FLUX.2-klein-base-4B": KLEIN_4B,
    "black-forest-labs/FLUX.2-klein-4B": KLEIN_4B,
    "black-forest-labs/FLUX.2-klein-base-9B": KLEIN_9B,
    "black-forest-labs/FLUX.2-klein-9B": KLEIN_9B,
    "black-forest-labs/FLUX.2-dev": _config(8, 48, 48, 15360, guidance=True),
}
"""Repository name to the arguments of ``Flux2Transformer2DModel``."""

TEXT_ENCODERS: dict[int, int] = {3 * 2560: 4_022_468_096, 3 * 4096: 8_190_735_360}
"""Width of a prompt embedding to the parameters of the encoder that makes it: Qwen3 4B and 8B, by their published
configurations; a test builds both."""

VAE_PARAMETERS = 84_046_115
"""Of diffusers' ``AutoencoderKLFlux2`` as its defaults make it."""

DOWNLOAD_GB: dict[str, int] = {
    "black-forest-labs/FLUX.2-klein-base-4B": 16,
    "black-forest-labs/FLUX.2-klein-base-9B": 35,
}
"""Size of the parts of a pipeline, in GB: transformer and text encoder at two bytes a parameter, and the VAE."""
