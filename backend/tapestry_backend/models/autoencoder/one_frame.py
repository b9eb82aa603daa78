"""An autoencoder for films, with a picture as a film of one.

Its norms see a single place each, and before the first frame there is nothing: so a picture's bands
are as exact as the layers' reach. Attention, at latent size, sees all and is computed whole.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from diffusers.models.autoencoders.autoencoder_kl_qwenimage import (
    QwenImageResample,
    QwenImageResidualBlock,
    QwenImageUpBlock,
)
from torch import Tensor, nn

from .vae_layers import Chain, Normalise, VaePart

_FRAMES = 3
"""Of what a convolution over time is given: the picture, and the nothing before it."""


class _Latents(NamedTuple):
    """What a picture becomes, by the name that it has in diffusers' other autoencoders."""

    latents: Tensor


class OneFrame:
    """Diffusers' AutoencoderKLQwenImage, or one like it, as an autoencoder for pictures."""

    def __init__(self, autoencoder: Any) -> None:
        self._autoencoder = autoencoder

    @property
    def encoder(self) -> nn.Module:
        """Pixels to latents."""
        return self._autoencoder.encoder

    @property
    def decoder(self) -> nn.Module:
        """Latents to pixels."""
        return self._autoencoder.decoder

    def parameters(self) -> Any:
        """As a network's."""
        return self._autoencoder.parameters()

    def encode(self, pixels: Tensor) -> _Latents:
        """Pixels [B, 3, H, W] -> latents [B, C, h, w], the mode of what there might be."""
        return _Latents(self._autoencoder.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0])

    def decode(self, latents: Tensor, *, return_dict: bool = False) -> tuple[Tensor]:  # noqa: ARG002
        """Latents [B, C, h, w] -> pixels [B, 3, H, W]."""
        return (self._autoencoder.decode(latents[:, :, None], return_dict=False)[0][:, :, 0],)

    @property
    def decoder_chain(self) -> Chain | None:
        """As `vae_layers.decoder_chain`; None for blocks of another build."""
        autoencoder, decoder = self._autoencoder, self._autoencoder.decoder
        if any(type(block) is not QwenImageUpBlock for block in decoder.up_blocks):
            return None
        parts: list[VaePart] = []
        for block in decoder.up_blocks:
            parts += [_residual(resnet) for resnet in block.resnets]
            parts += [_resampling(upsampler) for upsampler in block.upsamplers or ()]
        parts.append(_last(decoder))

        def before(film: Tensor) -> Tensor:
            return decoder.mid_block(decoder.conv_in(autoencoder.post_quant_conv(film)))

        return Chain(_of_film(before), tuple(parts), _clamped, sees_all=True)

    @property
    def encoder_chain(self) -> Chain | None:
        """As `vae_layers.encoder_chain`; None as above."""
        autoencoder, encoder = self._autoencoder, self._autoencoder.encoder
        makers = {QwenImageResidualBlock: _residual, QwenImageResample: _resampling}
        if any(type(block) not in makers for block in encoder.down_blocks):
            return None
        first = encoder.conv_in
        widest = _FRAMES * max(first.in_channels, first.out_channels)
        parts = [VaePart(_plain(first), (), Fraction(1), 1, first.out_channels, widest)]
        parts += [makers[type(block)](block) for block in encoder.down_blocks]

        def after(film: Tensor) -> Tensor:
            film = encoder.nonlinearity(encoder.norm_out(encoder.mid_block(film)))
            return autoencoder.quant_conv(encoder.conv_out(film)).chunk(2, dim=1)[0]

        return Chain(_same, tuple(parts), _of_film(after), sees_all=True)


def _of_film(layer: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What a layer for films [B, C, 1, H, W] makes of pictures [B, C, H, W]."""
    return lambda values: layer(values[:, :, None])[:, :, 0]


def _plain(layer: nn.Module) -> Callable[[Tensor, Normalise], Tensor]:
    of_film = _of_film(layer)
    return lambda values, _: of_film(values)


def _same(values: Tensor) -> Tensor:
    return values


def _clamped(pixels: Tensor) -> Tensor:
    """As the autoencoder's own `decode` ends."""
    return pixels.clamp(-1, 1)


def _residual(block: Any) -> VaePart:
    widest = _FRAMES * max(block.in_dim, block.out_dim)
    return VaePart(_plain(block), (), Fraction(1), 2, block.out_dim, widest)


def _resampling(block: Any) -> VaePart:
    """Enlarges, each cell to four; or pads at the right and at the bottom, and takes every second.

    Of a picture time is no matter: there is nothing to take more or less frames of.
    """
    channels = block.resample[-1].out_channels
    if block.mode.startswith("upsample"):
        return VaePart(_plain(block), (), Fraction(2), 1, channels, 4 * block.dim)
    return VaePart(_plain(block), (), Fraction(1, 2), 2, channels, block.dim)


def _last(decoder: Any) -> VaePart:
    def run(film: Tensor) -> Tensor:
        return decoder.conv_out(decoder.nonlinearity(decoder.norm_out(film)))

    convolution, of_film = decoder.conv_out, _of_film(run)
    widest = _FRAMES * convolution.in_channels
    return VaePart(
        lambda values, _: of_film(values), (), Fraction(1), 1, convolution.out_channels, widest
    )
