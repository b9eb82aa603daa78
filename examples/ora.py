"""Writes a small OpenRaster file from pictures; reading them is the product's business."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from PIL import Image


class Layer(NamedTuple):
    """A layer: its name, its picture (RGBA), and where the picture's corner lies on the canvas."""

    name: str
    picture: Image.Image
    left: int = 0
    top: int = 0
    visible: bool = True
    opacity: float = 1.0


class Group(NamedTuple):
    """A group of layers, topmost first."""

    name: str
    layers: Sequence[Layer | Group]
    visible: bool = True
    opacity: float = 1.0


def write_ora(path: Path, size: tuple[int, int], layers: Sequence[Layer | Group]) -> None:
    """Write layers (topmost first) on a canvas of (width, height)."""
    pictures: dict[str, Image.Image] = {}
    stack = "".join(_element(layer, pictures) for layer in layers)
    merged = Image.new("RGBA", size)
    for layer in reversed(layers):
        _lay_over(merged, layer)
    thumbnail = merged.copy()
    thumbnail.thumbnail((256, 256))
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<image version="0.0.3" w="{size[0]}" '
        f'h="{size[1]}" xres="72" yres="72">\n<stack>\n{stack}</stack>\n</image>\n'
    )
    with zipfile.ZipFile(path, "w") as archive:
        _add(archive, "mimetype", b"image/openraster")
        _add(archive, "stack.xml", xml.encode())
        for name, picture in pictures.items():
            _add(archive, name, _png(picture))
        _add(archive, "mergedimage.png", _png(merged))
        _add(archive, "Thumbnails/thumbnail.png", _png(thumbnail))


def _element(layer: Layer | Group, pictures: dict[str, Image.Image]) -> str:
    visibility = "visible" if layer.visible else "hidden"
    common = (
        f'name={quoteattr(layer.name)} visibility="{visibility}" opacity="{layer.opacity}" '
        'composite-op="svg:src-over"'
    )
    if isinstance(layer, Group):
        inner = "".join(_element(child, pictures) for child in layer.layers)
        return f"<stack {common}>\n{inner}</stack>\n"
    source = f"data/layer{len(pictures)}.png"
    pictures[source] = layer.picture
    return f'<layer {common} src="{source}" x="{layer.left}" y="{layer.top}"/>\n'


def _lay_over(merged: Image.Image, layer: Layer | Group) -> None:
    if not layer.visible:
        return
    canvas = Image.new("RGBA", merged.size)
    if isinstance(layer, Group):
        for child in reversed(layer.layers):
            _lay_over(canvas, child)
    else:
        canvas.paste(layer.picture, (layer.left, layer.top))
    canvas.putalpha(canvas.getchannel("A").point(lambda alpha: round(alpha * layer.opacity)))
    merged.alpha_composite(canvas)


def _png(picture: Image.Image) -> bytes:
    output = io.BytesIO()
    picture.save(output, "PNG", optimize=True)
    return output.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Without the time of day: the same pictures give the same file."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)
