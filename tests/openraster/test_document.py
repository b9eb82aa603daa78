"""Documents: what layers cover, the flattened picture, and a result laid on top."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document, as_pixels
from tapestry_backend.openraster.png import decode_png, encode_png
from tapestry_protocol.pixels import Bounds, Margins, Pixels

KRITA_FILE = Path(__file__).with_name("krita-5.1.5.ora")


def result(height: int, width: int, alpha: int = 255) -> Pixels:
    """A picture as the model might give it."""
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = alpha
    return as_pixels(pixels)


def saved(document: Document, picture: Pixels, margins: Margins) -> bytes:
    """The document with this result."""
    flattened = document.with_result(picture, margins)
    return document.saved_with_result(picture, margins, "Tapestry: x", flattened)


def entries(data: bytes) -> dict[str, bytes]:
    """Everything inside of an .ora file, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_flattening_gives_what_krita_shows(krita_document: Document) -> None:
    """Our own flattening of Krita's layers is the picture that Krita flattened."""
    krita_shows = krita_document.flattened
    data = entries(KRITA_FILE.read_bytes())
    del data["mergedimage.png"]
    without = io.BytesIO()
    with zipfile.ZipFile(without, "w") as archive:
        for name, content in data.items():
            archive.writestr(name, content)
    ours = Document(Archive(without.getvalue())).flattened
    assert np.abs(ours.astype(int) - krita_shows).max() <= 1


def test_a_flattened_picture_of_another_size_is_not_used(tmp_path: Path) -> None:
    """A file whose preview is out of date is flattened from its layers."""
    path = tmp_path / "a.ora"
    write_ora(path, (8, 8), [Layer("sky", Image.new("RGBA", (8, 8), (9, 8, 7, 255)))])
    small = encode_png(np.zeros((2, 2, 4), np.uint8))
    document = Document(Archive(Archive.open(path).copy({"mergedimage.png": small})))
    assert (document.flattened == (9, 8, 7, 255)).all()


def test_a_group_covers_what_its_visible_layers_cover(tmp_path: Path) -> None:
    """Hidden layers do not count, opacity inside of a group does, that of the group does not."""
    paint = Image.new("RGBA", (4, 4), (0, 0, 0, 255))
    inside = [
        Layer("a", paint, 0, 0),
        Layer("b", paint, 6, 2, opacity=0.5),
        Layer("c", paint, 1, 1, visible=False),
    ]
    write_ora(tmp_path / "a.ora", (12, 8), [Group("grass", inside, opacity=0.25)])
    document = Document.open(tmp_path / "a.ora")
    bounds, mask = document.alpha(document.layers[0], document.bounds)
    assert (bounds.top, bounds.left, bounds.bottom, bounds.right) == (0, 0, 6, 10)
    assert (mask[:4, :4] == 255).all()
    assert (mask[2:, 6:] == 128).all()
    assert mask[4:, :6].max() == 0


def test_the_colours_of_a_layer_are_what_was_painted(tmp_path: Path) -> None:
    """Cut to an area, whatever the layer's own opacity; a group's layers lie over each other."""
    red, blue = (Image.new("RGBA", (4, 4), colour) for colour in ("red", "blue"))
    inside = [Layer("a", red, 0, 0), Layer("b", blue, 2, 2), Layer("c", blue, visible=False)]
    layers = [Group("both", inside, opacity=0.25), Layer("alone", red, -2, 6, opacity=0.5)]
    write_ora(tmp_path / "a.ora", (12, 8), layers)
    document = Document.open(tmp_path / "a.ora")
    both = document.colours(document.layers[0], Bounds(1, 1, 7, 7))
    assert (both[:3, :3] == (255, 0, 0, 255)).all()
    assert (both[3:5, 3:5] == (0, 0, 255, 255)).all()
    assert both[5:].max() == 0
    alone = document.colours(document.layers[1], Bounds(6, 0, 8, 3))
    assert (alone[:, :2] == (255, 0, 0, 255)).all()
    assert alone[:, 2].max() == 0


