"""Which layers are regions, what the background is, and the notes about them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.control_settings import ControlWish
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.scene import (
    PaintOver,
    Scene,
    quoted_list,
    read_scene,
    result_name,
    shows_result,
)
from tapestry_backend.openraster.selection import Selected
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Margins
from tapestry_protocol.sentences import quoted

SIZE = (32, 16)


def paint(width: int = 32, height: int = 16, alpha: int = 255) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (10, 120, 240, alpha))


def scene_of(
    folder: Path,
    layers: Sequence[Layer | Group],
    *,
    written: Mapping[str, str] | None = None,
    **wanted: Any,
) -> Scene:
    """The scene of a document with these layers; `written` in it: a layer's name -> settings."""
    path = folder / "scene.ora"
    write_ora(path, SIZE, layers)
    archive = Archive.open(path)
    stack = archive.read("stack.xml").decode()
    for name, text in (written or {}).items():
        stack = stack.replace(f'name="{name}"', f'name="{name}" tapestry:region="{text}"')
    return read_scene(Document(Archive(archive.copy({"stack.xml": stack.encode()}))), **wanted)


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
    assert scene.notes == ("The group “old” was left out: it holds an earlier result.",)


def test_a_layer_without_a_name_is_told_of(tmp_path: Path) -> None:
    """It steers nothing, and the artist hears why."""
    scene = scene_of(tmp_path, [Layer("  ", paint(8, 8)), Layer("sea", paint(4, 4))])
    assert prompts(scene) == ["sea"]
    assert "name it" in scene.notes[0]


def test_a_layer_beside_the_canvas_is_told_of(tmp_path: Path) -> None:
    """Whole, or with all of its paint, or in a group; one without paint is not missed."""
    beside = Image.new("RGBA", SIZE)
    beside.paste((9, 9, 9, 255), (0, 0, 8, 8))
    layers = [
        Layer("far", paint(8, 8), 500, -900),
        Layer("near", beside, -8, 0),
        Group("lost", [Layer("x", paint(8, 8), 0, 16)]),
        Layer("nothing", Image.new("RGBA", (8, 8)), 500, 0),
        Layer("empty", Image.new("RGBA", SIZE)),
        Layer("at the edge", paint(8, 8), 31, 15),
    ]
    scene = scene_of(tmp_path, layers)
    assert prompts(scene) == ["at the edge"]
    assert [re.split("[“”]", note)[1] for note in scene.notes] == ["far", "near", "lost"]
    assert all("it lies outside of the canvas. Move it" in note for note in scene.notes)


def test_an_earlier_result_is_seen_wherever_it_lies(tmp_path: Path) -> None:
    """As long as nothing around it is hidden."""
    for hidden in range(4):
        one, two, three = (hidden != number for number in range(3))
        result = Layer("Tapestry: sea (seed 0)", paint(), visible=one)
        group = Group("a", [Group("b", [result], visible=two)], visible=three)
        write_ora(tmp_path / "a.ora", SIZE, [group, Layer("sea", paint())])
        assert shows_result(Document.open(tmp_path / "a.ora")) == (hidden == 3)


@pytest.mark.parametrize("name", ["Layer 1", "Paint Layer 3", "Malebene 2", "Group 7"])
def test_a_name_that_a_program_gave_is_no_prompt(tmp_path: Path, name: str) -> None:
    """The layer steers nothing, and the artist hears why; not even where it covers everything."""
    scene = scene_of(tmp_path, [Layer("sea", paint(4, 4)), Layer(name, paint())])
    assert (prompts(scene), scene.request.prompt) == (["sea"], "")
    assert any(quoted(name) in note and "Name it" in note for note in scene.notes)


def test_what_was_left_out_is_said_when_nothing_is_left(tmp_path: Path) -> None:
    """It is what the artist has painted."""
    with pytest.raises(TapestryError, match="nothing to paint") as caught:
        scene_of(tmp_path, [Layer("Paint Layer 1", paint(8, 8))])
    assert "“Paint Layer 1” was left out" in caught.value.advice


def test_the_background_of_another_language_is_one(tmp_path: Path) -> None:
    """Said once, because the word might have been meant."""
    scene = scene_of(tmp_path, [Layer("sea", paint(4, 4)), Layer("Hintergrund", paint())])
    assert (prompts(scene), scene.request.prompt) == (["sea"], "")
    (note,) = scene.notes
    assert "“Hintergrund” is the background" in note


