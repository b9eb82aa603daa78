"""Text files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

from pathlib import Path

from tapestry_protocol.files import write_whole


def write_atomically(path: Path, text: str) -> None:
    """Write a text file, and its folder where there is none; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, [text.encode("utf-8")], 0o600)
