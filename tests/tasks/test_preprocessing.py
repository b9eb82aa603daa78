"""What control networks are shown: lines where there are some, black where there is nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine.regions import PaintedMask
from tapestry_backend.engine.windows import Size
from tapestry_backend.tasks.preprocessing import (
    canny_edges,
    colour_of,
    drawn_lines,
    on_black,
    region_map,
    soft_edges,
)


def layer(height: int = 32, width: int = 40, alpha: int = 255) -> Tensor:
    """A white layer [4, H, W] uint8."""
    rgba = torch.full((4, height, width), 255, dtype=torch.uint8)
    rgba[3] = alpha
    return rgba


def square() -> Tensor:
    """White on black: [3, 32, 40] in 0..1."""
    picture = torch.zeros(3, 32, 40)
    picture[:, 8:24, 10:30] = 1
    return picture


def test_what_is_not_painted_is_black() -> None:
    """And what is half painted, half dark."""
    rgba = layer(alpha=0)
    rgba[3, 4:8] = 255
    rgba[3, 8:12] = 51
    shown = on_black(rgba)

    assert bool((shown[:, 4:8] == 1).all())
    torch.testing.assert_close(shown[:, 8:12], torch.full((3, 4, 40), 0.2))
    assert not bool(shown[:, 12:].any())


def test_a_line_is_white_whatever_its_colour() -> None:
    """On a transparent layer paint is the line, on an opaque one what is dark."""
    drawn = layer(alpha=0)
    drawn[:3, 10:12], drawn[3, 10:12] = 30, 255
    scanned = layer()
    scanned[:3, 10:12] = 0
    for rgba in (drawn, scanned):
        lines = drawn_lines(rgba)
        assert lines.shape == (3, 32, 40)
        assert bool((lines[:, 10:12] > 0.99).all())
        assert float(lines[:, :10].max()) < 1e-6
        assert float(lines[:, 12:].max()) < 1e-6


def test_canny_finds_the_outline_and_nothing_else() -> None:
    """A pixel thin, closed, where the square ends; nothing on a plain picture."""
    edges = canny_edges(square())
    found = edges[0] > 0

    assert set(edges.unique().tolist()) == {0.0, 1.0}
    assert bool(found[16, 9:11].any())
    assert bool(found[16, 29:31].any())
    assert int(found[16].sum()) == 2, "one pixel on each side"
    assert int(found[:, 20].sum()) == 2
    assert not bool(found[12:20, 14:26].any())
    assert not bool(canny_edges(torch.full((3, 32, 40), 0.5)).any())


def test_canny_drops_weak_edges_that_no_strong_one_leads_to() -> None:
    """A faint line alone is grain; where it goes on from a strong one it is the same edge."""
    faint = torch.zeros(3, 40, 300)
    faint[:, 20:] = 0.075
    fading = torch.zeros(3, 40, 300)
    fading[:, 20:] = torch.linspace(0.2, 0.06, 300)  # strong up to the column 214
    found = canny_edges(fading)[0, 18:22].sum(dim=0)

    assert not bool(canny_edges(faint).any())
    assert bool((found[:250] == 1).all())
    assert not bool(found[285:].any()), "too far along"


def test_soft_edges_are_thick_and_know_how_strong() -> None:
    """Brightest at the edge, weaker for a weaker step, nothing on a plain picture."""
    strong, weak = soft_edges(square())[0], soft_edges(0.1 * square())[0]

    assert strong[16, 9:11].max() > 0.9
    assert int((strong[16] > 0.3).sum()) > 8
    assert 0 < float(weak.max()) < float(strong.max())
    assert float(strong[16, 20]) < 0.1
    assert float(soft_edges(torch.full((3, 32, 40), 0.5)).max()) < 0.01


def test_the_map_shows_who_is_on_top() -> None:
    """Each region in its colour, the background's where none is more than half."""
    half = torch.zeros(32, 40)
    half[:, :20] = 1
    faint = torch.full((32, 40), 0.3)
    masks = [
        PaintedMask(0, 0, half),
        PaintedMask(0, 0, faint),
        PaintedMask(10, 0, torch.ones(8, 40)),
    ]
    own = [colour_of(number) for number in range(4)]
    shown = region_map(masks, own, Size(32, 40))
    colours = [torch.tensor(colour) for colour in own]

    assert torch.equal(shown[:, 0, 0], colours[0])
    assert torch.equal(shown[:, 12, 30], colours[2])
    assert torch.equal(shown[:, 0, 30], colours[3])


@pytest.mark.parametrize("count", [2, 8, 33])
def test_no_two_regions_look_alike(count: int) -> None:
    """As many as there may be, and the background."""
    colours = torch.tensor([colour_of(number) for number in range(count)])
    apart = torch.cdist(colours, colours) + 9 * torch.eye(count)

    assert float(apart.min()) > 0.05