def test_names_are_the_same_however_their_letters_are_composed(tmp_path: Path) -> None:
    """A file from one system, a command typed on another."""
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    scene = scene_of(tmp_path, [Layer(apart, paint(8, 8))], about={composed: "seed=4"})
    assert [(r.prompt, r.seed) for r in scene.request.regions] == [(composed, 4)]
    scene = scene_of(tmp_path, [Layer(composed, paint(8, 8))], about={apart: "seed=5"})
    assert scene.request.regions[0].seed == 5
    shown = [ControlWish("scribble", layer=composed)]
    layers = [Layer(apart, paint(8, 8)), Layer("sea", paint(4, 4))]
    scene = scene_of(tmp_path, layers, controls=shown)
    assert (prompts(scene), len(scene.request.controls)) == (["sea"], 1)


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


def test_a_region_has_what_is_written_about_it(tmp_path: Path) -> None:
    """In the document, and over it what is said from outside."""
    layers = [Layer("sky", paint(8, 8)), Layer("sea", paint(8, 8)), Layer("sea", paint(4, 4))]
    written = {"sky": "weight=2,seed=3"}
    about = {"sky": "seed=4", "sea": "negative=ships, foam"}
    scene = scene_of(tmp_path, layers, written=written, about=about)
    sky, *seas = scene.request.regions
    assert (sky.weight, sky.seed, sky.negative_prompt) == (2.0, 4, None)
    assert [sea.negative_prompt for sea in seas] == ["ships, foam"] * 2
    assert [(node.name, text) for node, text in scene.settings] == [
        ("sky", "weight=2.0,seed=4"),
        ("sea", "negative=ships, foam"),
        ("sea", "negative=ships, foam"),
    ]


def test_what_is_written_already_is_not_written_again(tmp_path: Path) -> None:
    """The file stays as it is."""
    scene = scene_of(tmp_path, [Layer("sky", paint(8, 8))], written={"sky": "seed=3"})
    assert scene.settings == ()


def test_a_saved_setting_without_sense_is_left_out_and_told(tmp_path: Path) -> None:
    """The region's others, and the other regions, are as they were; so is the file."""
    layers = [Layer("sky", paint(8, 8)), Layer("sea", paint(8, 8))]
    written = {"sky": "weight=heavy,seed=3,mood=dark", "sea": "seed=4"}
    scene = scene_of(tmp_path, layers, written=written)
    assert [(r.prompt, r.weight, r.seed) for r in scene.request.regions] == [
        ("sky", 1.0, 3),
        ("sea", 1.0, 4),
    ]
    assert scene.settings == ()
    assert ["“heavy”" in scene.notes[0], "“mood=dark”" in scene.notes[1]] == [True, True]
    assert all("the region “sky”" in note for note in scene.notes)


def test_a_picture_may_be_named_as_in_a_web_address(tmp_path: Path) -> None:
    """With %20 for a space, as some programs write it."""
    write_ora(tmp_path / "scene.ora", SIZE, [Layer("sky", paint(8, 8))])
    archive = Archive.open(tmp_path / "scene.ora")
    stack = archive.read("stack.xml")
    own = re.search(rb'src="(.*?)"', stack)
    assert own
    picture = archive.read(own[1].decode())
    changed = {
        "stack.xml": stack.replace(own[1], b"data/a%20b.png"),
        "data/a b.png": picture,
    }
    scene = read_scene(Document(Archive(archive.copy(changed))))
    assert (prompts(scene), scene.notes) == (["sky"], ())


def only_ink(name: str, _: str) -> None:
    """Knows one LoRA."""
    if name != "ink":
        raise TapestryError(ErrorCode.MODEL_NOT_FOUND, f"There is no LoRA “{name}”.")


def test_a_saved_lora_that_is_not_here_is_done_without(tmp_path: Path) -> None:
    """It is named, the region's other LoRA stays, and so does what the file says."""
    layers = [Layer("sky", paint(8, 8)), Layer("sea", paint(8, 8)), Layer("hill", paint(8, 8))]
    written = dict.fromkeys(("sky", "sea", "hill"), "lora=gone:0.8;ink:0.5,weight=2")
    about = {"sea": "lora=gone", "hill": "lora="}
    scene = scene_of(tmp_path, layers, written=written, about=about)
    found = scene.without_missing_loras(only_ink)
    assert [[(lora.adapter, lora.weight) for lora in r.loras] for r in found.request.regions] == [
        [("ink", 0.5)],
        [("gone", 1.0)],  # wished for just now: it should be there
        [],
    ]
    assert [region.weight for region in found.request.regions] == [2.0] * 3
    (note,) = found.notes
    assert note.startswith("There is no LoRA “gone”. The region “sky”, for which the file names it")
    assert found.settings == scene.settings


