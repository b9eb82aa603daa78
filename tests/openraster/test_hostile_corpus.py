"""All hostile files together: what opening them costs, and pictures that only a decoder meets."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.png import decode_png
from tapestry_backend.openraster.scene import read_scene
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Margins
from tests.openraster.hostile_files import REFUSED, chunk, png, png_that_says
from tests.peak import peak_growth_bytes

MOST_GROWTH_MIB = 64
SIGNATURE = b"\x89PNG\r\n\x1a\n"
BOMB = zlib.compress(bytes(200 * 2**20), 9)
"""200 MiB of nothing in 200 KiB."""


def sound_with(*chunks: bytes) -> bytes:
    """A sound picture with more chunks behind its header."""
    sound = png()
    header = len(SIGNATURE) + 25
    return sound[:header] + b"".join(chunks) + sound[header:]


def headed(depth: int, colour: int, interlace: int = 0, width: int = 8, data: bytes = b"") -> bytes:
    """A picture of 8 rows whose header says this."""
    header = struct.pack(">IIBBBBB", width, 8, depth, colour, 0, 0, interlace)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return SIGNATURE + body


def wrong_checksum() -> bytes:
    """A byte of the header's checksum is wrong."""
    spoilt = bytearray(png())
    spoilt[30] ^= 1
    return bytes(spoilt)


def many_frames() -> bytes:
    """An animation that says it has two billion frames."""
    return sound_with(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))


PICTURES: dict[str, Callable[[], bytes]] = {
    "text that unpacks to 200 MiB": lambda: sound_with(chunk(b"zTXt", b"a\0\0" + BOMB)),
    "more text that does": lambda: sound_with(chunk(b"iTXt", b"a\0\x01\0\0\0" + BOMB)),
    "profile that does": lambda: sound_with(chunk(b"iCCP", b"a\0\0" + BOMB)),
    "pixels that do": lambda: png_that_says(8, 8, bytes(200 * 2**20)),
    "two billion frames": many_frames,
    "a chunk without end": lambda: sound_with(struct.pack(">I", 2**31 - 1) + b"tEXt"),
    "a thousand chunks": lambda: sound_with(*[chunk(b"tEXt", b"a\0b")] * 1000),
    "no pixels at all": lambda: headed(8, 6),
    "an unknown depth": lambda: headed(3, 6),
    "an unknown colour": lambda: headed(8, 5),
    "colours without a palette": lambda: headed(8, 3, data=bytes(72)),
    "unknown interlacing": lambda: headed(8, 6, 7, data=bytes(1000)),
    "interlaced and cut off": lambda: headed(8, 6, 1, data=bytes(10)),
    "a row of 32 thousand pixels": lambda: headed(8, 6, width=32_768, data=bytes(100)),
    "a wrong checksum": wrong_checksum,
    "only a signature": lambda: SIGNATURE,
    "a JPEG": lambda: saved("JPEG"),
    "a TIFF": lambda: saved("TIFF"),
    "a GIF": lambda: saved("GIF"),
    "a script": lambda: b"%!PS-Adobe-3.0\n" + bytes(100),
}
"""Pictures by themselves; each opens at its own size or is refused."""


def saved(kind: str) -> bytes:
    """A picture of another kind."""
    output = io.BytesIO()
    Image.new("RGB", (8, 8)).save(output, kind)
    return output.getvalue()


def open_scene(data: bytes) -> None:
    """As `tapestry render` opens what it was given."""
    read_scene(Document(Archive(data)), background="sea", margins=Margins())


@pytest.mark.promise("S10")
def test_scenes_are_refused_in_little_memory(measured) -> None:
    """Bombs, ways out of the archive, absurd sizes: none takes memory before it is refused."""
    growths = {}
    for name, make in REFUSED.items():
        data = make()

        def act(data: bytes = data) -> None:
            with pytest.raises(TapestryError):
                open_scene(data)

        growths[name] = peak_growth_bytes(act) / 2**20
    assert len(growths) >= 20
    assert max(growths.values()) < MOST_GROWTH_MIB, growths
    measured(f"{len(growths)} hostile .ora files refused, at most {max(growths.values()):.0f} MiB")


@pytest.mark.promise("S10")
def test_pictures_open_or_are_refused_in_little_memory(measured) -> None:
    """A picture that opens is what it says; nothing else is raised."""
    growths, opened = {}, 0
    for name, make in PICTURES.items():
        data = make()

        def act(data: bytes = data) -> None:
            nonlocal opened
            with suppress(TapestryError):
                assert decode_png(data, "a picture").shape == (8, 8, 4)
                opened += 1

        growths[name] = peak_growth_bytes(act) / 2**20
    assert max(growths.values()) < MOST_GROWTH_MIB, growths
    assert opened < len(PICTURES) / 2
    measured(
        f"{len(growths)} hostile .png files, {len(growths) - opened} refused, "
        f"at most {max(growths.values()):.0f} MiB"
    )


@pytest.mark.promise("S10")
def test_nothing_is_written_beside_a_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """Names that climb out of an archive are never unpacked to the disk."""
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    climbing = [name for name in REFUSED if name.startswith("file inside")]
    for name in climbing:
        with pytest.raises(TapestryError):
            open_scene(REFUSED[name]())
    assert list(tmp_path.rglob("*")) == [tmp_path / "inner", folder]
    measured(f"{len(climbing)} files with names that climb out: nothing written")
