"""Helpers for requests: masks, pictures, and running a task to its end."""

from collections.abc import Callable

import pytest

from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.run import run
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels


class RequestBuilder:
    """Collects the blobs that a request refers to."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def add(self, pixels: Pixels) -> PixelsRef:
        """Keep a picture's bytes and refer to it."""
        self.blobs[pixels.sha256] = pixels.data
        return PixelsRef.of(pixels)

    def picture(self, height: int, width: int) -> PixelsRef:
        """A white, opaque picture."""
        return self.add(Pixels(height, width, 4, b"\xff" * (4 * height * width)))

    def region(self, prompt: str, bounds: Bounds) -> Region:
        """A region that fills its bounds."""
        size = bounds.height * bounds.width
        mask = Pixels(bounds.height, bounds.width, 1, b"\xff" * size)
        return Region(prompt, bounds, self.add(mask))


@pytest.fixture
def scene() -> RequestBuilder:
    """An empty scene."""
    return RequestBuilder()


@pytest.fixture
def paint(model_cache, scene: RequestBuilder) -> Callable[[Request], Finished]:
    """Run a request to its end."""

    def paint_it(request: Request) -> Finished:
        *_, finished = run(request, scene.blobs, model_cache)
        assert isinstance(finished, Finished)
        return finished

    return paint_it
