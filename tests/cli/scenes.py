"""Small scenes for a batch, and what its manifest says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli.batch_manifest import NAME


def paint(width: int, height: int, colour: tuple[int, int, int] = (10, 120, 240)) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (*colour, 255))


def write_scene(path: Path, *names: str) -> Path:
    """A scene of 32 x 24 pixels, a region on each of these rows of 8 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [Layer(name, paint(32, 8), 0, 8 * row) for row, name in enumerate(names)]
    write_ora(path, (32, 24), layers)
    return path


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """What the manifest says."""
    return [json.loads(line) for line in (folder / NAME).read_text(encoding="utf-8").splitlines()]
