"""Runs convolutions where only a part of the result is wanted.

A convolution sees only so far. What no later layer needs is cut off after each one, so that what
lies around the wanted part costs little where there are many pixels: the same numbers, less work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from torch import Tensor, nn


class Span(NamedTuple):
    """Places along an axis, half-open."""

    start: int
    stop: int


def upsampling(layer: nn.Upsample) -> int:
    """The factor by which it enlarges a picture."""
    factor: Any = layer.scale_factor
    return int(factor)


def compute_inside(network: Any, values: Tensor, rows: Span, columns: Span) -> Tensor:
    """These rows and columns of what a network makes of values [B, C, H, W].

    network.layers: convolutions that pad by half their kernel, what enlarges by whole numbers,
    blocks of these, and what sees a single place; in the order in which they are computed.
    """
    down, across = (
        _cuts(network.layers, length, wanted)
        for length, wanted in zip(values.shape[-2:], (rows, columns), strict=True)
    )
    with ExitStack() as hooks:
        for layer, high, wide in zip(network.layers, down, across, strict=True):
            handle = layer.register_forward_hook(
                lambda _layer, _inputs, made, high=high, wide=wide: _cut(made, high, wide)
            )
            hooks.callback(handle.remove)
        return network(values)


def _cut(values: Tensor, rows: Span, columns: Span) -> Tensor:
    return values[..., rows.start : rows.stop, columns.start : columns.stop]


def _cuts(layers: Sequence[nn.Module], length: int, wanted: Span) -> list[Span]:
    """What to keep of each layer's result along an axis, so that `wanted` is left at the end.

    Places count from the first that a layer makes of what was kept of the one before.
    """
    # Forwards: how long each layer's input would be.
    lengths = []
    for layer in layers:
        lengths.append(length)
        length = _made(layer, length)
    # Backwards: which places of each layer's result the next one needs.
    needed = []
    for layer, input_length in zip(reversed(layers), reversed(lengths), strict=True):
        needed.append(wanted)
        wanted = _seen(layer, wanted, input_length)
    needed.reverse()
    # Forwards again: the first layer is given everything, the others what was kept.
    cuts, start = [], 0
    for layer, span in zip(layers, needed, strict=True):
        origin = _made(layer, start)
        cuts.append(Span(span.start - origin, span.stop - origin))
        start = span.start
    return cuts


def _made(layer: nn.Module, length: int) -> int:
    """Length of a layer's result."""
    for part in layer.modules():
        if isinstance(part, nn.Upsample):
            length *= upsampling(part)
        elif isinstance(part, nn.Conv2d):
            length = -(-length // part.stride[0])
    return length


def _seen(layer: nn.Module, span: Span, length: int) -> Span:
    """What a part of a layer's result depends on, of the `length` places that it is given.

    Where a convolution leaves places out, it begins with one that is not left out.
    """
    start, stop = span
    for part in reversed(list(layer.modules())):
        if isinstance(part, nn.Upsample):
            factor = upsampling(part)
            start, stop = start // factor, -(-stop // factor)
        elif isinstance(part, nn.Conv2d):
            reach, stride = part.kernel_size[0] // 2, part.stride[0]
            start = (start * stride - reach) // stride * stride
            stop = (stop - 1) * stride + reach + 1
    return Span(max(0, start), min(length, stop))
