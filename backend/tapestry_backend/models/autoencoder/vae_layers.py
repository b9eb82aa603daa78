"""Autoencoders as chains of layers that can be computed in bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderTiny
from diffusers.models.unets.unet_2d_blocks import DownEncoderBlock2D, UpDecoderBlock2D
from torch import Tensor, nn

from .cropped_forward import Span, compute_inside, upsampling

_PLAIN = (AutoencoderKL, AutoencoderKLFlux2)
"""Built of the same blocks."""

Normalise = Callable[[nn.GroupNorm, Tensor], Tensor]
"""Applies a group norm to a tensor, with whichever statistics."""

Compute = Callable[[Tensor, Normalise], Tensor]
"""[B, C, H, W] -> an activation, with a way to apply the group norms on the way to it."""


@dataclass(frozen=True)
class Norm:
    """A group norm of a part, and how to compute what comes to it from the part's input."""

    module: nn.GroupNorm
    arriving: Compute


@dataclass(frozen=True)
class VaePart:
    """One link of a chain: a residual block, a change of size, or the last convolution.

    run       [B, C, H, W] -> [B, channels, H * scale, W * scale]
    norms     the group norms on the way, in their order; only parts that keep their size have any
    scale     cells of its output per cell of its input along each axis: a whole number, or 1 / one
    reach     how many cells of the input beyond its edges a cell of the output may see; a multiple
              of 1 / scale
    channels  of the output
    widest    numbers of its largest activation, per cell of the input
    inside    [B, C, H, W] -> some rows and columns of what `run` gives, where less work does that
    """

    run: Compute
    norms: tuple[Norm, ...]
    scale: Fraction
    reach: int
    channels: int
    widest: int
    inside: Callable[[Tensor, Span, Span], Tensor] | None = None


@dataclass(frozen=True)
class Chain:
    """What comes before the parts and after them, computed whole, and the parts between.

    sees_all    whether what is computed whole has something without norms in it that sees all
    """

    before: Callable[[Tensor], Tensor]
    parts: tuple[VaePart, ...]
    after: Callable[[Tensor], Tensor]
    sees_all: bool = False

    @property
    def scale(self) -> Fraction:
        """Cells of the last part's output per cell of the first one's input, along each axis."""
        return math.prod((part.scale for part in self.parts), start=Fraction(1))

    @property
    def inside(self) -> Callable[[Tensor, Span, Span], Tensor] | None:
        """Some rows and columns of the whole, where less work gives them; the chain is one part."""
        return self.parts[0].inside


def decoder_chain(autoencoder: Any) -> Chain | None:
    """Latents -> pixels, as the autoencoder's own `decode`; None for a decoder of another build.

    AutoencoderKL: everything up to the attention at latent size is computed whole.
    """
    decoder = autoencoder.decoder
    if isinstance(autoencoder, AutoencoderTiny):
        if autoencoder.config.upsample_fn != "nearest":
            return None
        return Chain(_same, (_trimmed(decoder),), _same)
    if not _is_plain(autoencoder, decoder.up_blocks, UpDecoderBlock2D):
        return None
    parts: list[VaePart] = []
    for block in decoder.up_blocks:
        parts += [_residual(resnet) for resnet in block.resnets]
        parts += [_enlarging(upsampler) for upsampler in block.upsamplers or ()]
    parts.append(_last(decoder))

    def before(latents: Tensor) -> Tensor:
        if autoencoder.post_quant_conv is not None:
            latents = autoencoder.post_quant_conv(latents)
        return decoder.mid_block(decoder.conv_in(latents))

    return Chain(before, tuple(parts), _same)


