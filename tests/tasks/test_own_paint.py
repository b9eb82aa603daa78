"""Paint that a region keeps to: as opaque as it is, and no other region's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tapestry_backend.engine.layers import make_layers
from tapestry_backend.engine.regions import PaintedMask, occlude, occluded
from tapestry_backend.engine.sampling import Preserved
from tapestry_backend.engine.windows import Size, Window
from tapestry_backend.tasks.own_paint import (
    OwnPaint,
    own_paints,
    preserved_in_rows,
    preserved_paint,
)
from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.messages import Region, Request
from tapestry_protocol.pixels import Bounds, Pixels

STEPS = 6


def colours(pixels: Pixels) -> np.ndarray:
    """[H, W, 3]."""
    array = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
    return array[..., :3].astype(float)


def blue(scene, alpha: np.ndarray, bounds: Bounds, **fields: float) -> Region:
    """A region of blue paint of some opacity [h, w] uint8."""
    rgba = np.zeros((*alpha.shape, 4), np.uint8)
    rgba[..., 2], rgba[..., 3] = 255, alpha
    height, width = alpha.shape
    mask = scene.add(Pixels(height, width, 1, alpha.tobytes()))
    return Region(
        "lava", bounds, mask, paint=scene.add(Pixels(height, width, 4, rgba.tobytes())), **fields
    )


def test_kept_paint_is_as_opaque_as_it_was_painted(paint, scene) -> None:
    """It lies over the picture below it as in any painting program, to a level of 255."""
    alpha = np.repeat(np.linspace(0, 255, 128).astype(np.uint8)[None], 64, axis=0)
    region = blue(scene, alpha, Bounds(32, 0, 96, 128), strength=0.0)
    request = Request(
        "generate", 128, 128, prompt="snow", regions=(region,), num_inference_steps=STEPS
    )
    layered = paint(replace(request, layered=True))

    below = colours(layered.layered.base)[32:96]
    share = alpha[..., None] / 255
    wanted = share * np.array([0, 0, 255]) + (1 - share) * below
    assert np.abs(colours(layered.pixels)[32:96] - wanted).max() <= 1.5


def test_kept_paint_changes_nothing_beside_it(paint, scene) -> None:
    """What lies under and beside it does not take its colour."""
    alpha = np.full((48, 48), 255, np.uint8)
    region = blue(scene, alpha, Bounds(40, 40, 88, 88), strength=0.0)
    request = Request(
        "generate", 128, 128, prompt="red bricks", regions=(region,), num_inference_steps=10
    )
    painted = colours(paint(request).pixels)

    assert (painted[40:88, 40:88] == (0, 0, 255)).all()
    ring = np.ones((128, 128), bool)
    ring[:32], ring[96:], ring[:, :32], ring[:, 96:] = False, False, False, False
    ring[40:88, 40:88] = False
    blueish = painted[ring][:, 2] - painted[ring][:, 0]
    far = painted[:24]
    assert (blueish > 0).mean() <= (far[..., 2] - far[..., 0] > 0).mean() + 0.01


def test_a_little_strength_leaves_no_rim(paint, scene) -> None:
    """Up to its outline a region is as near its paint as in its middle."""
    alpha = np.full((64, 64), 255, np.uint8)
    region = blue(scene, alpha, Bounds(32, 32, 96, 96), strength=0.1)
    request = Request(
        "generate", 128, 128, prompt="snow", regions=(region,), num_inference_steps=20
    )
    off = np.abs(colours(paint(request).pixels)[32:96, 32:96] - (0, 0, 255)).mean(axis=2)

    rim = np.ones((64, 64), bool)
    rim[4:-4, 4:-4] = False
    assert off[rim].mean() < off[~rim].mean() + 6


def test_paint_goes_on_over_its_outline(model, scene) -> None:
    """So that its margin holds it as well; thin paint takes the colours beside it."""
    alpha = np.full((16, 16), 255, np.uint8)
    alpha[:, 8:] = 2
    region = blue(scene, alpha, Bounds(56, 56, 72, 72), strength=0.5)
    request = Request("generate", 256, 256, regions=(region,))
    mask = PaintedMask(56, 56, torch.from_numpy(alpha))
    found, background = own_paints(request, scene.blobs, [mask], make_plan(request, model))

    assert background is None
    assert found.place == Window(0, 0, 19, 19)
    assert not found.is_preserved
    torch.testing.assert_close(
        found.pixels, torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1).expand(1, 3, 152, 152)
    )


def test_paint_goes_on_smoothly(model, scene) -> None:
    """A spot at the outline draws no line beyond it."""
    y, x = np.mgrid[:64, :64] - 31.5
    alpha = np.where(np.hypot(x, y) < 24, 255, 0).astype(np.uint8)
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., 3] = alpha
    rgba[8:11, 31:34, :3] = 255
    kept = blue(scene, alpha, Bounds(64, 64, 128, 128), strength=0.0)
    region = replace(kept, paint=scene.add(Pixels(64, 64, 4, rgba.tobytes())))
    request = Request("generate", 192, 192, regions=(region,))
    mask = PaintedMask(64, 64, torch.from_numpy(alpha))
    found, _ = own_paints(request, scene.blobs, [mask], make_plan(request, model))

    above = found.pixels[0, 0, 64, 64:128]
    assert found.place == Window(0, 0, 24, 24)
    assert float(above.max()) < 0.35
    assert float((above[1:] - above[:-1]).abs().max()) < 0.05


def test_paint_goes_on_around_a_canvas_that_wraps(model, scene) -> None:
    """Beside its right edge lies what is painted at its left one."""
    rgba = np.zeros((64, 256, 4), np.uint8)
    rgba[:, :8] = (255, 0, 0, 255)
    rgba[:, 120:128] = (0, 0, 255, 255)
    bounds = Bounds(0, 0, 64, 256)
    alpha = rgba[..., 3].copy()
    kept = blue(scene, alpha, bounds, strength=0.0)
    region = replace(kept, paint=scene.add(Pixels(64, 256, 4, rgba.tobytes())))
    request = Request("generate", 64, 256, regions=(region,))
    mask = PaintedMask(0, 0, torch.from_numpy(alpha))

    def right_edge(*, wrap: bool) -> torch.Tensor:
        plan = make_plan(replace(request, wrap=wrap), model)
        return own_paints(request, scene.blobs, [mask], plan)[0].pixels[0, :, 32, 250]

    assert float(right_edge(wrap=True)[0]) > 0.6
    assert float(right_edge(wrap=False)[2]) > 0.6


@pytest.mark.parametrize("change", [{"strength": 1.0}, {"fit": "loose"}, {"paint": None}])
def test_who_has_no_paint_of_its_own(model, scene, change) -> None:
    """Who ignores it, who shares latents with the background, who has none."""
    alpha = np.full((16, 16), 255, np.uint8)
    region = replace(blue(scene, alpha, Bounds(0, 0, 16, 16), strength=0.5), **change)
    request = Request("generate", 128, 128, regions=(region,))
    mask = PaintedMask(0, 0, torch.from_numpy(alpha))

    assert own_paints(request, scene.blobs, [mask], make_plan(request, model)) == (None, None)


def test_paint_that_cannot_be_seen_is_none(model, scene) -> None:
    """A mask without paint starts from noise."""
    alpha = np.full((16, 16), 2, np.uint8)
    request = Request(
        "generate", 128, 128, regions=(blue(scene, alpha, Bounds(0, 0, 16, 16), strength=0.0),)
    )
    mask = PaintedMask(0, 0, torch.from_numpy(alpha))

    assert own_paints(request, scene.blobs, [mask], make_plan(request, model)) == (None, None)


def test_kept_paint_hides_what_is_below_it() -> None:
    """Shares are those of paint over paint."""
    half = PaintedMask(0, 0, torch.full((8, 8), 0.5))
    ones = torch.ones(1, 3, 8, 8)
    paints = (
        OwnPaint(Window(0, 0, 1, 1), ones, 0.0),
        OwnPaint(Window(0, 0, 1, 1), ones / 2, 0.0),
        None,
    )
    picture = preserved_paint(occluded([half, half], Size(8, 8)), paints, Size(8, 8))

    torch.testing.assert_close(picture[0, :, 3, 3], torch.tensor([0.625, 0.625, 0.625, 0.75]))
    assert preserved_paint(occluded([half], Size(8, 8)), (None, None), Size(8, 8)) is None


def test_a_row_of_latents_knows_its_own_paint_alone(model) -> None:
    """In its place; the other rows are as they were."""
    weights = occlude([PaintedMask(0, 0, torch.ones(32, 32))], Size(16, 16), 8)
    layers = make_layers(weights, [True, False])
    preserved = Preserved(torch.zeros(1, model.channels, 16, 16), torch.zeros(2, 1, 16, 16))
    paint = OwnPaint(Window(0, 0, 12, 12), torch.full((1, 3, 96, 96), 0.25), 0.25)
    rows = preserved_in_rows(preserved, (paint, None), layers, model)

    row = layers.rows[0]
    assert rows.until[row, 0, 0, 0] == pytest.approx(0.75)
    assert float(rows.until[row, 0, 12:].max()) == 0
    assert float(rows.until[1 - row].max()) == 0
    assert float(rows.latents[row].abs().max()) > 0
    assert float(rows.latents[1 - row].abs().max()) == 0


def test_a_smaller_canvas_has_the_same_paint() -> None:
    """For a draft of the whole."""
    paint = OwnPaint(Window(4, 4, 12, 12), torch.rand(1, 3, 64, 64), 0.3)
    small = paint.scaled(Size(16, 16), Size(8, 8))

    assert small.place == Window(0, 0, 8, 8)
    assert small.cell_px == 8
    torch.testing.assert_close(
        small.pixels[0, :, 20, 20], paint.pixels[0, :, 8:10, 8:10].mean(dim=(1, 2))
    )
