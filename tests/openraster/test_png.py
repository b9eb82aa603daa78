"""PNG files with more in them than pixels."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document, as_pixels
from tapestry_backend.openraster.limits import MAX_PROFILE_BYTES
from tapestry_backend.openraster.png import (
    colours_of,
    decode_png,
    encode_png,
    png_pieces,
    read_picture,
)
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Margins

PIXELS = np.random.default_rng(5).integers(0, 256, (6, 5, 4), np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = PROFILE[:16] + b"GRAY" + PROFILE[20:]


def png(**info: object) -> bytes:
    """The pixels as a PNG."""
    output = io.BytesIO()
    Image.fromarray(PIXELS).save(output, "PNG", **info)
    return output.getvalue()


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """The same with one more chunk before the pixels."""
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    plain = png()
    return plain[:33] + chunk + plain[33:]


def profile_of(data: bytes) -> bytes | None:
    """The colour profile that other programs find in a PNG."""
    with Image.open(io.BytesIO(data)) as image:
        return image.info.get("icc_profile")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"iCCP", b"display\0\0" + zlib.compress(bytes(1_500_000))),
        (b"zTXt", b"workflow\0\0" + zlib.compress(b"a" * 1_500_000)),
        (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"a" * 70_000_000)),
        (b"tEXt", b"workflow\0" + b"a" * 3_000_000),
        (b"eXIf", bytes(2_000_000)),
    ],
)
def test_notes_and_profiles_may_be_of_any_size(kind: bytes, data: bytes) -> None:
    """They are none of the pixels, and nothing of them is unpacked for those."""
    assert (decode_png(with_chunk(kind, data), "a layer") == PIXELS).all()


def test_colours_travel_from_one_png_to_another() -> None:
    """Byte for byte."""
    copied = encode_png(PIXELS, colours_of(png(icc_profile=PROFILE)))
    assert profile_of(copied) == PROFILE
    assert (decode_png(copied, "a copy") == PIXELS).all()
    assert encode_png(PIXELS, colours_of(png())) == encode_png(PIXELS)
    gamma = struct.pack(">I", 100_000)
    assert b"gAMA" + gamma in encode_png(PIXELS, colours_of(with_chunk(b"gAMA", gamma)))
    assert colours_of(with_chunk(b"gAMA", bytes(4))) == b""  # which would be black everywhere


def test_a_profile_behind_a_long_note_is_found() -> None:
    """Longer than what is looked at otherwise."""
    told = png(icc_profile=PROFILE)
    note = b"workflow\0" + bytes(MAX_PROFILE_BYTES)
    chunk = struct.pack(">I", len(note)) + b"tEXt" + note + struct.pack(">I", zlib.crc32(note))
    behind = document_of(told[:33] + chunk + told[33:], png())
    assert profile_of(encode_png(PIXELS, behind.colours_meant)) == PROFILE


@pytest.mark.parametrize(
    "packed",
    [
        zlib.compress(GREY),
        zlib.compress(b"no profile"),
        zlib.compress(PROFILE + bytes(MAX_PROFILE_BYTES)),
        b"not packed",
    ],
    ids=["for grey pictures", "none", "endless", "damaged"],
)
def test_a_profile_that_cannot_hold_is_left_out(packed: bytes) -> None:
    """Programs refuse pictures with one."""
    assert colours_of(with_chunk(b"iCCP", b"x\0\0" + packed)) == b""


def document_of(merged: bytes, layer: bytes) -> Document:
    """A document with one layer."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("mimetype", "image/openraster")
        stack = '<image w="5" h="6"><stack><layer name="sea" src="a.png"/></stack></image>'
        archive.writestr("stack.xml", stack)
        archive.writestr("a.png", layer)
        archive.writestr("mergedimage.png", merged)
    return Document(Archive(output.getvalue()))


