"""What layers cover by how they are composed; Krita's own pictures are the right values."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.compose import transparent
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.scene import Scene, read_scene
from tapestry_protocol.errors import TapestryError

KRITA_FILE = Path(__file__).with_name("krita-5.1.5-operators.ora")
"""Krita 5.1.5's export: a group for each operator or mode, and erasers and clips among layers."""

N = 32
ERASER = 'composite-op="svg:dst-out"'
CLIP = 'composite-op="svg:src-atop"'


def box(left: int, top: int, right: int, bottom: int, alpha: int = 255) -> bytes:
    """A layer's PNG, painted in this rectangle."""
    picture = np.zeros((N, N, 4), np.uint8)
    picture[top:bottom, left:right] = (9, 99, 199, alpha)
    output = io.BytesIO()
    Image.fromarray(picture).save(output, "PNG")
    return output.getvalue()


def document(stack: str, *layers: bytes) -> Document:
    """A document with this stack, whose layers are data/0.png, data/1.png and so on."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("mimetype", "image/openraster")
        archive.writestr("stack.xml", f'<image w="{N}" h="{N}"><stack>{stack}</stack></image>')
        for number, png in enumerate(layers):
            archive.writestr(f"data/{number}.png", png)
    return Document(Archive(output.getvalue()))


def layer(number: int, name: str, more: str = "") -> str:
    """A layer in stack.xml."""
    return f'<layer name="{name}" src="data/{number}.png" {more}/>'


def mask(scene: Scene, name: str) -> np.ndarray:
    """A region's mask on the whole canvas."""
    whole = np.zeros((N, N), np.uint8)
    region = next(region for region in scene.request.regions if region.prompt == name)
    b = region.bounds
    pixels = np.frombuffer(scene.blobs[region.mask.sha256], np.uint8)
    whole[b.top : b.bottom, b.left : b.right] = pixels.reshape(b.height, b.width)
    return whole


def names(scene: Scene) -> Sequence[str]:
    """The prompts of the regions, topmost first."""
    return [region.prompt for region in scene.request.regions]


@pytest.fixture
def krita() -> Document:
    """What Krita exported."""
    return Document.open(KRITA_FILE)


def test_layers_laid_over_each_other_are_what_krita_shows(krita: Document) -> None:
    """Erasers, clips, blending modes and groups that pass through; within rounding."""
    ours = transparent(krita.height, krita.width)
    krita._lay_children(ours, krita._stack.root, krita.bounds)
    seen = krita.flattened[..., 3:] > 20
    difference = np.abs(ours.astype(int) - krita.flattened)
    # Krita forgets in its export that a layer is clipped when it has a mode as well: 5th cell.
    difference[24:48, 32:64] = 0
    assert difference[..., 3].max() == 0
    assert (difference * seen).max() <= 2


