"""Files that an artist was sent: each is opened, or refused with a sentence, within our limits."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.png import decode_png
from tapestry_backend.openraster.scene import read_scene
from tapestry_backend.openraster.selection import select_layer
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Margins, Pixels
from tests.openraster.hostile_files import (
    REFUSED,
    SOUND,
    STACK,
    ora,
    png,
    png_that_says,
)


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_file_is_refused_with_a_sentence(case: str) -> None:
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
        ("data/b.png", "", "The layer “old” was left out: its picture is damaged or missing."),
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
    with pytest.raises(TapestryError, match="the picture of the layer “sky” is damaged"):
        read_scene(alone, background="sea")
    with pytest.raises(TapestryError, match="the picture of the layer “old” is damaged"):
        select_layer(two, "old")
