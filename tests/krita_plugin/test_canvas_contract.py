"""The fake canvas keeps to the contract that the real one keeps to."""

import pytest

from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.canvas_contract import CanvasContract
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost


class TestFakeCanvas(CanvasContract):
    """The fake on plain bytes."""

    @pytest.fixture(autouse=True)
    def _host(self) -> None:
        self.host = FakeHost()

    def open_canvas(self, height: int, width: int) -> FakeCanvas:
        return self.host.create_canvas(height, width, "test")

    def close(self, canvas: FakeCanvas) -> None:
        canvas.is_open = False

    def hide(self, canvas: FakeCanvas, layer_id: str) -> None:
        canvas.change(layer_id, visible=False)


def test_fake_begins_with_an_opaque_background() -> None:
    """As a new document in Krita does."""
    canvas = FakeCanvas(2, 3)
    assert canvas.names == ["Background"]
    assert canvas.alpha(canvas.layers()[0].id, Bounds(0, 0, 2, 3)) == b"\xff" * 6
