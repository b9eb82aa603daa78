"""Which layers are regions, what the background is, and what an artist is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.scene import Scene, read_scene, result_name
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Margins

SIZE = (32, 16)


def paint(width: int = 32, height: int = 16, alpha: int = 255) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (10, 120, 240, alpha))


def scene_of(
    folder: Path,
    layers: Sequence[Layer | Group],
    *,
    background: str | None = None,
    margins: Margins = Margins(),  # noqa: B008  frozen
) -> Scene:
    """The scene of a document with these layers."""
    write_ora(folder / "scene.ora", SIZE, layers)
    document = Document.open(folder / "scene.ora")
    return read_scene(document, background=background, margins=margins)


def prompts(scene: Scene) -> list[str]:
    """The prompts of the regions, topmost first."""
    return [region.prompt for region in scene.request.regions]


def test_what_krita_exported_is_a_scene(krita_document: Document) -> None:
    """Fill layers and groups are regions; hidden and empty ones and the background are not."""
    scene = read_scene(krita_document, background=None, margins=Margins())
    assert prompts(scene) == ["snow", "green grass & more", "sunset sky"]
    snow, grass, sky = scene.request.regions
    assert snow.bounds == Bounds(5, 70, 25, 90)
    assert grass.bounds == Bounds(40, 0, 64, 80)
    assert sky.bounds == Bounds(0, 0, 32, 96)
    assert scene.notes == ()


def test_masks_are_what_was_painted(tmp_path: Path) -> None:
    """The mask is the layer's alpha, cropped to the paint inside of the canvas."""
    picture = paint(6, 4)
    picture.paste((0, 0, 0, 0), (0, 0, 6, 1))
    scene = scene_of(tmp_path, [Layer("sky", picture, -2, 14)])
    (region,) = scene.request.regions
    assert region.bounds == Bounds(15, 0, 16, 4)
    assert scene.blobs[region.mask.sha256] == bytes([255] * 4)


def test_a_layers_opacity_does_not_thin_its_mask(tmp_path: Path) -> None:
    """Artists paint areas half transparent to see what is below; hidden by opacity is hidden."""
    layers = [
        Layer("sky", paint(8, 8), opacity=0.3),
        Layer("sea", paint(8, 8), 8, 0, opacity=0.0),
    ]
    scene = scene_of(tmp_path, layers)
    (region,) = scene.request.regions
    assert set(scene.blobs[region.mask.sha256]) == {255}


def test_the_bottom_layer_that_covers_everything_is_the_background(tmp_path: Path) -> None:
    """Its name is the background's prompt, and it is no region."""
    scene = scene_of(tmp_path, [Layer("sky", paint(8, 8)), Layer("ocean waves", paint())])
    assert (prompts(scene), scene.request.prompt) == (["sky"], "ocean waves")


def test_a_layer_named_background_is_no_prompt(tmp_path: Path) -> None:
    """Krita calls the first layer so; what lies right above it is a region like any other."""
    layers = [Layer("sky", paint()), Layer("Background", paint())]
    scene = scene_of(tmp_path, layers)
    assert (prompts(scene), scene.request.prompt) == (["sky"], "")


def test_a_bottom_layer_with_a_gap_is_a_region(tmp_path: Path) -> None:
    """Only what covers everything is the background."""
    scene = scene_of(tmp_path, [Layer("sky", paint(8, 8)), Layer("sea", paint(31, 16))])
    assert prompts(scene) == ["sky", "sea"]


def test_the_background_prompt_overrides(tmp_path: Path) -> None:
    """The covering layer is no region all the same."""
    scene = scene_of(tmp_path, [Layer("sea", paint())], background="snow")
    assert (prompts(scene), scene.request.prompt) == ([], "snow")


def test_earlier_results_are_no_regions(tmp_path: Path) -> None:
    """Neither as layers nor inside of a group, and the layer below may be the background."""
    layers = [
        Layer("Tapestry: sky (seed 1)", paint()),
        Group("old", [Layer("Tapestry: sea (seed 2)", paint())]),
        Layer("sea", paint(8, 8)),
        Layer("snow", paint()),
        Layer("Tapestry: sky (seed 3)", paint()),
    ]
    scene = scene_of(tmp_path, layers)
    assert (prompts(scene), scene.request.prompt) == (["sea"], "snow")
    assert scene.notes == ("The group 'old' was left out: it holds an earlier result.",)


def test_a_layer_without_a_name_is_told_of(tmp_path: Path) -> None:
    """It steers nothing, and the artist hears why."""
    scene = scene_of(tmp_path, [Layer("  ", paint(8, 8)), Layer("sea", paint(4, 4))])
    assert prompts(scene) == ["sea"]
    assert "name it" in scene.notes[0]


def test_regions_may_reach_beyond_the_canvas_when_it_grows(tmp_path: Path) -> None:
    """In coordinates of the canvas before extension, cut to what will be the canvas."""
    layers = [Layer("sky", paint(60, 8), -14, 0)]
    scene = scene_of(tmp_path, layers, margins=Margins(left=8, right=4))
    assert scene.request.task == "extend"
    assert scene.request.regions[0].bounds == Bounds(0, -8, 8, 36)
    image = scene.request.image
    assert (image.height, image.width, image.channels) == (16, 32, 4)
    flattened = np.frombuffer(scene.blobs[image.sha256], np.uint8).reshape(16, 32, 4)
    assert (flattened[:8] == (10, 120, 240, 255)).all()


def test_a_stroke_of_one_pixel_is_a_region(tmp_path: Path) -> None:
    """Thin strokes are not lost."""
    scene = scene_of(tmp_path, [Layer("sky", paint(1, 16), 9, 0)])
    assert scene.request.regions[0].bounds == Bounds(0, 9, 16, 10)


@pytest.mark.parametrize(
    ("layers", "code", "sentence"),
    [
        ([], ErrorCode.BAD_REQUEST, "nothing to paint"),
        ([Layer("", paint(4, 4))], ErrorCode.BAD_REQUEST, "nothing to paint"),
        ([Layer("sky", paint(4, 4, alpha=0))], ErrorCode.BAD_REQUEST, "nothing to paint"),
        ([Layer("x" * 10_000, paint(4, 4))], ErrorCode.TOO_LARGE, "10000 characters"),
        (
            [Layer(f"area {i}", paint(1, 1), i % 30, i // 30) for i in range(40)],
            ErrorCode.TOO_LARGE,
            "40 regions",
        ),
    ],
    ids=["no layers", "no name", "no paint", "a long name", "40 regions"],
)
def test_bad_scenes_get_a_sentence(
    tmp_path: Path, layers: list[Layer], code: ErrorCode, sentence: str
) -> None:
    """What cannot become a picture is said before anything is loaded."""
    with pytest.raises(TapestryError, match=sentence) as caught:
        scene_of(tmp_path, layers)
    assert caught.value.code is code
    assert caught.value.advice


def test_the_result_says_what_it_shows() -> None:
    """The name of the new layer is short, and tells how to make it again."""
    request = Request("generate", 8, 8, prompt="green grass", seed=42)
    assert result_name(request) == "Tapestry: green grass (seed 42)"
    request = Request("extend", 8, 8, prompt="word " * 50)
    assert len(result_name(request)) < 100
    assert result_name(request).endswith("\N{HORIZONTAL ELLIPSIS}, extended (seed 0)")
