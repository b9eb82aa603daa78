"""Files that an artist was sent: each is opened, or refused with a sentence, within our limits."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.png import decode_png
from tapestry_backend.openraster.scene import read_scene
from tapestry_backend.openraster.selection import select_layer
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Margins, Pixels

SOUND = Path(__file__).with_name("krita-5.1.5.ora").read_bytes()
STACK = (
    '<image w="{w}" h="{h}"><stack><layer name="sky" src="data/a.png" x="{x}" y="{y}" '
    'opacity="{opacity}"/></stack></image>'
)


def png(width: int = 8, height: int = 8) -> bytes:
    """A small opaque picture."""
    output = io.BytesIO()
    Image.new("RGBA", (width, height), (1, 2, 3, 255)).save(output, "PNG")
    return output.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png_that_says(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header tells a size, whatever follows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def ora(
    stack: str | bytes | None = None,
    extra: dict[str, bytes] | None = None,
    *,
    mimetype: bytes | None = b"image/openraster",
    layer: bytes | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
    **attributes: object,
) -> bytes:
    """An OpenRaster file with one layer and whatever is wrong with it."""
    values = {"w": 8, "h": 8, "x": 0, "y": 0, "opacity": 1} | attributes
    output = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(output, "w", compression) as archive,
    ):
        warnings.simplefilter("ignore")  # zipfile minds two files of one name
        if mimetype is not None:
            archive.writestr("mimetype", mimetype)
        archive.writestr("stack.xml", STACK.format(**values) if stack is None else stack)
        archive.writestr("data/a.png", png() if layer is None else layer)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return output.getvalue()


def twice(name: str) -> bytes:
    """The same name for two files inside."""
    output = io.BytesIO(ora())
    with warnings.catch_warnings(), zipfile.ZipFile(output, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, b"again")
    return output.getvalue()


def encrypted() -> bytes:
    """The flag that says a file inside is encrypted."""
    data = bytearray(ora())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 4)
    return bytes(data)


def lying_size() -> bytes:
    """A file inside that says it is small and unpacks to more."""
    stack = STACK.format(w=8, h=8, x=0, y=0, opacity=1).replace("a.png", "b.png")
    honest = ora(stack, extra={"data/b.png": bytes(100_000)})
    data = bytearray(honest)
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.rfind(signature)
        data[place + offset : place + offset + 4] = struct.pack("<I", 100)
    return bytes(data)


BOMB = png_that_says(8000, 8000, bytes(8000 * (8000 * 4 + 1)))
DEEP = "<stack>" * 5000 + "</stack>" * 5000
MANY = "".join('<layer name="a" src="data/a.png"/>' for _ in range(300))
LAUGHS = '<!DOCTYPE image [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + STACK.format(
    w=8, h=8, x=0, y=0, opacity=1
)
OUTSIDE = '<!DOCTYPE image [<!ENTITY a SYSTEM "file:///etc/passwd">]><image w="8" h="8">&a;</image>'

REFUSED: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"",
    "random bytes": lambda: bytes(range(256)) * 40,
    "a PNG that calls itself .ora": png,
    "cut off in the middle": lambda: SOUND[: len(SOUND) // 2],
    "central directory damaged": lambda: SOUND[:-60] + bytes(60),
    "no mimetype": lambda: ora(mimetype=None),
    "another mimetype": lambda: ora(mimetype=b"application/zip"),
    "endless mimetype": lambda: ora(mimetype=bytes(1_000_000)),
    "no stack.xml content": lambda: ora(stack=b""),
    "stack.xml is no XML": lambda: ora(stack="<image"),
    "stack.xml of another kind": lambda: ora(stack="<svg/>"),
    "stack.xml without layers": lambda: ora(stack='<image w="8" h="8"/>'),
    "stack.xml in another encoding than it declares": lambda: ora(
        stack=STACK.format(w=8, h=8, x=0, y=0, opacity=1).encode("utf-32")
    ),
    "stack.xml of 5 MiB": lambda: ora(stack=b" " * 5 * 2**20),
    "entities that grow": lambda: ora(stack=LAUGHS),
    "entities that read files": lambda: ora(stack=OUTSIDE),
    "groups 5000 deep": lambda: ora(stack=f'<image w="8" h="8">{DEEP}</image>'),
    "canvas without size": lambda: ora(w=""),
    "canvas of no pixels": lambda: ora(w=0),
    "canvas of negative size": lambda: ora(h=-5),
    "canvas of 20000 x 20000": lambda: ora(w=20_000, h=20_000),
    "canvas of absurd size": lambda: ora(w=10**9, h=10**9),
    "canvas in too many digits": lambda: ora(w="9" * 5000),
    "canvas of endless size": lambda: ora(w="inf"),
    "canvas of words": lambda: ora(w="wide"),
    "canvas in centimetres": lambda: ora(w="8cm"),
    "canvas in parts of something": lambda: ora(h="50%"),
    "layer that is missing": lambda: ora(stack='<image w="8" h="8"><stack><layer name="a" '
                                         'src="data/b.png"/></stack></image>'),
    "layer outside of the archive": lambda: ora(stack='<image w="8" h="8"><stack><layer name="a" '
                                                'src="../../secret.png"/></stack></image>'),
    "file inside that climbs out": lambda: ora(extra={"../../evil.sh": b"x"}),
    "file inside with an absolute path": lambda: ora(extra={"/etc/passwd": b"x"}),
    "file inside on another drive": lambda: ora(extra={"C:\\evil.exe": b"x"}),
    "two files of one name": lambda: twice("stack.xml"),
    "encrypted": encrypted,
    "packed in an unusual way": lambda: ora(compression=zipfile.ZIP_LZMA),
    "size that lies": lying_size,
    "too many files inside": lambda: ora(extra={f"junk/{i}": b"" for i in range(4001)}),
    "layer that is no PNG": lambda: ora(layer=b"GIF89a" + bytes(40)),
    "layer that is empty": lambda: ora(layer=b""),
    "layer cut off": lambda: ora(layer=png(64, 64)[:-30]),
    "layer of no pixels": lambda: ora(layer=png_that_says(0, 8)),
    "layer of 4 gigapixels": lambda: ora(layer=png_that_says(65_000, 65_000)),
    "layer of one endless row": lambda: ora(layer=png_that_says(2**31 - 1, 1)),
    "layers that unpack for minutes": lambda: ora(
        stack=f'<image w="8" h="8"><stack>{MANY}</stack></image>', layer=BOMB
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_with_a_sentence(case: str) -> None:
    """A hostile or broken file is a TapestryError with advice, and nothing else."""
    data = REFUSED[case]()
    with pytest.raises(TapestryError) as caught:
        read_scene(Document(Archive(data)), background="sea", margins=Margins())
    assert caught.value.message.endswith(".")
    assert caught.value.advice


def test_a_bomb_takes_no_memory() -> None:
    """What is refused by its size is refused before memory is taken."""
    data = ora(layer=png_that_says(65_000, 65_000, bytes(10_000_000)))
    tracemalloc.start()
    with pytest.raises(TapestryError):
        read_scene(Document(Archive(data)), background="sea", margins=Margins())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    """Whatever happened to the file: a scene, or a sentence."""
    damaged = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(len(damaged) // 2, len(damaged)))
    with suppress(TapestryError):
        read_scene(Document(Archive(bytes(damaged[:length]))), background="a", margins=Margins())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_stack_never_raises_anything_else(data: st.DataObject) -> None:
    """The same for stack.xml alone, where the checksum of the archive is right."""
    text = bytearray(STACK.format(w=8, h=8, x=0, y=0, opacity=1).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + 1] = data.draw(st.binary(max_size=3))
    with suppress(TapestryError):
        read_scene(Document(Archive(ora(stack=bytes(text)))), background="a", margins=Margins())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_pictures_never_raise_anything_else(data: st.DataObject) -> None:
    """The same for a layer's PNG."""
    damaged = bytearray(png(16, 16))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(TapestryError):
        decode_png(bytes(damaged), "a layer")


