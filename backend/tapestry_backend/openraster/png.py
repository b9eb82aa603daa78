"""PNG files <-> raw RGBA arrays, bounded before anything is decoded."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tapestry_protocol.limits import MAX_CANVAS_PX, MAX_SIDE_PX

from .errors import damaged_picture, too_many_pixels
from .limits import MAX_PROFILE_BYTES

_HEADER = struct.Struct(">8s4x4sII")
HEADER_BYTES = _HEADER.size
"""Bytes of a PNG that `png_size` needs."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_THUMBNAIL_PX = 256
_CHUNK = struct.Struct(">I4s")
_CHECKSUM_BYTES = 4
_DIFFERENCE_FROM_ABOVE = 2
"""The format's number for rows that say how they differ from the one above them."""
_DEPTH_AT = HEADER_BYTES
"""Where a PNG says how many bits each channel of a pixel has."""
_AFTER_HEADER = 8 + _CHUNK.size + 13 + _CHECKSUM_BYTES
_COLOURS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
"""Chunks that say which colours the numbers mean."""

_PILLOW_ERRORS = (
    Image.DecompressionBombError,
    EOFError,
    OSError,
    OverflowError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
)


def png_size(data: bytes, what: str) -> tuple[int, int]:
    """Height and width as the header tells them; raises TapestryError beyond our limits."""
    if not data:
        raise damaged_picture(what, "is empty")
    if len(data) < _HEADER.size:
        raise damaged_picture(what, "is no PNG picture")
    signature, chunk, width, height = _HEADER.unpack_from(data)
    if signature != _SIGNATURE or chunk != b"IHDR" or not width or not height:
        raise damaged_picture(what, "is no PNG picture")
    if width * height > MAX_CANVAS_PX or max(width, height) > MAX_SIDE_PX:
        raise too_many_pixels(what, height, width)
    return height, width


def decode_png(data: bytes, what: str) -> np.ndarray:
    """A PNG as uint8 [height, width, 4], straight alpha; `what` names it in errors."""
    height, width = png_size(data, what)
    try:
        with Image.open(io.BytesIO(_pixels_alone(data)), formats=["PNG"]) as image:
            pixels = np.array(_eight_bit(image).convert("RGBA"))
    except _PILLOW_ERRORS as error:
        raise damaged_picture(what, "cannot be read: it is damaged, or was cut off") from error
    if pixels.shape != (height, width, 4):
        raise damaged_picture(what, "has another size than it says")
    return pixels


