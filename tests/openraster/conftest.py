"""What Krita exports, for the folders around OpenRaster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapestry_backend.openraster.document import Document


@pytest.fixture
def krita_document() -> Document:
    """What Krita 5.1.5 exported: paint, group, fill, hidden and empty layers, 96 x 64 pixels."""
    return Document.open(Path(__file__).with_name("krita-5.1.5.ora"))
