"""Control pictures of a canvas that is an enlargement: every window sees its part, as large."""

import pytest
import torch

from tapestry_backend.engine.windows import Window
from tapestry_backend.tasks.control_pictures import _enlarged
from tapestry_protocol.pixels import Bounds


def drawn() -> torch.Tensor:
    """A bright square on black, 32 pixels a side."""
    rgb = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    rgb[..., 8:24, 8:24] = 255
    return rgb


@pytest.mark.parametrize("preprocessor", ["none", "lines", "canny", "soft_edges", "regions"])
def test_windows_are_parts_of_one_picture(preprocessor: str) -> None:
    """Wherever they lie: what is seen there is the same in each that sees it."""
    output = Bounds(0, 0, 133, 131)
    whole = _enlarged(drawn(), output, Window(0, 0, 128, 128), preprocessor)
    part = _enlarged(drawn(), output, Window(24, 40, 88, 104), preprocessor)

    assert whole.shape == (1, 3, 128, 128)
    assert whole.dtype == torch.uint8
    assert torch.equal(part, whole[..., 24:88, 40:104])


def test_it_fills_the_output_and_goes_on_around_it() -> None:
    """What pads a canvas smaller than a window shows what its edge shows."""
    wall = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    wall[..., :2] = 200
    shown = _enlarged(wall, Bounds(16, 32, 48, 64), Window(0, 0, 64, 96), "none")

    assert (shown[..., :42] == 200).all()
    assert not shown[..., 54:].any()


def test_edges_are_as_thin_as_in_a_picture_of_its_size() -> None:
    """Looked for after it was enlarged; before, they would be four pixels thick."""
    lines = _enlarged(drawn(), Bounds(0, 0, 128, 128), Window(0, 0, 128, 128), "canny")
    across = lines[0, 0, 64] > 0

    assert across.sum() == 2
    assert {32, 31} & set(torch.nonzero(across).flatten().tolist())
