"""Transparency masks that can be written to, out of a small file of Krita's own format.

Krita 5.1 makes masks for plugins, but those hold no pixels and take none. A mask that was loaded
does, and so does every copy of it, also in another document.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from krita import Krita

from tapestry_protocol.errors import ErrorCode, TapestryError

from ..i18n.translation import tr

_TILES = "VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE 1\nDATA 0\n"

_LAYER = (
    '<layer nodetype="grouplayer" name="group" filename="layer1" x="0" y="0" opacity="255" '
    'visible="1" locked="0" compositeop="normal" channelflags="" passthrough="0" '
    'uuid="{49687af6-c465-4601-be8a-c5efddfd829b}"><masks><mask '
    'nodetype="transparencymask" name="mask" filename="mask2" x="0" y="0" visible="1" locked="0" '
    'uuid="{57f1dd00-6b44-4c77-b28c-7de1eb1d1d37}"/></masks></layer>'
)
"""A group, because Krita complains of a paint layer that brings no colour profile."""

_MAINDOC = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE DOC PUBLIC '-//KDE//DTD krita 2.0//EN' 'http://www.calligra.org/DTD/krita-2.0.dtd'>
<DOC xmlns="http://www.calligra.org/DTD/krita" syntaxVersion="2.0" editor="Krita">
<IMAGE name="mask" mime="application/x-kra" width="1" height="1" colorspacename="RGBA"
 profile="sRGB-elle-V2-srgbtrc.icc" x-res="72" y-res="72" description="">
<layers>{_LAYER}</layers></IMAGE></DOC>
"""

_FILES = {
    "mimetype": b"application/x-krita",
    "maindoc.xml": _MAINDOC.encode(),
    "mask/layers/mask2.pixelselection": _TILES.encode(),
    "mask/layers/mask2.pixelselection.defaultpixel": bytes(1),
}


def empty_masks(count: int) -> list[Any]:
    """Masks that hide everything, to be added to layers; raises TapestryError."""
    if not count:
        return []
    with tempfile.TemporaryDirectory(prefix="tapestry-") as folder:
        path = Path(folder) / "mask.kra"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in _FILES.items():
                archive.writestr(name, data)
        document = Krita.instance().openDocument(str(path))
    layers = document.rootNode().childNodes() if document is not None else []
    found = [mask for layer in layers for mask in layer.childNodes()]
    masks = [found[0].duplicate() for _ in range(count)] if found else []
    if document is not None:
        document.setModified(False)
        document.close()
    if not masks:
        raise TapestryError(
            ErrorCode.INTERNAL,
            tr("Krita gave no transparency masks."),
            tr("Apply the picture as one layer."),
        )
    return masks