def encoder_chain(autoencoder: Any) -> Chain | None:
    """Pixels -> latents, as the mode of the autoencoder's own `encode`; None as above."""
    encoder = autoencoder.encoder
    if isinstance(autoencoder, AutoencoderTiny):
        return Chain(_same, (_trimmed(encoder),), _same)
    if not _is_plain(autoencoder, encoder.down_blocks, DownEncoderBlock2D):
        return None
    parts = [_convolutions(encoder.conv_in)]
    for block in encoder.down_blocks:
        parts += [_residual(resnet) for resnet in block.resnets]
        parts += [_shrinking(downsampler) for downsampler in block.downsamplers or ()]

    def after(hidden: Tensor) -> Tensor:
        hidden = encoder.conv_norm_out(encoder.mid_block(hidden))
        moments = encoder.conv_out(encoder.conv_act(hidden))
        if autoencoder.quant_conv is not None:
            moments = autoencoder.quant_conv(moments)
        return moments.chunk(2, dim=1)[0]

    return Chain(_same, tuple(parts), after)


def _same(values: Tensor) -> Tensor:
    return values


def _is_plain(autoencoder: Any, blocks: Iterable[nn.Module], kind: type) -> bool:
    return isinstance(autoencoder, _PLAIN) and all(type(block) is kind for block in blocks)


def _residual(block: Any) -> VaePart:
    """A ResnetBlock2D without time embedding."""

    def inner(values: Tensor, normalise: Normalise) -> Tensor:
        hidden = normalise(block.norm1, values)
        hidden = block.nonlinearity(hidden)
        return block.conv1(hidden)

    def run(values: Tensor, normalise: Normalise) -> Tensor:
        hidden = inner(values, normalise)
        hidden = normalise(block.norm2, hidden)
        hidden = block.nonlinearity(hidden)
        hidden = block.conv2(hidden)
        shortcut = values if block.conv_shortcut is None else block.conv_shortcut(values)
        return (shortcut + hidden) / block.output_scale_factor

    channels = block.conv2.out_channels
    widest = max(block.conv1.in_channels, channels)
    norms = (Norm(block.norm1, _input), Norm(block.norm2, inner))
    return VaePart(run, norms, Fraction(1), 2, channels, widest)


def _enlarging(upsampler: Any) -> VaePart:
    widest = 4 * max(upsampler.channels, upsampler.out_channels)
    return VaePart(_plain(upsampler), (), Fraction(2), 1, upsampler.out_channels, widest)


def _shrinking(downsampler: Any) -> VaePart:
    """Pads with one zero at the right and at the bottom, then takes every second convolution."""
    channels = downsampler.out_channels
    return VaePart(_plain(downsampler), (), Fraction(1, 2), 2, channels, downsampler.channels)


def _last(decoder: Any) -> VaePart:
    def run(values: Tensor, normalise: Normalise) -> Tensor:
        hidden = normalise(decoder.conv_norm_out, values)
        hidden = decoder.conv_act(hidden)
        return decoder.conv_out(hidden)

    convolution = decoder.conv_out
    norms = (Norm(decoder.conv_norm_out, _input),)
    return VaePart(run, norms, Fraction(1), 1, convolution.out_channels, convolution.in_channels)


def _convolutions(network: nn.Module) -> VaePart:
    """A network of convolutions without any norm, taken as one part.

    Its layers are registered in the order in which they are computed; so their reach adds up, each
    at its own size.
    """
    scale, reach, widest, channels = Fraction(1), Fraction(0), 0, 0
    for layer in network.modules():
        if isinstance(layer, nn.Upsample):
            scale *= upsampling(layer)
        elif isinstance(layer, nn.Conv2d):
            reach += Fraction(layer.kernel_size[0] // 2) / scale
            scale /= layer.stride[0]
            channels = layer.out_channels
        widest = max(widest, int(channels * scale**2))
    unit = scale.denominator
    return VaePart(_plain(network), (), scale, -int(-reach // unit) * unit, channels, widest)


def _trimmed(network: nn.Module) -> VaePart:
    """The same of a network whose `layers` are computed one after the other."""
    return replace(_convolutions(network), inside=partial(compute_inside, network))


def _input(values: Tensor, _: Normalise) -> Tensor:
    return values


def _plain(network: nn.Module) -> Compute:
    return lambda values, _: network(values)