TWO = (
    '<image w="8" h="8"><stack><layer name="sea" src="data/a.png"/>'
    '<layer name="old" src="data/b.png" {}/></stack></image>'
)


def flipped(data: bytes, name: str) -> bytes:
    """The archive with one wrong byte in the middle of a file that is stored in it."""
    spoiled = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = archive.getinfo(name)
    spoiled[entry.header_offset + 30 + len(name) + entry.file_size // 2] ^= 255
    return bytes(spoiled)


@pytest.mark.parametrize(
    ("name", "attributes", "told"),
    [
        ("mergedimage.png", "", "The file's flattened picture was left out: its picture is"),
        ("Thumbnails/thumbnail.png", "", ""),
        ("data/b.png", 'visibility="hidden"', ""),
        ("data/b.png", "", "The layer 'old' was left out: its picture is damaged or missing."),
    ],
)
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_one_damaged_picture_keeps_no_other_away(
    name: str, attributes: str, told: str, how: str
) -> None:
    """It is done without, and told of where it is missed; the file can be saved all the same."""
    pictures = dict.fromkeys(("data/b.png", "mergedimage.png", "Thumbnails/thumbnail.png"), png())
    if how == "cut":
        pictures[name] = pictures[name][:-40]
    data = ora(TWO.format(attributes), pictures, compression=zipfile.ZIP_STORED)
    document = Document(Archive(flipped(data, name) if how == "flipped" else data))
    asked = read_scene(document).request
    picture = document.flattened

    assert "sea" in {asked.prompt, *(region.prompt for region in asked.regions)}
    assert (picture == (1, 2, 3, 255)).all()
    assert bool(told) == bool(document.damage)
    assert told in " ".join(document.damage)
    result = Pixels(8, 8, 4, bytes(8 * 8 * 4))
    saved = document.saved_with_result(result, Margins(), "new", picture)
    assert [layer.name for layer in Document(Archive(saved)).layers] == ["new", "sea", "old"]


def test_a_damaged_layer_that_is_alone_or_asked_for_is_named() -> None:
    """Nothing can be done without it."""
    alone = Document(Archive(ora(layer=png()[:-40])))
    two = Document(Archive(ora(TWO.format(""), {"data/b.png": b""})))
    with pytest.raises(TapestryError, match="the picture of the layer 'sky' is damaged"):
        read_scene(alone, background="sea")
    with pytest.raises(TapestryError, match="the picture of the layer 'old' is damaged"):
        select_layer(two, "old")
