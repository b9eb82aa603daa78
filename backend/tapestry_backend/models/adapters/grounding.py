"""Grounded boxes for checkpoints that read them (GLIGEN, Li et al. 2023): what lies where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

_MOST_BOXES = 30
"""What these checkpoints were trained with."""

KINDS = ("gated",)
"""How a U-Net's configuration says that it reads boxes with texts."""


class Box(NamedTuple):
    """A rectangle and what is in it, on the canvas: edges in any unit, half-open."""

    top: float
    left: float
    bottom: float
    right: float


class Grounding:
    """Boxes with their phrases, for a U-Net whose rows each see a window of their canvas.

    phrases [N, D]: what the text encoder says about each whole phrase; boxes and `width`, the
    canvas', in the unit of the windows.
    """

    def __init__(self, unet: Any, phrases: Tensor, boxes: Sequence[Box], width: float) -> None:
        self._unet = unet
        self._phrases = phrases[:_MOST_BOXES]
        self._boxes = boxes[:_MOST_BOXES]
        self._width = width

    @contextmanager
    def told(self, windows: Sequence[Box], negative: Sequence[bool]) -> Iterator[None]:
        """Inside, the U-Net gets each row's boxes; `negative` rows get none."""
        asked = {"gligen": self._arguments(windows, negative)}

        def add(_unet: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            return given, {**named, "cross_attention_kwargs": asked}

        handle = self._unet.register_forward_pre_hook(add, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def _arguments(self, windows: Sequence[Box], negative: Sequence[bool]) -> dict[str, Tensor]:
        rows, width = len(windows), self._phrases.shape[1]
        boxes = torch.zeros(rows, _MOST_BOXES, 4)
        masks = torch.zeros(rows, _MOST_BOXES)
        phrases = self._phrases.new_zeros(rows, _MOST_BOXES, width)
        for row, window in enumerate(windows):
            for number, box in enumerate(self._boxes):
                part = inside(box, window, self._width)
                if part is not None:
                    boxes[row, number] = torch.tensor(
                        [part.left, part.top, part.right, part.bottom]
                    )
                    phrases[row, number] = self._phrases[number]
                    masks[row, number] = not negative[row]
        return {
            "boxes": boxes.to(self._phrases),
            "positive_embeddings": phrases,
            "masks": masks.to(self._phrases),
        }


def inside(box: Box, window: Box, width: float) -> Box | None:
    """A box's part in a window, in shares of the window; None where it has none.

    A window that wraps around sees the larger of the two parts that a box may have there.
    """
    found: list[tuple[float, Box]] = []
    for shift in (0.0, width):
        top, bottom = max(box.top, window.top), min(box.bottom, window.bottom)
        left = max(box.left + shift, window.left)
        right = min(box.right + shift, window.right)
        if top < bottom and left < right:
            high, wide = window.bottom - window.top, window.right - window.left
            part = Box(
                (top - window.top) / high,
                (left - window.left) / wide,
                (bottom - window.top) / high,
                (right - window.left) / wide,
            )
            found.append(((bottom - top) * (right - left), part))
    return max(found)[1] if found else None
