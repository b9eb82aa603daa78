"""How far a canvas is extended by name."""

import pytest

from tapestry.settings.extension_presets import on_grid, preset_margins
from tapestry.settings.settings import LARGEST_EXTENSION_PX
from tapestry_protocol.pixels import Margins


@pytest.mark.parametrize(
    ("preset", "before", "after"),
    [
        ("half", Margins(), Margins(right=128)),
        ("double", Margins(), Margins(right=256)),
        ("double", Margins(left=8), Margins(left=256)),
        ("double", Margins(left=8, right=8, top=8), Margins(top=96, left=128, right=128)),
    ],
)
def test_a_share_of_the_canvas(preset, before, after) -> None:
    """Opposite sides have it between them."""
    assert preset_margins(preset, 96, 256, before) == after


@pytest.mark.parametrize("size", [(96, 128), (512, 512), (100, 101), (64, 500), (1, 1)])
def test_all_around_is_twice_as_wide_as_high_on_whole_cells(size) -> None:
    """And something is new at the place where the edges meet."""
    height, width = size
    margins = preset_margins("around", height, width, Margins(top=8))
    assert margins.top == margins.bottom == 0
    assert margins.left % 8 == 0
    assert (width + margins.right) % 8 == 0
    assert min(margins.left, margins.right) > 0
    assert width + margins.left + margins.right >= min(2 * height, 2 * width)


def test_dragging_goes_from_cell_to_cell() -> None:
    """Never below nothing, never beyond what can be asked for."""
    assert [on_grid(px) for px in (-5, 3, 5, 12.1, 1e9)] == [0, 0, 8, 16, LARGEST_EXTENSION_PX]
