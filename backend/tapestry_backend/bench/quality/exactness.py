"""Exactness: originals after an extension, in documents of 8 and 16 bits.

Each document is an OpenRaster file that grows as `tapestry render --extend` lets it grow. An
original pixel counts as unchanged when the file of its layer is the same byte for byte, and the
layer with the new part has nothing at all on it, so that nothing is blended in whatever depth the
document has; in documents of 8 bits the flattened picture is compared as well.
"""

from __future__ import annotations

import io
import itertools
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from tapestry_protocol.pixels import Margins, Pixels

from ...openraster.document import Document
from ...openraster.scene import read_scene
from .workbench import Measured, Workbench

_STEPS = 2
"""Exactness is not a matter of how well the new part is painted."""

_SIZES = ((128, 128), (90, 61), (200, 133), (64, 257), (129, 127))
_MARGINS = (Margins(right=40), Margins(left=33, right=8), Margins(1, 2, 3, 4), Margins(bottom=70))
_LAYER = "data/layer0.png"


def measure_exactness(bench: Workbench) -> Measured:
    """The share of original pixels that are unchanged, over 20 documents."""
    documents = [*itertools.product(_SIZES, _MARGINS)]
    bench.say(f"exactness: {len(documents)} documents grow")
    rng = np.random.default_rng(bench.painter.settings.seed)
    unchanged = []
    for i, ((height, width), margins) in enumerate(documents):
        bits = 16 if i % 2 else 8
        values = rng.integers(0, 2**bits, (height, width, 4), dtype=np.uint16)
        values[..., 3] = 2**bits - 1
        unchanged.append(unchanged_pixels(bench, values, bits, margins))
    share = np.concatenate([each.ravel() for each in unchanged]).mean()
    return Measured({"exactness": float(share)})


def unchanged_pixels(
    bench: Workbench, values: np.ndarray, bits: int, margins: Margins
) -> np.ndarray:
    """Let a document of one layer, uint16 [H, W, 4] of so many bits, grow: [H, W] bool."""
    height, width = values.shape[:2]
    settings = bench.painter.settings
    before = encode_layer(values, bits)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.ora"
        path.write_bytes(_openraster(before, height, width))
        document = Document.open(path)
        scene = read_scene(
            document,
            background="green grass",
            margins=margins,
            num_inference_steps=_STEPS,
            model=settings.model,
            seed=settings.picture_seed(9000),
        )
        result = bench.painter.paint(scene.request, scene.blobs)
        height_px, width_px, channels = result.shape
        pixels = Pixels(height_px, width_px, channels, result.tobytes())
        flattened = document.with_result(pixels, margins)
        saved = document.saved_with_result(pixels, margins, "new", flattened)
        with zipfile.ZipFile(io.BytesIO(saved)) as archive:
            kept = archive.read(_LAYER) == before
    rows = slice(margins.top, margins.top + height)
    columns = slice(margins.left, margins.left + width)
    unchanged = (result[rows, columns] == 0).all(axis=-1) & kept
    if bits == 8:
        unchanged &= (flattened[rows, columns] == values.astype(np.uint8)).all(axis=-1)
    return unchanged


def encode_layer(values: np.ndarray, bits: int) -> bytes:
    """uint16 [H, W, 4] as a PNG of 8 or 16 bits a channel (Pillow writes no RGBA of 16 bits)."""
    height, width = values.shape[:2]
    rows = values.astype(">u2" if bits == 16 else "u1").reshape(height, -1).view("u1")
    raw = np.concatenate([np.zeros((height, 1), "u1"), rows], axis=1).tobytes()
    header = struct.pack(">2I5B", width, height, bits, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 1)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _openraster(layer: bytes, height: int, width: int) -> bytes:
    stack = (
        f'<image h="{height}" w="{width}" version="0.0.3"><stack>'
        f'<layer name={quoteattr("Background")} src="{_LAYER}" x="0" y="0"/></stack></image>'
    )
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("mimetype", "image/openraster")
        archive.writestr("stack.xml", stack)
        archive.writestr(_LAYER, layer)
    return output.getvalue()
