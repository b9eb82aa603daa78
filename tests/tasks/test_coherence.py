"""Coherence, from the request on: where it evens out, and where a picture keeps what it has."""

from dataclasses import replace

import numpy as np
import pytest

from tapestry_protocol.messages import Expert, PixelsRef, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels, Point

STEPS = 4
WIDE = Request("generate", 128, 384, prompt="autumn leaves", seed=3, num_inference_steps=STEPS)


def colours(pixels: Pixels) -> np.ndarray:
    """[H, W, 3] float."""
    rgba = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
    return rgba[..., :3].astype(float)


def changing(height: int, width: int) -> Pixels:
    """An opaque picture that is red at its left and blue at its right."""
    rgba = np.full((height, width, 4), 255, dtype=np.uint8)
    along = np.linspace(0, 255, width).astype(np.uint8)
    rgba[..., 0], rgba[..., 1], rgba[..., 2] = 255 - along, 90, along
    return Pixels(height, width, 4, rgba.tobytes())


def test_windows_are_evened_out_and_the_anchor_is_left_alone(paint) -> None:
    """Colours vary less from window to window; in the anchor's nothing changes."""
    request = replace(WIDE, width=768, expert=Expert(anchor=Point(64, 60)), num_inference_steps=10)
    plain, even = (colours(paint(replace(request, coherence=share)).pixels) for share in (0.0, 1.0))

    def spread(picture: np.ndarray) -> float:
        return picture.reshape(128, 6, 128, 3).mean(axis=(0, 2)).std(axis=0).mean()

    assert spread(even) < 0.67 * spread(plain)
    assert np.abs(even - plain)[:, :100].mean() < 0.2 * np.abs(even - plain)[:, 200:].mean()


def test_half_of_it_is_what_a_request_asks_for_that_says_nothing(paint) -> None:
    """It changes a wide picture, and less than all of it does."""
    plain, usual, whole = (
        colours(paint(request).pixels)
        for request in (replace(WIDE, coherence=0.0), WIDE, replace(WIDE, coherence=1.0))
    )

    assert WIDE.coherence == 0.5
    assert 0 < np.abs(usual - plain).mean() < np.abs(whole - plain).mean()


@pytest.mark.parametrize(("height", "width", "wrap"), [(128, 128, False), (128, 128, True)])
def test_coherence_leaves_one_window_as_it_is(
    paint, height: int, width: int, *, wrap: bool
) -> None:
    """To the last bit: nothing is there that it could follow."""
    request = replace(WIDE, height=height, width=width, wrap=wrap)

    assert paint(request).pixels.data == paint(replace(request, coherence=0.0)).pixels.data


def test_windows_above_each_other_do_not_follow(paint) -> None:
    """What is high and what is low differ by nature: a high canvas is what it is without."""
    request = replace(WIDE, height=256, width=128, composition=0.0)

    assert paint(request).pixels.data == paint(replace(request, coherence=0.0)).pixels.data


def test_regions_of_a_window_each_are_left_alone(paint, scene) -> None:
    """Each is painted as one piece."""
    sides = (Bounds(0, 0, 128, 128), Bounds(0, 128, 128, 256), Bounds(0, 256, 128, 384))
    regions = tuple(
        scene.region(prompt, bounds)
        for prompt, bounds in zip(("lava", "snow", "blue sky"), sides, strict=True)
    )
    request = replace(WIDE, regions=regions)

    assert paint(request).pixels.data == paint(replace(request, coherence=0.0)).pixels.data


def _mended(task: str, image: PixelsRef, scene) -> Request:
    bounds = Bounds(0, 40, 128, 350)
    selection = Selection(bounds, scene.region("", bounds).mask)
    return replace(WIDE, task=task, image=image, selection=selection)


@pytest.mark.parametrize("task", ["refine", "fill", "extend"])
def test_a_picture_that_is_there_keeps_its_own_look(paint, scene, task: str) -> None:
    """What is painted beside it, or into it, fits it where it lies, and no other place."""
    image = scene.add(changing(128, 384))
    if task == "extend":
        request = replace(WIDE, task=task, image=image, margins=Margins(left=200, right=200))
    else:
        request = _mended(task, image, scene)

    assert paint(request).pixels.data == paint(replace(request, coherence=0.0)).pixels.data


def test_colours_that_the_artist_painted_may_change_along_a_region(paint, scene) -> None:
    """A region that starts from its paint keeps to that; the same without paint is evened out."""
    bounds = Bounds(0, 0, 128, 384)
    region = scene.region("autumn leaves", bounds)
    painted = replace(region, paint=scene.add(changing(128, 384)), strength=0.7)
    kept, kept_plain, even, plain = (
        paint(replace(WIDE, regions=(each,), coherence=share)).pixels.data
        for each in (painted, region)
        for share in (0.5, 0.0)
    )

    assert kept == kept_plain
    assert even != plain


def test_what_a_trained_eye_sees_is_evened_out_by_more_than_half(paint, monkeypatch) -> None:
    """An installed perceptual distance takes part in the picture; it is costly."""
    from tapestry_backend.tasks import run

    asked = []

    def distance(own, wanted):
        asked.append(own.shape)
        return ((own - wanted) ** 2).mean(dim=(1, 2, 3), keepdim=True)

    firm = replace(WIDE, coherence=1.0)
    without, usual = paint(firm).pixels.data, paint(WIDE).pixels.data
    monkeypatch.setattr(run, "find_perceptual_distance", lambda device: distance)

    assert paint(WIDE).pixels.data == usual
    assert not asked
    assert paint(firm).pixels.data != without
    assert set(asked) == {(1, 3, 128, 128)}
