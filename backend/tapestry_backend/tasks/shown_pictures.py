"""Pictures that a model is shown beside what it paints: FLUX.1 Kontext, FLUX.2, Qwen-Image-Edit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.nn import functional

from tapestry_protocol.fields import PictureShown

from ..engine.multidiffusion import MultiDiffusion, WindowContext
from ..engine.windows import crop
from ..models.denoiser import Denoiser


@dataclass(frozen=True)
class ShownPictures:
    """The pictures of a canvas, as latents.

    parts    [1, C, H, W] each, as large as the canvas: a window is shown its own part
    wholes   [1, C, h, w] each: all windows are shown the same
    """

    parts: tuple[Tensor, ...] = ()
    wholes: tuple[Tensor, ...] = ()

    @classmethod
    def of_canvas(
        cls,
        pixels: Tensor,
        shown: PictureShown,
        model: Denoiser,
        references: Sequence[Tensor] = (),
    ) -> ShownPictures:
        """A canvas' picture [1, 3, H, W] in -1..1, as it is to be shown, and others behind it.

        The catalogue has checked that the model sees so many at once.
        """
        wholes = [pixels] if shown in {"whole", "both"} else []
        small = (made_small(each, model) for each in (*wholes, *references))
        part = (model.encode(pixels).float(),) if shown in {"window", "both"} else ()
        return cls(part, tuple(model.encode(each).float() for each in small))

    @property
    def count(self) -> int:
        """Pictures that a window is shown."""
        return len(self.parts) + len(self.wholes)

    def beside(self, plain: MultiDiffusion) -> MultiDiffusion:
        """The same windows, regions and texts, with the pictures shown."""
        return replace(
            plain,
            predict=self._told(plain.predict, 3),
            adapter_sets=[self._told(each, 3) for each in plain.adapter_sets],
            # Each picture has as many tokens as a window.
            batch_size=max(1, plain.batch_size // (1 + self.count)),
        )

    def _told(self, predict: Callable[..., Tensor], place: int) -> Callable[..., Tensor]:
        """The same model, whose contexts, its argument at this place, have the pictures."""

        def asked(*args: Any) -> Tensor:
            contexts: Sequence[WindowContext] = [
                context._replace(references=self._of(context)) for context in args[place]
            ]
            return predict(*args[:place], contexts)

        return asked

    def _of(self, context: WindowContext) -> tuple[Tensor, ...]:
        return (*(crop(each, context.window) for each in self.parts), *self.wholes)


def made_small(pixels: Tensor, model: Denoiser) -> Tensor:
    """A picture [1, 3, H, W] with no more pixels than a window has, in its own proportions.

    Its sides are whole patches of the model.
    """
    height, width = pixels.shape[-2:]
    unit = model.cell_px * model.cell_step
    factor = min(1.0, model.window * model.cell_px / math.sqrt(height * width))
    size = [max(1, round(side * factor / unit)) * unit for side in (height, width)]
    if size == [height, width]:
        return pixels
    small = functional.interpolate(pixels, size, mode="bicubic", antialias=True)
    return small.clamp(-1, 1)
