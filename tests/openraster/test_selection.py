"""What a layer or a mask selects."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.selection import has_layer, select_layer, select_mask
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds

SIZE = (32, 16)


def paint(width: int, height: int, alpha: int = 255) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (200, 0, 0, alpha))


@pytest.fixture
def document(tmp_path: Path) -> Document:
    """Two layers of one name, one of them in a hidden group and half transparent."""
    layers = [
        Layer("hole", paint(4, 4), 2, 2),
        Group("tidy", [Layer("hole", paint(4, 4, alpha=128), 4, 4)], visible=False),
        Layer("clear", paint(8, 8, alpha=0)),
        Layer("outside", paint(4, 4), 40, 0),
    ]
    write_ora(tmp_path / "a.ora", SIZE, layers)
    return Document.open(tmp_path / "a.ora")


def png(picture: Image.Image) -> bytes:
    """The picture as a file."""
    output = io.BytesIO()
    picture.save(output, "PNG")
    return output.getvalue()


def test_layers_of_one_name_select_together(document: Document) -> None:
    """Wherever they lie, and whether they show or not; paint that is half there selects half."""
    bounds, mask = select_layer(document, "hole")
    assert bounds == Bounds(2, 2, 8, 8)
    assert (mask[:4, :4] == 255).all()
    assert (mask[4:, 2:] == 128).all()
    assert mask[4:, :2].max() == 0


def test_a_group_selects_as_a_whole(document: Document) -> None:
    """What its visible layers cover."""
    assert select_layer(document, "tidy").bounds == Bounds(4, 4, 8, 8)


def test_layers_are_known_by_name(document: Document) -> None:
    """Exactly so."""
    assert has_layer(document, "clear")
    assert has_layer(document, "tidy")
    assert not has_layer(document, "Hole")


@pytest.mark.parametrize("name", ["clear", "outside"])
def test_a_layer_without_paint_selects_nothing(document: Document, name: str) -> None:
    """All of the canvas, and none of it wholly or in part."""
    bounds, mask = select_layer(document, name)
    assert bounds == document.bounds
    assert not mask.any()


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_mask_of_nothing_selects_nothing(document: Document, mode: str) -> None:
    """Black, or transparent."""
    bounds, mask = select_mask(document, png(Image.new(mode, SIZE)), "mask.png")
    assert bounds == document.bounds
    assert not mask.any()


def test_a_grey_mask_selects_by_brightness(document: Document) -> None:
    """Grey is a part of it."""
    picture = Image.new("L", SIZE)
    picture.paste(90, (5, 1, 9, 3))
    bounds, mask = select_mask(document, png(picture), "mask.png")
    assert bounds == Bounds(1, 5, 3, 9)
    assert (mask == 90).all()


def test_a_transparent_mask_selects_by_paint(document: Document) -> None:
    """Whatever its colour is."""
    picture = Image.new("RGBA", SIZE)
    picture.paste((0, 0, 0, 200), (5, 1, 9, 3))
    bounds, mask = select_mask(document, png(picture), "mask.png")
    assert bounds == Bounds(1, 5, 3, 9)
    assert (mask == 200).all()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "“mask.png” cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "“mask.png” cannot be read"),
        (png(Image.new("L", (16, 32), 255)), "16 x 32 pixels, the canvas 32 x 16"),
    ],
    ids=["empty", "cut off", "turned"],
)
def test_what_is_no_mask_gets_a_sentence(document: Document, data: bytes, sentence: str) -> None:
    """With what a mask looks like."""
    with pytest.raises(TapestryError, match=sentence) as caught:
        select_mask(document, data, "mask.png")
    assert caught.value.advice


def test_a_mask_is_bytes_of_its_own(document: Document) -> None:
    """One byte a pixel, without gaps between rows."""
    picture = Image.new("L", SIZE)
    picture.paste(255, (5, 1, 9, 3))
    mask = select_mask(document, png(picture), "mask.png").mask
    assert mask.dtype == np.uint8
    assert len(mask.tobytes()) == 8
