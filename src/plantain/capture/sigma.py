"""Noise levels: the effective sigma of a pass, and latents that really carry that much noise.

The pipeline's scheduler shifts what it is asked for: with dynamic shifting a request of 0.5 becomes about 0.9. And the
pipeline starts from pure noise whatever the level. Here sigma is what the transformer is told and what the latents
hold.
"""

import math
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from plantain.base.errors import InputError


def scheduler_for(scheduler: Any, sigma: float) -> Any:
    """The scheduler of a one-step pass at ``sigma``: the model's own for pure noise, else its copy without shifts."""
    if sigma == 1.0:
        return scheduler
    return FlowMatchEulerDiscreteScheduler.from_config(
        scheduler.config, use_dynamic_shifting=False, shift=1.0, shift_terminal=None
    )


def timestep(scheduler: Any, sigma: float, image_tokens: int) -> torch.Tensor:
    """The timestep, 1000 sigma, that the pipeline takes from its scheduler, a float32 scalar on the CPU.

    Raises:
        InputError: the scheduler makes another noise level of ``sigma``.
    """
    used = scheduler_for(scheduler, sigma)
    # The pipeline asks for one step as linspace(1, 1, 1); any other level is asked for as it is.
    used.set_timesteps(sigmas=np.array([sigma]), mu=compute_empirical_mu(image_seq_len=image_tokens, num_steps=1))
    found: torch.Tensor = used.timesteps[0]
    if not math.isclose(float(found), 1000.0 * sigma, rel_tol=1e-6):
        fix = "use the scheduler that belongs to the pipeline, or capture.sigma: 1.0."
        raise InputError(f"the scheduler turns a noise level of {sigma} into {float(found) / 1000.0:.6g}.", fix=fix)
    return found


def asked_sigma(scheduler: Any, sigma: float, image_tokens: int) -> float:
    """What the model's own scheduler would have to be asked for to reach the effective ``sigma``.

    Inverts ``time_shift`` of FlowMatchEulerDiscreteScheduler, effective = e / (e + 1/asked - 1).
    """
    config = scheduler.config
    factor = float(config.shift)
    if config.use_dynamic_shifting:
        mu = compute_empirical_mu(image_seq_len=image_tokens, num_steps=1)
        factor = math.exp(mu) if config.time_shift_type == "exponential" else mu
    return 1.0 / (1.0 + factor * (1.0 / sigma - 1.0))


def noised(noise: torch.Tensor, clean: torch.Tensor | None, sigma: float) -> torch.Tensor:
    """(1 - sigma) x clean + sigma x noise, the flow-matching interpolation, in the layout of ``noise``.

    The clean latent of a pass is that of its reference image. A pass without one has the zero latent, which in the
    standardised latent space of FLUX.2's VAE is its mean over images, not a picture of anything: a level below 1
    says more where there is a reference.
    """
    if sigma == 1.0:
        return noise
    if clean is None:
        return sigma * noise
    return sigma * noise + (1.0 - sigma) * clean.to(noise.dtype)
