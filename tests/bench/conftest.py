"""A workbench whose pictures cost next to nothing, and synthetic pictures."""

import numpy as np
import pytest

COLOURS = {
    "grass": (60, 150, 40),
    "lava": (230, 90, 20),
    "snow": (240, 245, 250),
    "sky": (90, 150, 230),
}
"""Materials that are told apart by their colours."""


def drawn(prompt: str, seed: int, side: int = 128) -> np.ndarray:
    """A plain picture of one of the `COLOURS`, in noise, uint8 [H, W, 3]."""
    noise = np.random.default_rng(seed).normal(scale=12, size=(side, side, 3))
    return (COLOURS[prompt] + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def settings():
    """Two steps: enough for whatever does not judge how a picture looks."""
    from tapestry_backend.bench.common.painter import PainterSettings

    return PainterSettings(num_inference_steps=2)


@pytest.fixture(scope="session")
def painter(model_cache, settings):
    """Tapestry itself."""
    from tapestry_backend.bench.common.painter import Painter
    from tapestry_backend.bench.common.progress import ProgressLog

    return Painter(model_cache, settings, ProgressLog(quiet=True))


@pytest.fixture(scope="session")
def bench(painter):
    """A workbench for a quick run."""
    from tapestry_backend.bench.quality.workbench import Scope, Workbench

    return Workbench(painter, Scope(quick=True))


@pytest.fixture
def smooth():
    """Makes a picture [H, W, 3] of soft random blobs: change is the same everywhere."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=(height + 8, width + 8, 3))
        for axis in (0, 1):
            for _ in range(2):
                noise = sum(np.roll(noise, shift, axis) for shift in range(3)) / 3
        inside = noise[4:-4, 4:-4]
        return (inside / inside.std() * 30 + 128).clip(0, 255).astype(np.uint8)

    return make
