"""The header of a file of weights, of either format that is read here."""

from __future__ import annotations

from pathlib import Path

from . import safetensors_header
from .folders import is_gguf
from .gguf_header import read_gguf_header
from .safetensors_header import Header


def read_header(path: Path) -> Header:
    """Raises BrokenFileError when it does not describe exactly the file."""
    return read_gguf_header(path) if is_gguf(path.name) else safetensors_header.read_header(path)