@pytest.mark.parametrize("layers", [[], [Layer("sea", paint(8, 8)), Layer("snow", paint())]])
def test_settings_of_nobody_get_a_sentence(tmp_path: Path, layers: list[Layer]) -> None:
    """Which says who is there; the background is none of them."""
    with pytest.raises(TapestryError, match="No region is called “snow”") as caught:
        scene_of(tmp_path, layers, about={"snow": "seed=1"})
    assert caught.value.advice == (
        "The regions are “sea”."
        if layers
        else "The scene has no region: paint on a layer, and name it."
    )


def test_long_lists_of_names_end() -> None:
    """A sentence stays one."""
    assert quoted_list(["a", "b"]) == "“a”, “b”"
    assert quoted_list([f"layer {i}" for i in range(100)]).endswith("“layer 39” and others")


def test_colours_go_along_where_they_count(tmp_path: Path) -> None:
    """With a strength below 1 the layer's own paint is sent, and only then."""
    layers = [Layer("sky", paint(8, 8, alpha=200), 4, 2), Layer("sea", paint(4, 4))]
    scene = scene_of(tmp_path, layers, about={"sky": "strength=0.5"})
    sky, sea = scene.request.regions
    assert (sky.strength, sea.strength, sea.paint) == (0.5, 1.0, None)
    colours = np.frombuffer(scene.blobs[sky.paint.sha256], np.uint8)
    assert (colours.reshape(8, 8, 4) == (10, 120, 240, 200)).all()
    assert sky.bounds == Bounds(2, 4, 10, 12)


def test_an_extension_has_colours_already(tmp_path: Path) -> None:
    """A strength does not count there, which is said."""
    about = {"sky": "strength=0.5"}
    scene = scene_of(tmp_path, [Layer("sky", paint())], margins=Margins(top=8), background="")
    assert scene.notes == ()
    layers = [Layer("sky", paint(8, 8))]
    scene = scene_of(tmp_path, layers, margins=Margins(top=8), about=about)
    assert (scene.request.regions[0].strength, scene.request.regions[0].paint) == (1.0, None)
    assert "strength of “sky”" in scene.notes[0]


@pytest.mark.parametrize("task", ["refine", "fill"])
def test_a_selection_is_painted_over(tmp_path: Path, task: str) -> None:
    """The flattened picture, the selection's mask, and the regions as ever."""
    mask = np.full((4, 6), 90, np.uint8)
    over = PaintOver(task, Selected(Bounds(2, 3, 6, 9), mask))
    scene = scene_of(tmp_path, [Layer("sky", paint(8, 8))], paint_over=over, strength=0.25)
    request = scene.request
    assert (request.task, request.strength, prompts(scene)) == (task, 0.25, ["sky"])
    assert request.selection.bounds == Bounds(2, 3, 6, 9)
    assert scene.blobs[request.selection.mask.sha256] == mask.tobytes()
    assert (request.image.height, request.image.width) == (16, 32)
    assert scene.notes == ()


def test_a_region_that_selects_is_told_of(tmp_path: Path) -> None:
    """Its name is a prompt as long as the layer shows."""
    over = PaintOver("fill", Selected(Bounds(0, 0, 8, 8), np.full((8, 8), 255, np.uint8)), "sky")
    scene = scene_of(tmp_path, [Layer("sky", paint(8, 8))], paint_over=over)
    assert "hide it" in scene.notes[0]
    hidden = [Layer("sky", paint(8, 8), visible=False), Layer("sea", paint(8, 8))]
    assert scene_of(tmp_path, hidden, paint_over=over).notes == ()


def test_the_result_says_what_it_shows() -> None:
    """The name of the new layer is short, and tells how to make it again."""
    request = Request("generate", 8, 8, prompt="green grass", seed=42)
    assert result_name(request) == "Tapestry: green grass (seed 42)"
    request = Request("extend", 8, 8, prompt="word " * 50)
    assert len(result_name(request)) < 100
    assert result_name(request).endswith("\N{HORIZONTAL ELLIPSIS}, extended (seed 0)")
    assert result_name(Request("refine", 8, 8)) == "Tapestry: refined (seed 0)"
    assert result_name(Request("fill", 8, 8, prompt="snow")) == "Tapestry: snow, filled (seed 0)"
