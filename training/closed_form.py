"""The encoder of the embedded autoencoder, set in closed form instead of trained.

Every residual branch of ``AutoencoderKLFlux2``'s encoder starts at zero, so that only its shortcuts and stride-2
convolutions act. Each of these is given the principal components of the 2x2 patches below it, and the last step keeps
the ``latents`` leading ones: nearly the principal components of 8x8 patches. The final group norm and SiLU are made to
act linearly: large constant channels fix the norm's variance, and SiLU(x) - SiLU(-x) = x.
"""

import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor, nn

_CONSTANT = 10.0
"""Constant channels against signals of variance 1: the norm's scale then varies by under one per cent."""

_LOG_VARIANCE = -6.0
"""Of the posterior: its standard deviation is 5% of a latent's."""


@torch.no_grad()
def set_encoder(vae: AutoencoderKLFlux2, pictures: Tensor) -> None:
    """Overwrite the encoder of ``vae`` from the statistics of ``pictures`` (items, 3, height, width) in [-1, 1]."""
    encoder, latents = vae.encoder, vae.config.latent_channels
    _silence(encoder)
    _identity(encoder.conv_in)
    level = pictures
    for block in encoder.down_blocks:
        _widen(block.resnets[0])
        if block.downsamplers is not None:
            level = _compress(block.downsamplers[0].conv, level)
    deviation = level.var((0, 2, 3)).sqrt()[:latents]
    _arrange(encoder.down_blocks[-1].resnets[0].conv_shortcut, deviation, encoder.conv_norm_out.num_groups)
    _read_out(encoder.conv_norm_out, encoder.conv_out, latents)
    _identity(vae.quant_conv)
    vae.quant_conv.bias[latents:] = _LOG_VARIANCE


def _silence(encoder: nn.Module) -> None:
    for module in encoder.modules():
        for name in ("conv2", "to_out"):
            last = getattr(module, name, None)
            if last is not None:
                _zero(last[0] if isinstance(last, nn.ModuleList) else last)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.zero_()


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _identity(conv: nn.Conv2d) -> None:
    """Pass the leading channels on unchanged; the others become 0."""
    _zero(conv)
    middle = conv.kernel_size[0] // 2
    for channel in range(min(conv.in_channels, conv.out_channels)):
        conv.weight[channel, channel, middle, middle] = 1.0


def _widen(resnet: nn.Module) -> None:
    if isinstance(resnet.conv_shortcut, nn.Conv2d):
        _identity(resnet.conv_shortcut)


def _compress(conv: nn.Conv2d, level: Tensor) -> Tensor:
    """Give ``conv`` the principal components of 2x2 patches of ``level`` (items, channels, height, width)."""
    channels = level.shape[1]
    patches = nn.functional.pixel_unshuffle(level, 2).permute(0, 2, 3, 1).reshape(-1, 4 * channels).double()
    mean = patches.mean(0)
    spread = (patches - mean).T @ (patches - mean) / len(patches)
    kept = min(conv.out_channels, 4 * channels)
    basis = torch.linalg.eigh(spread).eigenvectors.flip(1)[:, :kept].T
    basis = basis * basis.sum(1, keepdim=True).sign()
    _zero(conv)
    conv.weight[:kept, :channels, :2, :2] = basis.reshape(kept, channels, 2, 2).float()
    _bias(conv)[:kept] = -(basis @ mean).float()
    return nn.functional.conv2d(level, conv.weight[:kept, :channels, :2, :2], _bias(conv)[:kept], stride=2)


def _places(latents: int, channels: int, groups: int) -> list[tuple[int, int]]:
    """Where each latent and its negative stand, the same number of pairs in every group of the norm."""
    wide, pairs = channels // groups, latents // groups
    starts = [group * wide + 2 * pair for group in range(groups) for pair in range(pairs)]
    return [(start, start + 1) for start in starts]


def _arrange(shortcut: nn.Conv2d, deviation: Tensor, groups: int) -> None:
    """Signals of variance 1 with both signs, and in all other channels constants of alternating sign."""
    _zero(shortcut)
    signs = torch.ones(shortcut.out_channels)
    signs[1::2] = -1.0
    _bias(shortcut).copy_(_CONSTANT * signs)
    for latent, (plus, minus) in enumerate(_places(len(deviation), shortcut.out_channels, groups)):
        shortcut.weight[plus, latent] = 1.0 / deviation[latent]
        shortcut.weight[minus, latent] = -1.0 / deviation[latent]
        _bias(shortcut)[[plus, minus]] = 0.0


def _read_out(norm: nn.GroupNorm, conv: nn.Conv2d, latents: int) -> None:
    pairs = 2 * latents // norm.num_groups
    wide = norm.num_channels // norm.num_groups
    norm.weight.fill_(((wide - pairs) * _CONSTANT**2 + pairs) ** 0.5 / wide**0.5)
    norm.bias.zero_()
    _zero(conv)
    for latent, (plus, minus) in enumerate(_places(latents, norm.num_channels, norm.num_groups)):
        conv.weight[latent, plus, 1, 1] = 1.0
        conv.weight[latent, minus, 1, 1] = -1.0
