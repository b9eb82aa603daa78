"""Layers that melt together are one picture, in which each keeps its place."""

from dataclasses import replace

import numpy as np
import pytest

from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.tiny_checkpoints import save_3

STEPS = 8


def colours(finished) -> np.ndarray:
    """[H, W, 3]."""
    pixels = finished.pixels
    array = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
    return array[..., :3].astype(float)


def redness(part: np.ndarray) -> float:
    """How much more red than blue there is in the mean."""
    return float((part[..., 0] - part[..., 2]).mean())


def collage(scene, width: int = 128, **fields: object) -> Request:
    """Lava at the left, and nothing said about the rest but the background."""
    lava = scene.region("lava", Bounds(0, 0, 128, width // 2))
    request = Request("generate", 128, width, prompt="ocean waves", regions=(lava,), melt=0.5)
    return replace(request, num_inference_steps=STEPS, **fields)


def test_each_layer_keeps_its_place(paint, scene) -> None:
    """By its words alone: nothing of it is painted yet. Across several windows, too."""
    for width in (128, 256):
        finished = paint(collage(scene, width))
        picture = colours(finished)
        left, right = picture[:, : width // 2 - 16], picture[:, width // 2 + 16 :]
        assert redness(left) > 60
        assert redness(right) < -30
    plan = finished.report["plan"]
    assert not finished.report["notices"]
    assert plan["melt"] == 0.5
    assert plan["regions"][-1]["prompt"] == "ocean waves, lava"


def test_one_path_paints_everything(paint, scene) -> None:
    """Two rows a step, with the prompts and the negative one, whatever layers there are."""
    assert paint(collage(scene)).report["unet_evaluations"] == 2 * STEPS


def test_a_picture_of_one_prompt_is_as_it_is_without(paint, scene) -> None:
    """Words that look everywhere look nowhere more than elsewhere."""
    plain = Request("generate", 128, 128, prompt="snow", num_inference_steps=STEPS)
    difference = colours(paint(plain)) - colours(paint(replace(plain, melt=1.0)))
    assert np.abs(difference).max() <= 2


def test_layers_start_from_their_own_paint(paint, scene) -> None:
    """At a strength of 0 they are that to the bit, at others the nearer the less it is."""
    blue = np.full((128, 64, 4), (0, 0, 255, 255), np.uint8)
    own = scene.add(Pixels(128, 64, 4, blue.tobytes()))
    request = collage(scene)
    off = []
    for strength in (0.0, 0.3, 1.0):
        region = replace(request.regions[0], strength=strength, paint=own)
        picture = colours(paint(replace(request, regions=(region,))))
        off.append(np.abs(picture[:, :56] - (0, 0, 255)).mean())
    assert off[0] == 0
    assert off[0] < off[1] < off[2]


def test_what_single_layers_lose_is_said(paint, scene) -> None:
    """Once, and only where there is something."""
    request = collage(scene)
    lone = replace(request, regions=(replace(request.regions[0], seed=7),))
    told = paint(lone).report["notices"]
    assert sum("painted as one" in notice for notice in told) == 1
    assert not any("painted as one" in notice for notice in paint(request).report["notices"])


def test_a_model_whose_words_have_no_places_says_so(tmp_path, scene) -> None:
    """Before anything is painted."""
    from tapestry_backend.checkpoints.catalogue import Catalogue
    from tapestry_backend.models.model_cache import ModelCache

    folder = str(save_3(tmp_path / "sd3"))
    request = collage(scene, model=folder)
    with pytest.raises(TapestryError, match="cannot be given places"):
        list(run(request, scene.blobs, ModelCache(Catalogue([folder]))))
