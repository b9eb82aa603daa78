"""Files that shall be refused, and pieces of which they are made."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

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
