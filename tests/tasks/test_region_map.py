"""Labels: the region of each pixel, exactly as it was painted."""

from dataclasses import replace

import numpy as np

from tapestry_backend.tasks.plan import make_plan
from tapestry_backend.tasks.region_map import RegionMap, region_map
from tapestry_protocol.messages import Expert, Region, Request
from tapestry_protocol.pixels import Bounds, Margins, Pixels


def painted(scene, prompt: str, alpha: np.ndarray, top: int = 0, left: int = 0) -> Region:
    """A region with this mask, uint8 [h, w], at this corner."""
    height, width = alpha.shape
    pixels = Pixels(height, width, 1, np.ascontiguousarray(alpha, np.uint8).tobytes())
    return Region(prompt, Bounds(top, left, top + height, left + width), scene.add(pixels))


def mapped(request: Request, scene, model) -> RegionMap:
    """The labels of a request."""
    return region_map(request, scene.blobs, make_plan(request, model))


def test_each_pixel_has_the_number_of_its_topmost_region(model, scene) -> None:
    """To the pixel, on a canvas of odd size, with strokes thinner than a cell."""
    rng = np.random.default_rng(3)
    blots = [255 * (rng.random((61, 131)) < share) for share in (0.02, 0.3, 0.5)]
    regions = tuple(painted(scene, f"blot {i}", blot) for i, blot in enumerate(blots))
    request = Request("generate", 61, 131, "snow", regions=regions)
    labels = mapped(request, scene, model)

    expected = np.select([blot > 0 for blot in blots], [1, 2, 3], 0)
    assert labels.numbers.dtype == np.uint8
    assert (labels.numbers == expected).all()
    assert [each["prompt"] for each in labels.classes] == ["snow", "blot 0", "blot 1", "blot 2"]
    assert [each["number"] for each in labels.classes] == [0, 1, 2, 3]
    assert [each["pixels"] for each in labels.classes] == np.bincount(expected.ravel()).tolist()


def test_of_soft_paint_the_larger_share_counts(model, scene) -> None:
    """Alpha over, as it is painted; what is half of each is the upper one's."""
    over = np.array([[0, 60, 127, 128, 200, 255]], np.uint8).repeat(8, axis=0)
    regions = (
        painted(scene, "sky", over),
        painted(scene, "sea", np.full((8, 6), 255)),
    )
    request = Request("generate", 8, 6, "snow", regions=regions)

    assert mapped(request, scene, model).numbers[0].tolist() == [2, 2, 2, 1, 1, 1]


def test_softened_outlines_move_no_label(model, scene) -> None:
    """Neither those that are feathered nor those of a loose region; thin strokes stay."""
    stroke = np.zeros((64, 64))
    stroke[30:32, 5:60] = 255
    sharp = painted(scene, "line", stroke)
    loose = replace(sharp, fit="loose")
    for request in (
        Request("generate", 64, 64, regions=(sharp,), feather_px=12),
        Request("generate", 64, 64, regions=(loose,)),
    ):
        assert (mapped(request, scene, model).numbers == (stroke > 0)).all()


def test_where_both_are_averaged_the_weight_decides(model, scene) -> None:
    """With --overlap blend regions share a place by their weights."""
    full = np.full((16, 16), 255)
    upper, lower = painted(scene, "sky", full), painted(scene, "sea", full)
    blended = Request("generate", 16, 16, regions=(upper, lower), expert=Expert(overlap="blend"))
    heavier = replace(blended, regions=(upper, replace(lower, weight=3.0)))

    assert (mapped(blended, scene, model).numbers == 1).all()
    assert (mapped(heavier, scene, model).numbers == 2).all()


def test_an_extension_is_labelled_as_far_as_its_regions_go_on(model, scene) -> None:
    """The map is as large as the picture that comes out."""
    sky = painted(scene, "sky", np.full((20, 128), 255))
    request = Request(
        "extend",
        128,
        128,
        "lava",
        margins=Margins(right=40),
        image=scene.picture(128, 128),
        regions=(sky,),
    )
    numbers = mapped(request, scene, model).numbers

    assert numbers.shape == (128, 168)
    assert (numbers == (np.arange(128)[:, None] < 20)).all()
