"""What a safetensors file says of itself: names, shapes and notes; reads no weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..weights import check_weights

_LENGTH = struct.Struct("<Q")


class Header(NamedTuple):
    """The tensors' shapes by name, and the notes of whoever wrote the file."""

    shapes: Mapping[str, tuple[int, ...]]
    notes: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Raises OSError or BrokenFileError when the file is not what safetensors files are."""
    check_weights(path)
    with path.open("rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(length))
    notes = header.pop("__metadata__", {})
    return Header({name: tuple(tensor["shape"]) for name, tensor in header.items()}, notes)
