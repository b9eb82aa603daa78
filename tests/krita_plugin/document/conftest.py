"""A document for tests of what is read from one."""

from __future__ import annotations

import pytest

from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas


@pytest.fixture
def canvas() -> FakeCanvas:
    """A small document with two painted layers."""
    canvas = FakeCanvas(20, 30)
    canvas.add("grass", Bounds(10, 0, 20, 30))
    canvas.add("sky", Bounds(0, 0, 10, 30))
    return canvas
