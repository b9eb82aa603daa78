"""What the commands of `tapestry bench` check of their options alike; no torch."""

from __future__ import annotations

import os
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError


def check_writable(path: Path) -> None:
    """Raises TapestryError when nothing can be written there: before minutes are spent."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{str(path)!r} cannot be written.",
            "Choose a file in a folder that exists and belongs to you.",
        )
