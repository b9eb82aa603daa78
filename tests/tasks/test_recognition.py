"""Names for what a picture shows, compared by the bundled model."""

from dataclasses import replace

import pytest

from tapestry_backend.tasks.events import Progressed
from tapestry_backend.tasks.recognition import MAX_NAMES, Recognised, recognise
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Pixels

NAMES = ("red bricks", "snow", "lava", "ocean waves")
SIDE = 128
LEFT, RIGHT = Bounds(0, 0, SIDE, SIDE // 2), Bounds(0, SIDE // 2, SIDE, SIDE)


@pytest.fixture(scope="module")
def picture(model_cache) -> Pixels:
    """Lava at the left, snow at the right."""
    mask = Pixels(SIDE, SIDE // 2, 1, b"\xff" * (SIDE * SIDE // 2))
    lava = Region("lava", LEFT, PixelsRef.of(mask))
    request = Request("generate", SIDE, SIDE, prompt="snow", regions=(lava,), seed=2)
    *_, finished = run(request, {mask.sha256: mask.data}, model_cache)
    return finished.pixels


def test_the_material_in_a_selection_is_named(model_cache, scene, picture) -> None:
    """Each half by its own name; every name is there once."""
    mask = scene.add(Pixels(SIDE, SIDE // 2, 1, b"\xff" * (SIDE * SIDE // 2)))
    whole = Request("edit", SIDE, SIDE, image=scene.add(picture))
    for bounds, name in ((LEFT, "lava"), (RIGHT, "snow")):
        request = replace(whole, selection=Selection(bounds, mask))
        *events, found = recognise(request, NAMES, scene.blobs, model_cache)
        assert isinstance(found, Recognised)
        assert found.best == name
        assert sorted(found.names) == sorted(NAMES)
        assert [event.stage for event in events if isinstance(event, Progressed)][:2] == [
            "loading",
            "encoding",
        ]


@pytest.mark.parametrize("names", [(), ("snow",), ("snow", " snow"), ("a", "")])
def test_fewer_than_two_names_are_refused(model_cache, scene, names: tuple[str, ...]) -> None:
    """There is nothing to compare."""
    request = Request("edit", SIDE, SIDE, image=scene.picture(SIDE, SIDE))
    with pytest.raises(TapestryError, match="cannot be compared"):
        list(recognise(request, names, scene.blobs, model_cache))


def test_too_many_names_are_refused(model_cache, scene) -> None:
    """Each costs evaluations."""
    request = Request("edit", SIDE, SIDE, image=scene.picture(SIDE, SIDE))
    names = [f"name {number}" for number in range(MAX_NAMES + 1)]
    with pytest.raises(TapestryError, match="65 different names"):
        list(recognise(request, names, scene.blobs, model_cache))


def test_an_empty_selection_is_refused(model_cache, scene) -> None:
    """Nothing is looked at."""
    image = scene.picture(SIDE, SIDE)
    mask = scene.add(Pixels(4, 4, 1, bytes(16)))
    selection = Selection(Bounds(0, 0, 4, 4), mask)
    request = Request("edit", SIDE, SIDE, image=image, selection=selection)
    with pytest.raises(TapestryError, match="Nothing is selected"):
        list(recognise(request, NAMES, scene.blobs, model_cache))
