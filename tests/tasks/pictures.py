"""Pictures that go into a task, and come out of it."""

import numpy as np

from tapestry_protocol.pixels import Pixels


def to_array(pixels: Pixels) -> np.ndarray:
    """[H, W, C] uint8."""
    return np.frombuffer(pixels.data, np.uint8).reshape(
        pixels.height, pixels.width, pixels.channels
    )


def noise_picture(height: int, width: int) -> Pixels:
    """An opaque RGBA picture of random pixels: nothing but the original gives these bytes."""
    rgba = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    return Pixels(height, width, 4, rgba.tobytes())
