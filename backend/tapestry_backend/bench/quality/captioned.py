"""A picture with a caption, for the contact sheet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CaptionedPicture:
    """uint8 [H, W, 3], and what it shows."""

    caption: str
    pixels: np.ndarray
