"""Text files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_aside(path: Path, text: str) -> None:
    """Write a text file, and its folder where there is none; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".aside-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
