"""ESRGAN's network (Wang et al. 2018), as Real-ESRGAN has it, too: pictures become larger.

A residual in a residual of dense blocks; then what was found is doubled, by nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..checkpoints.upscaler_file import Upscaler
from ..engine.out_of_memory import attempt

_KEPT = 0.2
"""Of what each block, and each block of blocks, has found."""

_TILE_PX = 192
_AROUND_PX = 24
"""Pixels around a tile that are seen with it. The network could see hundreds; what lies farther
away hardly changes anything."""


class Enlarger:
    """A network on a device."""

    def __init__(self, found: Upscaler, device: torch.device) -> None:
        self.times = 2**found.doublings // found.shrunk
        """How many times as large pictures become."""
        self._found = found
        self._device = device
        file = safetensors.torch.load_file(found.path)
        network = RRDBNet(found)
        network.load_state_dict({ours: file[name].float() for ours, name in found.tensors.items()})
        self._network = network.to(device).eval().requires_grad_(requires_grad=False)
        self._tile_px = _TILE_PX

    def enlarged(self, picture: np.ndarray) -> Iterator[np.ndarray]:
        """A picture float32 [3, h, w] in 0..1; after each tile what there is so far, larger."""
        _, height, width = picture.shape
        pixels, times = torch.from_numpy(picture), self.times
        larger = np.zeros((3, height * times, width * times), np.float32)
        todo = [(0, 0, height, width)]
        while todo:
            top, left, bottom, right = todo.pop()
            if max(bottom - top, right - left) > self._tile_px:
                todo += self._cut(top, left, bottom, right)
                continue
            found = attempt(lambda: self._tile(pixels, top, left, bottom, right))  # noqa: B023
            if found is None:
                if self._tile_px == 1:
                    raise MemoryError
                self._tile_px = max(1, max(bottom - top, right - left) // 2)
                todo.append((top, left, bottom, right))
                continue
            rows, columns = slice(top * times, bottom * times), slice(left * times, right * times)
            larger[:, rows, columns] = found[0]
            yield larger

    def _cut(
        self, top: int, left: int, bottom: int, right: int
    ) -> Iterator[tuple[int, int, int, int]]:
        """Tiles of a part."""
        side = self._tile_px
        for row in range(top, bottom, side):
            for column in range(left, right, side):
                yield row, column, min(row + side, bottom), min(column + side, right)

    @torch.no_grad()
    def _tile(self, pixels: Tensor, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """A part of the larger picture, [3, h, w]."""
        _, height, width = pixels.shape
        above, before = max(0, top - _AROUND_PX), max(0, left - _AROUND_PX)
        below, after = min(height, bottom + _AROUND_PX), min(width, right + _AROUND_PX)
        # Whole groups of pixels go in, and begin where they begin in the whole picture.
        group = self._found.shrunk
        above, before = above // group * group, before // group * group
        seen = pixels[None, :, above:below, before:after].to(self._device)
        beyond = (0, -(after - before) % group, 0, -(below - above) % group)
        made = self._network(functional.pad(seen, beyond, "replicate"))[0]
        rows = slice((top - above) * self.times, (bottom - above) * self.times)
        columns = slice((left - before) * self.times, (right - before) * self.times)
        return made[:, rows, columns].clamp(0, 1).cpu().numpy()


class RRDBNet(nn.Module):
    """Its layers are called as in BasicSR."""

    def __init__(self, found: Upscaler) -> None:
        super().__init__()
        wide = found.features
        self._shrunk, self._doublings = found.shrunk, found.doublings
        self.conv_first = _layer(3 * found.shrunk**2, wide)
        self.body = nn.Sequential(*(_Block(wide, found.growth) for _ in range(found.blocks)))
        self.conv_body = _layer(wide, wide)
        for number in range(found.doublings):
            setattr(self, f"conv_up{number + 1}", _layer(wide, wide))
        self.conv_hr = _layer(wide, wide)
        self.conv_last = _layer(wide, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, h, w] -> larger ones."""
        first = self.conv_first(functional.pixel_unshuffle(pixels, self._shrunk))
        values = first + self.conv_body(self.body(first))
        for number in range(self._doublings):
            doubled = functional.interpolate(values, scale_factor=2, mode="nearest")
            values = _bent(getattr(self, f"conv_up{number + 1}")(doubled))
        return self.conv_last(_bent(self.conv_hr(values)))


class _Block(nn.Module):
    """Three dense blocks, around which a part goes by."""

    def __init__(self, wide: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (_DenseBlock(wide, growth) for _ in range(3))

    def forward(self, values: Tensor) -> Tensor:
        return values + _KEPT * self.rdb3(self.rdb2(self.rdb1(values)))


class _DenseBlock(nn.Module):
    """Five layers, each of which sees what all before it have found."""

    conv5: nn.Conv2d

    def __init__(self, wide: int, growth: int) -> None:
        super().__init__()
        for number in range(5):
            out = growth if number < 4 else wide
            setattr(self, f"conv{number + 1}", _layer(wide + number * growth, out))

    def forward(self, values: Tensor) -> Tensor:
        found = [values]
        for number in range(4):
            found.append(_bent(getattr(self, f"conv{number + 1}")(torch.cat(found, dim=1))))
        return values + _KEPT * self.conv5(torch.cat(found, dim=1))


def _layer(taken: int, made: int) -> nn.Conv2d:
    return nn.Conv2d(taken, made, 3, padding=1)


def _bent(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, 0.2)
