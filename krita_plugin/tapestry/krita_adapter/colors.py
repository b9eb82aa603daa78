"""The pixels of Krita's nodes as RGBA, 8 bits, sRGB, whatever their own colours are."""

from __future__ import annotations

from typing import Any

from tapestry_protocol.pixels import Bounds

from ..qt.compat import QImage, QPainter
from .layer_drafts import SRGB

_OPAQUE = 255


def colors_of(document: Any, node: Any, bounds: Bounds) -> bytes:
    """A layer's or group's own pixels, straight alpha; its own opacity does not count."""
    if node.type() == "grouplayer" and node.passThroughMode():
        image = _passing(document, node, bounds)
    else:
        image = _image(document, node, bounds)
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    return image.constBits().asstring(bounds.height * bounds.width * 4)


def _image(document: Any, node: Any, bounds: Bounds) -> QImage:
    place = (bounds.left, bounds.top, bounds.width, bounds.height)
    # Krita converts colours for layers alone, and groups and vectors have no pixels to convert.
    copy = document.createNode("", "paintlayer")
    copy.setColorSpace(node.colorModel(), node.colorDepth(), node.colorProfile())
    copy.setPixelData(node.projectionPixelData(*place), *place)
    copy.setColorSpace("RGBA", "U8", SRGB)
    size = (bounds.width, bounds.height, bounds.width * 4)
    return QImage(bytes(copy.pixelData(*place)), *size, QImage.Format.Format_ARGB32).copy()


def _passing(document: Any, group: Any, bounds: Bounds) -> QImage:
    """What lies in a group that passes through, of which Krita keeps no picture."""
    modes = QPainter.CompositionMode
    whole = QImage(bounds.width, bounds.height, QImage.Format.Format_ARGB32_Premultiplied)
    whole.fill(0)
    painter = QPainter(whole)
    for node in group.childNodes():
        is_group = node.type() == "grouplayer"
        if not node.visible() or node.type().endswith("mask"):
            continue
        if is_group and node.passThroughMode():
            image = _passing(document, node, bounds)
        else:
            image = _image(document, node, bounds)
        mode = modes.CompositionMode_SourceOver
        if node.blendingMode() == "erase":
            mode = modes.CompositionMode_DestinationOut
        elif node.inheritAlpha():
            mode = modes.CompositionMode_SourceAtop
        painter.setCompositionMode(mode)
        painter.setOpacity(node.opacity() / _OPAQUE)
        painter.drawImage(0, 0, image)
    painter.end()
    return whole