def test_profiles_that_cannot_all_hold_are_told_of() -> None:
    """Two that differ, and one that is none for a result; the same one twice is no news."""
    told, silent = png(icc_profile=PROFILE), png()
    other = png(icc_profile=PROFILE[:60] + b"\1" + PROFILE[61:])
    grey = with_chunk(b"iCCP", b"x\0\0" + zlib.compress(GREY))
    repacked = with_chunk(b"iCCP", b"another name\0\0" + zlib.compress(PROFILE, 1))
    assert document_of(told, silent).notes == document_of(told, repacked).notes == ()
    (note,) = document_of(told, other).notes
    assert "2 different colour profiles" in note
    (note,) = document_of(told, grey).notes
    assert "profile of the layer “sea” is left out" in note
    (note,) = document_of(with_chunk(b"iCCP", b"x\0\0not packed"), silent).notes
    assert "profile of the flattened picture is left out" in note


@pytest.mark.parametrize("where", ["merged", "layer"])
def test_a_result_says_what_its_colours_mean(where: str) -> None:
    """The new layer and the flattened picture, by what the document said before."""
    told, silent = png(icc_profile=PROFILE), png()
    document = document_of(
        told if where == "merged" else silent, told if where == "layer" else silent
    )
    picture = as_pixels(PIXELS)
    flattened = document.with_result(picture, Margins())
    saved = document.saved_with_result(picture, Margins(), "Tapestry: x", flattened)
    archive = Archive(saved)
    for name in ("mergedimage.png", "data/tapestry-1.png"):
        assert profile_of(archive.read(name)) == PROFILE


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("rows", [1, 4, 6])
def test_a_file_may_be_written_band_by_band(rows: int, alpha: bool) -> None:
    """It is the same picture, whatever bands it came in."""
    bands = (PIXELS[top : top + rows] for top in range(0, len(PIXELS), rows))
    data = b"".join(png_pieces(bands, *PIXELS.shape[:2], colours_of(png(gamma=0.5)), alpha=alpha))
    found = decode_png(data, "it")

    assert (found[..., :3] == PIXELS[..., :3]).all()
    assert (found[..., 3] == (PIXELS[..., 3] if alpha else 255)).all()


@pytest.mark.parametrize("held", [*range(11), None])
def test_a_picture_is_turned_as_its_camera_was_held(held: object) -> None:
    """As other programs show it; what makes no sense turns nothing."""
    camera = Image.Exif()
    camera[ExifTags.Base.Orientation] = held or 6
    data = png(exif=camera) if held is not None else with_chunk(b"eXIf", camera.tobytes()[:-9])
    picture, notes = read_picture(data, "“a.png”")
    if held is None:
        assert (picture == PIXELS).all()
    else:
        with Image.open(io.BytesIO(data)) as image:
            assert (picture == np.asarray(ImageOps.exif_transpose(image))).all()
    assert notes == ()


def test_what_is_not_used_of_a_picture_is_said() -> None:
    """A profile that cannot be used, further pictures, and finer steps of its colours."""
    grey = read_picture(png(icc_profile=GREY), "“a.png”")[1]
    cut = read_picture(with_chunk(b"iCCP", b"display\0\0damaged"), "“a.png”")[1]
    assert grey == cut
    assert grey[0].startswith("The colour profile of “a.png” is left out")
    output = io.BytesIO()
    image = Image.fromarray(PIXELS)
    image.save(output, "PNG", save_all=True, append_images=[image.rotate(90)])
    picture, (moving,) = read_picture(output.getvalue(), "“a.png”")
    assert (picture == PIXELS).all()
    assert "is an animation" in moving
    output = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x8001, np.uint16)).save(output, "PNG")
    picture, (deep,) = read_picture(output.getvalue(), "“a.png”")
    assert deep == "“a.png” has 16 bits a channel, the result has 8."
    assert (picture == (128, 128, 128, 255)).all()
    assert read_picture(png(icc_profile=PROFILE), "“a.png”")[1] == ()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "“a.png” is empty."),
        (b"GIF89a" * 20, "“a.png” is no PNG picture."),
        (png()[:80], "“a.png” cannot be read: it is damaged, or was cut off."),
        (png()[:16] + bytes([0, 0, 255, 255]) + png()[20:], "“a.png” is too large: it has 65535 x"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said_of_the_picture(data: bytes, sentence: str) -> None:
    """It may have been in no OpenRaster file."""
    with pytest.raises(TapestryError) as caught:
        decode_png(data, "“a.png”")
    assert str(caught.value).startswith(sentence)
