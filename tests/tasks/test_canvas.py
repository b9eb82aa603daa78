"""Between bytes and tensors: masks reach into the padding, pictures land at their place."""

import numpy as np
import torch

from tapestry_backend.tasks.canvas import known_picture, region_weights, to_rgba
from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.messages import PixelsRef, Request
from tapestry_protocol.pixels import Bounds, Margins, Pixels


def test_a_region_at_the_edge_goes_on_into_the_padding(model, scene) -> None:
    """The cells beyond a picture of odd size belong to the region at its edge."""
    request = Request("generate", 61, 131, regions=(scene.region("snow", Bounds(0, 0, 61, 131)),))
    weights = region_weights(request, scene.blobs, make_plan(request, model))

    assert bool((weights[0] == 1).all())


def test_a_region_may_reach_beyond_the_old_canvas(model, scene) -> None:
    """In an extension a region's coordinates are those of the document before it grew."""
    request = Request(
        "extend",
        128,
        128,
        margins=Margins(left=64),
        image=PixelsRef(128, 128, 4, "0" * 64),
        regions=(scene.region("snow", Bounds(0, -64, 128, 16)),),
    )
    weights = region_weights(request, scene.blobs, make_plan(request, model))

    assert weights[0, 5].tolist() == [1.0] * 10 + [0.0] * 14


def test_without_a_background_prompt_regions_go_on_beyond_the_old_edge(model, scene) -> None:
    """An extension carries on what is painted at its edge; a background prompt takes its place."""
    sky = scene.region("blue sky", Bounds(0, 0, 64, 128))
    sun = scene.region("snow", Bounds(64, 40, 128, 90))
    image = PixelsRef(128, 128, 4, "0" * 64)
    for prompt, reach in (("", 24), ("lava", 16)):
        request = Request(
            "extend", 128, 128, prompt, margins=Margins(right=64), image=image, regions=(sky, sun)
        )
        weights = region_weights(request, scene.blobs, make_plan(request, model))
        assert weights[0, 3].tolist() == [1.0] * reach + [0.0] * (24 - reach)
        assert float(weights[1, 12, 12:].sum()) == 0


def test_only_opaque_pixels_are_known(model, scene) -> None:
    """A half transparent pixel is not a colour to keep to."""
    rgba = np.full((128, 128, 4), 255, dtype=np.uint8)
    rgba[:, 50:, 3] = 254
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
