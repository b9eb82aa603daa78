"""Whether a file is what safetensors files are, judged from its header; reads no weights.

A file begins with eight bytes, the length of its header; the header is a JSON object that gives
each tensor its type, its shape, and its place in the bytes that follow, which it covers wholly.
"""

from __future__ import annotations

import itertools
import json
import math
import stat
import struct
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 2 * 2**20
"""Of the largest model that we know, it has a tenth of this; as Python's objects 20 times this."""

MAX_TENSORS = 10_000
"""The largest model that we know has a third of them."""

MAX_FILE_BYTES = 32 * 2**30
"""More than any model of the families that we run, in double precision."""

_MAX_DIMENSIONS = 8
_MAX_NAME_CHARACTERS = 500
_LENGTH = struct.Struct("<Q")
_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
"""Of one number of each type."""

_TORCH_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


class BrokenFileError(ValueError):
    """A file of a model that is not what it should be; says why."""


def check_regular(path: Path, most_bytes: int) -> int:
    """The size of a file; raises BrokenFileError when it is too large, or a device or a pipe."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenFileError(f"{path.name} is no ordinary file")
    if status.st_size > most_bytes:
        raise BrokenFileError(f"{path.name} has {status.st_size} bytes, more than {most_bytes}")
    return status.st_size


def read_json(path: Path, most_bytes: int) -> dict[str, Any]:
    """The object in a JSON file; raises BrokenFileError when it holds anything else."""
    check_regular(path, most_bytes)
    return _parse(path.read_bytes(), path.name)


@dataclass(frozen=True)
class Header:
    """What a file says about its tensors.

    shapes     of each tensor, by its name
    types      what each is stored as: "F16", "F8_E4M3" ...
    notes      what somebody wrote beside them
    """

    shapes: dict[str, tuple[int, ...]]
    types: dict[str, str]
    notes: dict[str, str]

    @property
    def dtype(self) -> str:
        """The type of most of its numbers, as torch calls it."""
        numbers: Counter[str] = Counter()
        for name, shape in self.shapes.items():
            numbers[self.types[name]] += math.prod(shape)
        stored = numbers.most_common(1)[0][0]
        return _TORCH_NAMES.get(stored, stored.lower())


def check_weights(path: Path) -> None:
    """Raises BrokenFileError when the header does not describe exactly the file."""
    read_header(path)


def read_header(path: Path) -> Header:
    """A file's header; raises BrokenFileError when it does not describe exactly the file."""
    size = check_regular(path, MAX_FILE_BYTES)
    return _read_header(path, size, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)  # looking for checkpoints asks several times for each
def _read_header(path: Path, size: int, _modified_ns: int) -> Header:
    with path.open("rb") as file:
        start = file.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            raise BrokenFileError(f"{path.name} is too short")
        (length,) = _LENGTH.unpack(start)
        if length > min(MAX_HEADER_BYTES, size - _LENGTH.size):
            raise BrokenFileError(f"{path.name} says that its header has {length} bytes")
        header = _parse(file.read(length), f"the header of {path.name}")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise BrokenFileError("the header's notes are no texts")
    _check_header(header, size - _LENGTH.size - length)
    return Header(
        {name: tuple(tensor["shape"]) for name, tensor in header.items()},
        {name: tensor["dtype"] for name, tensor in header.items()},
        notes,
    )


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{what} is no JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise BrokenFileError(f"{what} is no JSON object")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name appears twice")
    return fields


def _check_header(header: dict[str, Any], data_bytes: int) -> None:
    if not 0 < len(header) <= MAX_TENSORS:
        raise BrokenFileError(f"the header names {len(header)} tensors")
    places = sorted(_place(name, tensor) for name, tensor in header.items())
    ends = [(0, 0), *places, (data_bytes, data_bytes)]
    for (_, before), (after, _) in itertools.pairwise(ends):
        if before != after:
            raise BrokenFileError("the header's tensors overlap, leave gaps or leave the file")


def _place(name: str, tensor: Any) -> tuple[int, int]:
    """Where a tensor begins and ends."""
    shown = repr(name[:40])
    if len(name) > _MAX_NAME_CHARACTERS:
        raise BrokenFileError(f"the name {shown} is too long")
    if not isinstance(tensor, dict) or tensor.keys() != {"dtype", "shape", "data_offsets"}:
        raise BrokenFileError(f"the tensor {shown} is not described as it should be")
    number_bytes = _BYTES.get(tensor["dtype"]) if isinstance(tensor["dtype"], str) else None
    shape, place = tensor["shape"], tensor["data_offsets"]
    if number_bytes is None:
        raise BrokenFileError(f"the tensor {shown} is of an unknown type")
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
        raise BrokenFileError(f"the tensor {shown} has no sensible shape")
    if not _are_sizes(place) or len(place) != 2:
        raise BrokenFileError(f"the tensor {shown} has no sensible place")
    start, end = place
    if end - start != math.prod(shape) * number_bytes:
        raise BrokenFileError(f"the tensor {shown} has another size than its shape")
    return start, end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= MAX_FILE_BYTES for value in values
    )
