"""A picture as layers: over each other they look like it, and each goes on beneath the others."""

from dataclasses import replace

import numpy as np
import pytest

from tapestry_backend.tasks import run as run_module
from tapestry_backend.tasks.events import Finished
from tapestry_protocol.messages import Expert, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.tasks.pictures import noise_picture, to_array

SIDE = 128
PLAIN = {"prompt": "snow", "num_inference_steps": 2, "coherence": 0.0, "layered": True}


def region(
    scene, prompt: str, mask: np.ndarray, top: int = 0, left: int = 0, **fields: object
) -> Region:
    """A region with a mask [h, w] in 0..1."""
    height, width = mask.shape
    data = (mask * 255).round().astype(np.uint8).tobytes()
    bounds = Bounds(top, left, top + height, left + width)
    return Region(prompt, bounds, scene.add(Pixels(height, width, 1, data)), **fields)


def disc(height: int, width: int, radius: float, softness: float = 1.0) -> np.ndarray:
    """A disc in the middle, its outline as soft as that."""
    down, across = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(down - height / 2, across - width / 2)
    return np.clip((radius - distance) / softness + 0.5, 0, 1)


def over_each_other(finished: Finished) -> np.ndarray:
    """The layers as paint, rounded to 8 bits after each of them: [H, W, 4]."""
    canvas = to_array(finished.layered.base).astype(float)
    for layer in reversed(finished.layered.layers):
        place = layer.bounds.moved(-finished.bounds.top, -finished.bounds.left)
        part = canvas[place.top : place.bottom, place.left : place.right]
        own, mask = to_array(layer.pixels), to_array(layer.mask)
        alpha = mask / 255 * own[..., 3:] / 255
        rest = part[..., 3:] / 255 * (1 - alpha)
        total = (alpha + rest).clip(1e-9)
        part[..., :3] = np.round((own[..., :3] * alpha + part[..., :3] * rest) / total)
        part[..., 3:] = np.round(255 * (alpha + rest))
    return canvas


def differs(finished: Finished) -> int:
    """The largest difference between the layers and the picture, where there is one."""
    flat = to_array(finished.pixels).astype(int)
    together = over_each_other(finished)
    assert np.array_equal(flat[..., 3], together[..., 3])
    return int(np.abs(flat - together)[flat[..., 3] > 0].max())


def test_layers_over_each_other_look_like_the_picture(paint, scene) -> None:
    """Soft outlines, half opaque paint, one above the other, one beyond the canvas; a loose one."""
    regions = (
        region(scene, "red bricks", disc(60, 60, 24, 6), 20, 20),
        region(scene, "lava", 0.6 * disc(80, 80, 36, 3), 30, 40),
        region(scene, "green grass", np.ones((50, 90)), 90, -10),
        region(scene, "blue sky", disc(60, 60, 25), 0, 80, fit="loose"),
        region(scene, "sand", disc(70, 70, 30), 10, 60),
    )
    request = Request("generate", SIDE, SIDE + 40, regions=regions, **PLAIN)
    finished = paint(request)

    assert [layer.region for layer in finished.layered.layers] == [0, 1, 2, 4]
    assert differs(finished) <= 2
    assert finished.pixels == paint(replace(request, layered=False)).pixels


def test_each_layer_goes_on_beneath_its_outline(paint, scene) -> None:
    """Opaque on the mask and a margin, with colours of its own; the mask is the artist's paint."""
    mask, side = disc(180, 180, 86), 192
    own_region = region(scene, "lava", mask, 6, 6)
    finished = paint(Request("generate", side, side, regions=(own_region,), **PLAIN))
    (layer,) = finished.layered.layers
    own, base = to_array(layer.pixels), to_array(finished.layered.base).astype(int)
    flat, b = to_array(finished.pixels), layer.bounds
    place = slice(b.top, b.bottom), slice(b.left, b.right)
    shown = np.zeros((side, side), np.uint8)
    shown[place] = to_array(layer.mask)[..., 0]
    assert np.array_equal(shown[6:186, 6:186], (mask * 255).round().astype(np.uint8))
    assert shown.sum() == shown[6:186, 6:186].sum()
    margin = (own[..., 3] == 255) & (shown[place] == 0)
    assert margin.sum() > 9000, "four cells around a disc of 172 pixels"
    assert np.abs(own[margin].astype(int) - flat[place][margin]).max() > 20
    assert np.abs(base - flat)[shown == 255].max() > 20, "the base goes on beneath it"
    assert np.array_equal(base[88:104, 88:104], flat[88:104, 88:104]), "but not to its middle"


