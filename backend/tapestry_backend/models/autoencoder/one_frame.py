"""An autoencoder for films, with a picture as a film of one."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn


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

    def encode(self, pixels: Tensor) -> _Latents:
        """Pixels [B, 3, H, W] -> latents [B, C, h, w], the mode of what there might be."""
        return _Latents(self._autoencoder.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0])

    def decode(self, latents: Tensor, *, return_dict: bool = False) -> tuple[Tensor]:  # noqa: ARG002
        """Latents [B, C, h, w] -> pixels [B, 3, H, W]."""
        return (self._autoencoder.decode(latents[:, :, None], return_dict=False)[0][:, :, 0],)