def test_a_groups_mask_is_krita_s_own_projection(krita: Document) -> None:
    """Each lies alone on its cell, so that the picture's alpha there is the group's."""
    siblings = krita.siblings(krita.bounds)
    groups = [node for node in krita.layers if node.name.startswith("cell ")]
    assert len(groups) == 12
    for number, node in enumerate(reversed(groups)):
        top, left = 24 * (number // 4), 32 * (number % 4)
        cell = slice(top, top + 24), slice(left, left + 32)
        alpha = krita.flattened[cell][..., 3]
        ours = siblings.of(node)[cell]
        if node.name == "cell inherit multiply":  # what it shows of the clip is all that is known
            assert (ours[alpha == 0] == 0).all()
        else:
            assert np.abs(ours.astype(int) - alpha).max() <= 1, node.name


def test_an_eraser_in_a_group_takes_from_the_region() -> None:
    """And from nothing below the group."""
    erased = document(
        f'<stack name="bricks">{layer(0, "eraser", ERASER)}'
        f"{layer(1, 'paint')}</stack>{layer(2, 'grass')}",
        box(0, 0, 16, N),
        box(4, 4, 28, 28),
        box(0, 0, 30, N),
    )
    scene = read_scene(erased)
    bricks = mask(scene, "bricks")
    assert bricks[8, 20] == 255
    assert bricks[:, :16].max() == 0
    assert mask(scene, "grass")[:, :30].min() == 255


def test_a_group_that_passes_through_erases_what_lies_below() -> None:
    """As Krita shows it."""
    scene = read_scene(
        document(
            f'<stack name="bricks" isolation="auto">{layer(0, "eraser", ERASER)}'
            f"{layer(1, 'paint')}</stack>{layer(2, 'grass')}",
            box(0, 0, 16, N),
            box(4, 4, 28, 28),
            box(0, 0, 30, N),
        )
    )
    assert mask(scene, "bricks")[:, :16].max() == 0
    grass = mask(scene, "grass")
    assert grass[:, :16].max() == 0
    assert grass[:, 16:30].min() == 255


def test_an_eraser_among_regions_is_none() -> None:
    """It takes from those below it, by its opacity, and that is said."""
    scene = read_scene(
        document(
            layer(0, "sky") + layer(1, "eraser", f'{ERASER} opacity="0.5"') + layer(2, "grass"),
            box(0, 0, 30, 8),
            box(0, 0, 16, N),
            box(0, 0, 30, N),
        )
    )
    assert names(scene) == ["sky", "grass"]
    assert mask(scene, "sky")[:8, :30].min() == 255
    grass = mask(scene, "grass")
    assert (grass[:, :16] == 127).all()
    assert (grass[:, 16:30] == 255).all()
    assert any("“eraser” is no region" in note for note in scene.notes)


@pytest.mark.parametrize("clip", [CLIP, 'composite-op="svg:multiply" alpha-preserve="true"'])
def test_a_clipped_layer_is_where_there_is_something_below(clip: str) -> None:
    """All that lies below together; what lies above does not count."""
    scene = read_scene(
        document(
            layer(0, "sky") + layer(1, "snow", clip) + layer(2, "rocks") + layer(3, "grass"),
            box(0, 0, N, 4),
            box(0, 0, N, 16),
            box(4, 8, 12, 30),
            box(20, 12, 28, 30),
        )
    )
    expected = np.zeros((N, N), np.uint8)
    expected[8:16, 4:12] = expected[12:16, 20:28] = 255
    assert (mask(scene, "snow") == expected).all()
    assert mask(scene, "sky")[:4].min() == 255


def test_a_clip_with_nothing_below_is_nothing() -> None:
    """As a picture it is empty too."""
    scene = read_scene(
        document(layer(0, "sky") + layer(1, "snow", CLIP), box(0, 0, 8, 8), box(0, 0, 30, 30))
    )
    assert names(scene) == ["sky"]


def test_a_mode_that_nobody_knows_is_told_of() -> None:
    """It is laid over as any other; modes that are known, and hidden layers, are no news."""
    modes = ["svg:multiply", "krita:erase", "svg:src-over", "krita:pin_light", "fancy:new"]
    stack = "".join(layer(0, f"layer {mode}", f'composite-op="{mode}"') for mode in modes)
    stack += layer(0, "hidden", 'composite-op="fancy:other" visibility="hidden"')
    notes = document(stack, box(0, 0, N, 4)).notes
    assert len(notes) == 2
    assert "“krita:pin_light” of the layer “layer krita:pin_light”" in notes[0]
    assert "“fancy:new”" in notes[1]


def test_nothing_changes_what_an_operator_does_not_reach() -> None:
    """Hidden erasers do nothing; one that erases everything leaves nothing to paint."""
    hidden = layer(0, "e", f'{ERASER} visibility="hidden"') + layer(1, "sea")
    assert mask(read_scene(document(hidden, box(0, 0, N, N), box(0, 0, 30, 30))), "sea").any()
    with pytest.raises(TapestryError, match="nothing to paint"):
        read_scene(
            document(layer(0, "e", ERASER) + layer(1, "sea"), box(0, 0, N, N), box(0, 0, 30, 30))
        )


def test_a_layer_of_which_nothing_is_left_is_told_of() -> None:
    """An eraser above it took all of it; a layer that was never painted gets no note."""
    stack = layer(0, "e", ERASER) + layer(1, "sea") + layer(2, "sky") + layer(3, "sand")
    pixels = box(0, 0, N, 20), box(0, 0, N, 10), box(0, 0, 0, 0), box(0, 10, N, 30)
    scene = read_scene(document(stack, *pixels))

    assert names(scene) == ["sand"]
    assert scene.notes == (
        "The layer “e” is no region: it only takes away from those below it.",
        "The layer “sea” was left out: nothing of it is to be seen.",
    )