def test_a_result_may_lie_under_everything(tmp_path: Path) -> None:
    """It shows where the old picture is transparent, and the layers say the same as the picture."""
    half = Image.new("RGBA", (4, 4), (10, 20, 30, 128))
    write_ora(tmp_path / "a.ora", (4, 4), [Layer("veil", half)])
    document = Document.open(tmp_path / "a.ora")
    picture, margins = result(4, 6), Margins(right=2)
    flattened = document.with_result(picture, margins, lowest=True)
    data = document.saved_with_result(
        picture, margins, "Tapestry: x", flattened, lowest=True, settings=[]
    )
    again = Document(Archive(data))
    assert [node.name for node in again.layers] == ["veil", "Tapestry: x"]
    from_layers = np.zeros((4, 6, 4), np.uint8)
    again._lay_children(from_layers, again._stack.root, again.bounds)
    assert (from_layers == flattened).all()
    shown = np.frombuffer(picture.data, np.uint8).reshape(4, 6, 4)
    assert (flattened[:, 4:] == shown[:, 4:]).all()
    assert (flattened[:, :4] != shown[:, :4]).any()


def test_everything_but_the_result_is_kept_byte_for_byte(krita_document: Document) -> None:
    """The mimetype comes first and is stored; layers are the same bytes in the same order."""
    before = entries(KRITA_FILE.read_bytes())
    data = saved(krita_document, result(64, 96), Margins())
    after = entries(data)
    changed = {"stack.xml", "mergedimage.png", "Thumbnails/thumbnail.png"}
    assert {name for name in before if before[name] != after[name]} == changed
    assert [name for name in after if name in before] == list(before)
    assert set(after) - set(before) == {"data/tapestry-1.png"}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        first = archive.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert data[30:54] == b"mimetypeimage/openraster"


def test_the_result_is_the_top_layer_of_a_sound_file(krita_document: Document) -> None:
    """What was saved opens again, shows the result, and can take another one."""
    picture = result(64, 96)
    again = Document(Archive(saved(krita_document, picture, Margins())))
    assert again.layers[0].name == "Tapestry: x"
    assert again.flattened.tobytes() == picture.data
    twice = Document(Archive(saved(again, picture, Margins())))
    assert [node.source for node in twice.layers[:2]] == [
        "data/tapestry-2.png",
        "data/tapestry-1.png",
    ]


def test_extending_keeps_the_old_picture_bit_for_bit(krita_document: Document) -> None:
    """Where the result is transparent, the grown picture is the old one, moved."""
    margins = Margins(top=3, left=10, bottom=0, right=7)
    picture = np.frombuffer(result(67, 113).data, np.uint8).reshape(67, 113, 4).copy()
    picture[3:, 10:106, 3] = 0
    data = saved(krita_document, as_pixels(picture), margins)
    grown = Document(Archive(data))
    assert (grown.height, grown.width) == (67, 113)
    assert (grown.flattened[3:, 10:106] == krita_document.flattened).all()
    assert (grown.flattened[:3] == picture[:3]).all()
    merged = decode_png(entries(data)["mergedimage.png"], "the picture")
    from_layers = np.zeros((67, 113, 4), np.uint8)
    grown._lay_children(from_layers, grown._stack.root, grown.bounds)
    assert np.abs(merged.astype(int) - from_layers).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "P", "1", "I;16"])
def test_every_kind_of_png_is_read(mode: str) -> None:
    """Layers may be grey, indexed, without alpha or of 16 bits."""
    output = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(np.full((3, 4), 0x8000, np.uint16)).save(output, "PNG")
    else:
        grey = Image.new("RGB", (4, 3), (128, 128, 128))
        (grey.quantize(2) if mode == "P" else grey.convert(mode)).save(output, "PNG")
    pixels = decode_png(output.getvalue(), "a layer")
    assert pixels.shape == (3, 4, 4)
    assert (pixels[..., 3] == 255).all()
    if mode != "1":
        assert (pixels[..., :3] == 128).all()


def test_elements_that_are_left_out_are_told_of(tmp_path: Path) -> None:
    """A layer in a second stack is one all the same."""
    write_ora(tmp_path / "a.ora", (8, 8), [Layer("sea", Image.new("RGBA", (8, 8)))])
    archive = Archive.open(tmp_path / "a.ora")
    second = b"</stack><stack><layer/></stack><text/></image>"
    stack = archive.read("stack.xml")
    end = stack.rindex(b"</stack>")
    told = Document(Archive(archive.copy({"stack.xml": stack[:end] + second}))).notes
    assert told == (
        "An element <stack> was left out: it lies where no layer belongs.",
        "An element <layer> was left out: it lies where no layer belongs.",
        "An element <text> was left out: it is no layer.",
    )
