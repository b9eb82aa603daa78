"""Between bytes and tensors: masks reach into the padding, pictures land at their place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tapestry_backend.tasks.canvas import known_picture, selected, to_rgba
from tapestry_backend.tasks.canvas_source import read_canvas_source
from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.messages import Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels


def test_a_region_at_the_edge_goes_on_into_the_padding(model, scene) -> None:
    """The cells beyond a picture of odd size belong to the region at its edge."""
    request = Request("generate", 61, 131, regions=(scene.region("snow", Bounds(0, 0, 61, 131)),))
    weights = read_canvas_source(request, scene.blobs, make_plan(request, model)).source.weights

    assert bool((weights[0] == 1).all())


def test_a_region_may_reach_beyond_the_old_canvas(model, scene) -> None:
    """In an extension a region's coordinates are those of the document before it grew."""
    request = Request(
        "extend",
        128,
        128,
        margins=Margins(left=64),
        image=scene.picture(128, 128),
        regions=(scene.region("snow", Bounds(0, -64, 128, 16)),),
    )
    weights = read_canvas_source(request, scene.blobs, make_plan(request, model)).source.weights

    assert weights[0, 5].tolist() == [1.0] * 10 + [0.0] * 14


def test_regions_go_on_beyond_the_old_edge_unless_they_shall_not(model, scene) -> None:
    """An extension goes on with what is there, whatever the background prompt."""
    sky = scene.region("blue sky", Bounds(0, 0, 64, 128))
    sun = scene.region("snow", Bounds(64, 40, 128, 90))
    image = scene.picture(128, 128)
    for prompt, goes_on, reach in (("", True, 24), ("lava", True, 24), ("", False, 16)):
        request = Request(
            "extend",
            128,
            128,
            prompt,
            margins=Margins(right=64),
            image=image,
            regions=(sky, sun),
            continue_regions=goes_on,
        )
        weights = read_canvas_source(request, scene.blobs, make_plan(request, model)).source.weights
        assert weights[0, 3].tolist() == [1.0] * reach + [0.0] * (24 - reach)
        assert float(weights[1, 12, 12:].sum()) == 0


def test_what_is_half_opaque_is_known(model, scene) -> None:
    """A layer at 99 % is there; a pixel that is more transparent than not is no colour to keep."""
    rgba = np.full((128, 128, 4), 254, dtype=np.uint8)
    rgba[:, 20:50, 3] = 128
    rgba[:, 50:, 3] = 127
    image = scene.add(Pixels(128, 128, 4, rgba.tobytes()))
    request = Request("extend", 128, 128, margins=Margins(top=8), image=image)
    _, known = known_picture(image, scene.blobs, make_plan(request, model))

    assert known.shape == (136, 128)
    assert int(known.sum()) == 128 * 50
    assert not bool(known[:8].any())


def test_colours_become_bytes_by_rounding() -> None:
    """0 and 1 are 0 and 255, and nothing wraps around."""
    pixels = to_rgba(torch.tensor([0.0, 0.5, 1.0, 1.2]).expand(3, 1, 4))

    assert list(pixels.data[::4]) == [0, 128, 255, 255]
    assert set(pixels.data[3::4]) == {255}


def test_feathering_leaves_the_canvas_border_alone(model, scene) -> None:
    """A region that touches the border goes on beyond it: there is nothing to fade to."""
    region = scene.region("snow", Bounds(0, 0, 128, 60))
    request = Request("generate", 128, 128, regions=(region,), feather_px=20)
    weights = read_canvas_source(request, scene.blobs, make_plan(request, model)).source.weights

    torch.testing.assert_close(weights[0, :, :5], torch.ones(16, 5))
    assert 0.3 < float(weights[0, 8, 7]) < 0.7
    torch.testing.assert_close(weights[0, 0], weights[0, 8])


def test_a_loose_region_has_a_soft_outline(model, scene) -> None:
    """A rough hint ends nowhere in particular; a tight one ends where it was painted."""
    soft = []
    for fit in ("tight", "loose"):
        region = replace(scene.region("snow", Bounds(40, 40, 88, 88)), fit=fit)
        request = Request("generate", 128, 128, regions=(region,))
        weights = read_canvas_source(request, scene.blobs, make_plan(request, model)).source.weights
        soft.append(int(((weights[0] > 0) & (weights[0] < 1)).sum()))

    assert soft[0] == 0
    assert soft[1] > 20


def test_a_selection_ends_where_the_document_ends(model, scene) -> None:
    """Feathered inside, nothing of it beyond the document."""
    mask = scene.add(Pixels(50, 100, 1, b"\xff" * 5000))
    request = Request(
        "fill",
        100,
        100,
        image=scene.picture(100, 100),
        selection=Selection(Bounds(0, 0, 50, 100), mask),
        feather_px=8,
    )
    chosen = selected(request.selection, scene.blobs, make_plan(request, model))

    assert chosen.shape == (112, 112)
    assert float(chosen[100:].sum() + chosen[:, 100:].sum()) == 0
    torch.testing.assert_close(chosen[:40, :100], torch.ones(40, 100))
    assert float(chosen[49:51, 50].mean()) == pytest.approx(0.5)