@pytest.mark.parametrize(
    "fields",
    [
        {"expert": Expert(overlap="blend")},
        {"feather_px": 12},
        {"wrap": True},
        {"composition": 0.0, "expert": Expert(bootstrapping=0.0)},
    ],
)
def test_layers_are_right_whatever_decides_what_shows(paint, scene, fields) -> None:
    """Regions that share, softened outlines, weights, around the edge."""
    regions = (
        region(scene, "red bricks", disc(70, 70, 30, 4), 20, -20, weight=3.0),
        region(scene, "lava", 0.7 * np.ones((60, 60)), 40, 20),
    )
    assert differs(paint(Request("generate", SIDE, SIDE, regions=regions, **PLAIN, **fields))) <= 2


def test_an_extension_has_layers_for_what_is_new(paint, scene) -> None:
    """The original is in none of them."""
    image = scene.add(noise_picture(64, 64))
    request = Request(
        "extend",
        64,
        64,
        image=image,
        margins=Margins(left=40, right=72),
        regions=(region(scene, "lava", disc(64, 80, 24), 0, 40),),
        **PLAIN,
    )
    finished = paint(request)
    assert differs(finished) <= 2
    (layer,) = finished.layered.layers
    assert layer.bounds.left < 64 < layer.bounds.right
    own = to_array(layer.pixels)
    assert not own[:, : 64 - layer.bounds.left].any()
    assert own[:, 64 - layer.bounds.left :, 3].any()


def test_a_soft_selection_has_layers(paint, scene) -> None:
    """Where the old picture shows through, the base has all of it."""
    image = scene.add(noise_picture(SIDE, SIDE))
    where = scene.add(
        Pixels(SIDE, SIDE, 1, (255 * disc(SIDE, SIDE, 50, 20)).astype(np.uint8).tobytes())
    )
    request = Request(
        "fill",
        SIDE,
        SIDE,
        image=image,
        selection=Selection(Bounds(0, 0, SIDE, SIDE), where),
        regions=(region(scene, "lava", np.ones((SIDE, 64)), 0, 64),),
        **PLAIN,
    )
    assert differs(paint(request)) <= 2


def test_kept_paint_stays_exact_in_its_layer(paint, scene) -> None:
    """A region of strength 0 is its paint, to the bit."""
    paint_of = noise_picture(64, 64)
    kept = region(scene, "lava", np.ones((64, 64)), 32, 32, strength=0.0, paint=scene.add(paint_of))
    finished = paint(Request("generate", SIDE, SIDE, regions=(kept,), **PLAIN))
    (layer,) = finished.layered.layers
    inside = Bounds(32, 32, 96, 96).moved(-layer.bounds.top, -layer.bounds.left)
    own = to_array(layer.pixels)[inside.top : inside.bottom, inside.left : inside.right]
    assert np.array_equal(own, to_array(paint_of))
    assert differs(finished) <= 2


def test_without_a_tight_region_there_are_no_layers(paint, scene) -> None:
    """Nor where none were asked for."""
    loose = region(scene, "lava", disc(64, 64, 30), fit="loose")
    assert paint(Request("generate", SIDE, SIDE, regions=(loose,), **PLAIN)).layered is None
    tight = replace(loose, fit="tight")
    asked = Request("generate", SIDE, SIDE, regions=(tight,), **{**PLAIN, "layered": False})
    assert paint(asked).layered is None


def test_layers_that_are_too_large_are_left_out_with_a_sentence(paint, scene, monkeypatch) -> None:
    """The picture comes all the same."""
    monkeypatch.setattr(run_module, "MAX_LAYERS_BYTES", 4 * SIDE * SIDE)
    one = region(scene, "lava", disc(64, 64, 30))
    finished = paint(Request("generate", SIDE, SIDE, regions=(one,), **PLAIN))
    assert finished.layered is None
    assert "comes as one" in finished.report["notices"][0]