def read_picture(data: bytes, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """A PNG that stands for itself, upright, and sentences about what of it is not used.

    A layer, or a mask, lies on its canvas as it is stored: for those there is `decode_png`.
    """
    pixels = decode_png(data, what)
    chunks = dict(_chunks(data))
    notes = []
    if profile_of(data) == b"":
        notes.append(unused_profile(what))
    if data[_DEPTH_AT] > 8:
        notes.append(f"{what} has {data[_DEPTH_AT]} bits a channel, the result has 8.")
    if _count_of(chunks.get(b"acTL", b"")) > 1:
        notes.append(f"{what} is an animation: only the picture that other programs show is used.")
    return _upright(pixels, chunks.get(b"eXIf", b"")), tuple(notes)


def _count_of(animation: bytes) -> int:
    """Pictures of an animation, by its chunk."""
    return int.from_bytes(animation[_CHUNK.size : _CHUNK.size + 4], "big")


def _upright(pixels: np.ndarray, camera: bytes) -> np.ndarray:
    """Pixels turned as their camera was held, by its chunk; as they are where it makes no sense."""
    notes, held = Image.Exif(), None
    with warnings.catch_warnings(action="ignore"), suppress(*_PILLOW_ERRORS):
        notes.load(camera[_CHUNK.size : -_CHECKSUM_BYTES])
        held = notes.get(ExifTags.Base.Orientation)
    if held not in range(2, 9):
        return pixels
    image = Image.fromarray(pixels)
    image.getexif()[ExifTags.Base.Orientation] = held
    return np.array(ImageOps.exif_transpose(image))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, the one deep PNG that Pillow does not bring to 8 bits by itself."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))


def colours_of(data: bytes) -> bytes:
    """The chunks of a PNG that say which colours its numbers mean, to be put into another one.

    Empty where it says nothing, or nothing that holds for RGB.
    """
    found = b""
    for kind, chunk in _chunks(data):
        if kind == b"IDAT":
            break
        if kind in _COLOURS and _is_meant(kind, chunk):
            found += chunk
    return found


def _is_meant(kind: bytes, chunk: bytes) -> bool:
    """Whether a chunk says something: no profile for grey or inks, and no gamma of nothing."""
    if kind == b"iCCP":
        return _is_for_rgb(_unpacked(chunk))
    return kind != b"gAMA" or any(chunk[_CHUNK.size : -_CHECKSUM_BYTES])


def reaches_pixels(data: bytes) -> bool:
    """Whether the beginning of a PNG holds all that stands before its pixels."""
    return any(chunk[4:8] == b"IDAT" for _, chunk in _chunks(data))


def profile_of(data: bytes) -> bytes | None:
    """The colour profile of a PNG, unpacked; empty where it has one that cannot be used.

    That is one for something else than RGB, one that is damaged, or larger than profiles are.
    """
    for kind, chunk in _chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"iCCP":
            profile = _unpacked(chunk)
            return profile if _is_for_rgb(profile) else b""
        if not kind and chunk[4:8] == b"iCCP":
            return b""
    return None


def unused_profile(what: str) -> str:
    """A sentence about a profile that is there and cannot be used."""
    return (
        f"The colour profile of {what} is left out: it is damaged, or none for RGB. "
        "Convert the picture to RGB if its colours look wrong."
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and all bytes of each chunk; what follows a damaged one comes as one of no kind."""
    at = len(_SIGNATURE)
    while at + _CHUNK.size <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK.size + length + _CHECKSUM_BYTES
        if end > len(data):
            break
        yield kind, data[at:end]
        at = end
    if at < len(data):
        yield b"", data[at:]


def _pixels_alone(data: bytes) -> bytes:
    """A PNG without what says nothing of its pixels: profiles and notes may be of any size."""
    first = kept = len(_SIGNATURE)
    pieces = [data[:first]]
    for kind, chunk in _chunks(data):
        if not kind or kind[:1].isupper() or kind == b"tRNS":
            pieces.append(chunk)
            kept += len(chunk)
    return data if kept == len(data) else b"".join(pieces)


def _unpacked(chunk: bytes) -> bytes:
    """The profile in a whole iCCP chunk; empty where it is damaged, or of no size of profiles."""
    _, _, rest = chunk[_CHUNK.size : -_CHECKSUM_BYTES].partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(rest[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= MAX_PROFILE_BYTES else b""


def _is_for_rgb(profile: bytes) -> bool:
    return profile[36:40] == b"acsp" and profile[16:20] == b"RGB "


def encode_png(pixels: np.ndarray, colours: bytes = b"") -> bytes:
    """uint8 [height, width, 4] as a PNG; without alpha where everything is opaque.

    colours: what `colours_of` gave of the picture whose colours these are.
    """
    opaque = bool((pixels[..., 3] == 255).all())
    return with_chunks(_save(Image.fromarray(pixels[..., :3] if opaque else pixels)), colours)


def with_chunks(png: bytes, chunks: bytes) -> bytes:
    """A PNG with further chunks before its pixels."""
    return png[:_AFTER_HEADER] + chunks + png[_AFTER_HEADER:]


def text_chunk(keyword: str, text: str, *, packed: bool = False) -> bytes:
    """A chunk (iTXt) with a text; keyword: 1 to 79 Latin letters. packed: whether it is deflated.

    What UTF-8 cannot hold is left out.
    """
    data = text.encode("utf-8", "ignore")
    head = keyword.encode("latin-1") + (b"\0\1\0" if packed else b"\0\0\0") + b"\0\0"
    return _chunk(b"iTXt", head + (zlib.compress(data) if packed else data))


def encode_grey(values: np.ndarray) -> bytes:
    """uint8 [height, width] as a PNG of one channel: each pixel is its number."""
    return _save(Image.fromarray(values))


def png_pieces(
    bands: Iterable[np.ndarray], height: int, width: int, colours: bytes = b"", *, alpha: bool
) -> Iterator[bytes]:
    """A PNG file piece by piece, from bands uint8 [rows, width, 4] from the top.

    colours: as in `encode_png`. alpha: whether it says how opaque pixels are.
    """
    channels = 4 if alpha else 3
    yield _SIGNATURE
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6 if alpha else 2, 0, 0, 0))
    yield colours
    packer = zlib.compressobj(6)
    above = np.zeros((1, width * channels), dtype=np.uint8)
    for band in bands:
        rows = band[..., :channels].reshape(len(band), -1)
        before = np.concatenate([above, rows[:-1]])
        filtered = np.empty((len(rows), width * channels + 1), dtype=np.uint8)
        filtered[:, 0] = _DIFFERENCE_FROM_ABOVE
        np.subtract(rows, before, out=filtered[:, 1:])
        above = rows[-1:]
        packed = packer.compress(filtered.tobytes())
        if packed:
            yield _chunk(b"IDAT", packed)
    yield _chunk(b"IDAT", packer.flush())
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def thumbnail_png(pixels: np.ndarray) -> bytes:
    """The picture as the format's thumbnail: at most 256 pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    return _save(image)


def scaled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture uint8 [h, w, 4] in another size; nothing mixes with colours that nobody sees."""
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def _save(image: Image.Image) -> bytes:
    output = io.BytesIO()
    image.save(output, "PNG")
    return output.getvalue()
