"""Names for what a picture shows, compared by the bundled model."""

from dataclasses import replace

import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Progressed
from tapestry_backend.tasks.recognition import Recognised, recognise
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.limits import MAX_NAMES
from tapestry_protocol.messages import PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.tiny_checkpoints import save_checkpoint

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
    with pytest.raises(TapestryError, match=r"nothing to compare|no names to compare"):
        list(recognise(request, names, scene.blobs, model_cache))


def test_too_many_names_are_refused(model_cache, scene) -> None:
    """Each costs evaluations."""
    request = Request("edit", SIDE, SIDE, image=scene.picture(SIDE, SIDE))
    names = [f"name {number}" for number in range(MAX_NAMES + 1)]
    with pytest.raises(TapestryError, match="65 names are too many"):
        list(recognise(request, names, scene.blobs, model_cache))


def test_an_empty_selection_is_refused(model_cache, scene) -> None:
    """Nothing is looked at."""
    image = scene.picture(SIDE, SIDE)
    mask = scene.add(Pixels(4, 4, 1, bytes(16)))
    selection = Selection(Bounds(0, 0, 4, 4), mask)
    request = Request("edit", SIDE, SIDE, image=image, selection=selection)
    with pytest.raises(TapestryError, match="Nothing is selected"):
        list(recognise(request, NAMES, scene.blobs, model_cache))


def judged(model_cache, scene, picture, *prompts: str, names: tuple[str, ...]) -> list[dict]:
    """What is said of the left half, and of the right one."""
    regions = [scene.region(*pair) for pair in zip(prompts, (LEFT, RIGHT), strict=True)]
    image = scene.add(picture)
    request = Request("recognise", SIDE, SIDE, image=image, regions=tuple(regions), names=names)
    *events, finished = run(request, scene.blobs, model_cache)
    counted = [(e.step, e.steps) for e in events if e.stage == "comparing"]
    assert counted[-1] == (20, 20)
    assert finished.report["unet_evaluations"] > 0
    assert (finished.pixels.height, finished.pixels.width) == (1, 1)
    return finished.report["recognised"]


def test_a_region_shows_its_name_or_does_not(model_cache, scene, picture) -> None:
    """Compared with the others' names, and with no words at all."""
    left, right = judged(model_cache, scene, picture, "lava", "lava", names=("lava", "snow"))
    assert left["shows"]
    assert left["names"][0] == "lava"
    assert not right["shows"]
    assert right["names"][0] == "snow"


def test_a_region_without_a_name_gets_one_that_the_model_lists(model_cache, scene, picture) -> None:
    """The best of all materials, and of what else was named."""
    left, right = judged(model_cache, scene, picture, "", "", names=("marble",))
    assert (left["names"][0], right["names"][0]) == ("lava", "snow")


def test_a_checkpoint_for_inpainting_is_no_judge(scene, tmp_path) -> None:
    """It is shown a mask as well; a sentence says what to choose."""
    folder = str(save_checkpoint(tmp_path / "inpaint", channels=4, in_channels=9))
    region = scene.region("snow", Bounds(0, 0, 8, 8))
    image = scene.picture(SIDE, SIDE)
    request = Request("recognise", SIDE, SIDE, image=image, regions=(region,), model=folder)
    with pytest.raises(TapestryError, match="inpainting compares no words"):
        list(run(request, scene.blobs, ModelCache(Catalogue([folder]))))


def test_a_model_that_lists_nothing_needs_names(scene, tmp_path) -> None:
    """One alone is not compared with anything."""
    folder = str(save_checkpoint(tmp_path / "plain"))
    region = scene.region("", Bounds(0, 0, 8, 8))
    image = scene.picture(SIDE, SIDE)
    asked = Request("recognise", SIDE, SIDE, image=image, regions=(region,), model=folder)
    for names in ((), ("snow", " snow")):
        request = replace(asked, names=names)
        with pytest.raises(TapestryError, match="too few names"):
            list(run(request, scene.blobs, ModelCache(Catalogue([folder]))))
