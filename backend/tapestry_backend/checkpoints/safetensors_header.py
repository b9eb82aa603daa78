"""Whether a file is what safetensors files are, judged from its header.

A file begins with eight bytes, the length of its header; the header is a JSON object that gives
each tensor its type, its shape, and its place in the bytes that follow, which it covers wholly.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import stat
import struct
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tapestry_protocol.sentences import Sentence, as_sentence, quoted

MAX_HEADER_BYTES = 2 * 2**20
"""Limit of the tensors' part of a header. The largest known model needs a tenth of it; as Python
objects it takes 20 times as much."""

MAX_NOTES_BYTES = 100_000_000
"""Limit of the notes, where trainers write all their tags; the limit of safetensors itself."""

MAX_TENSORS = 10_000
"""The largest known model has a third of them."""

MAX_FILE_BYTES = 128 * 2**30
"""More than any model of the families that we run, in double precision."""

_KEPT_NOTES_BYTES = 2**18
"""Notes that are longer are left in the file, but for those that are read here."""

_READ_NOTES = {
    *("lora_adapter_metadata", "modelspec.resolution", "modelspec.prediction_type"),
    "tapestry.taught",
}
_TEXT = rb'"(?:[^"\\]++|\\.)*+"'
_NOTES = re.compile(rb'[{,]\s*+"__metadata__"\s*+:\s*+')
_NOTE = re.compile(rb"\s*+(" + _TEXT + rb")\s*+:\s*+(" + _TEXT + rb")\s*+([,}])", re.DOTALL)
_NO_NOTES = re.compile(rb"null|\{\s*+\}")
_MAX_DIMENSIONS = 8
MAX_NAME_CHARACTERS = 500
_LENGTH = struct.Struct("<Q")
_LONGEST_MARK = 56
"""Bytes after the first eight that tell what else a file may be."""

_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
"""Size of one number of each type."""

_TORCH_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


class BrokenFileError(ValueError):
    """A file of a model that is not what it should be; says why.

    advice   what to do, where getting the same file again would not help
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.problem, self.advice = as_sentence(problem), advice


_FETCH_ITSELF = (
    "Open the model's page in a browser, log in or accept its licence if it asks for that, and "
    "fetch the file itself."
)
_AS_SAFETENSORS = "Look for the same one as .safetensors: another name does not change what it is."
_OTHER_KINDS = (
    ((b"<!doctype", b"<html", b"<head", b"<?xml"), Sentence("a web page"), _FETCH_ITSELF),
    (
        (b'{"', b"{\n", b"{\r\n", b"{ "),
        Sentence("a text, such as a server's answer"),
        _FETCH_ITSELF,
    ),
    (
        (b"version https://git-lfs",),
        Sentence("git's note about a large file"),
        "Run `git lfs pull` there.",
    ),
    ((b"gguf",), Sentence("a GGUF file"), _AS_SAFETENSORS),
    ((b"pk\x03\x04",), Sentence("a pickle, or another ZIP archive"), _AS_SAFETENSORS),
    (tuple(bytes((128, n)) for n in range(2, 6)), Sentence("a pickle"), _AS_SAFETENSORS),
    ((b"\x1f\x8b", b"7z\xbc\xaf", b"rar!"), Sentence("a packed archive"), "Unpack it first."),
    ((b"\x89png", b"\xff\xd8\xff", b"riff"), Sentence("a picture"), "Fetch the model beside it."),
)
"""How files begin that are often called .safetensors, in small letters; what they are, and what
to do."""

ANOTHER = "Choose another one: getting this one again would not change it."
"""Advice about what is as its author made it, and nothing for us."""


def check_regular(path: Path, most_bytes: int) -> int:
    """The size of a file; raises BrokenFileError when it is too large, or a device or a pipe."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenFileError(Sentence("{file} is no ordinary file", file=path.name), ANOTHER)
    if status.st_size > most_bytes:
        raise BrokenFileError(
            Sentence(
                "{file} has {count} bytes, more than {most}",
                file=path.name,
                count=status.st_size,
                most=most_bytes,
            ),
            ANOTHER,
        )
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
    notes      the header's free texts; what is long and not read here is left out
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
        _check_kind(path, start + file.read(_LONGEST_MARK))
        file.seek(_LENGTH.size)
        if len(start) < _LENGTH.size:
            raise BrokenFileError(Sentence("{file} is too short", file=path.name))
        (length,) = _LENGTH.unpack(start)
        if length > min(MAX_NOTES_BYTES, size - _LENGTH.size):
            raise BrokenFileError(
                Sentence(
                    "{file} says that its header has {count} bytes", file=path.name, count=length
                )
            )
        text = file.read(length)
    notes, where = _read_notes(text)
    described = text[: where.start] + b"{}" * (where != slice(0, 0)) + text[where.stop :]
    header = _parse(described, Sentence("the header of {file}", file=path.name))
    header.pop("__metadata__", None)
    _check_header(header, size - _LENGTH.size - length)
    return Header(
        {name: tuple(tensor["shape"]) for name, tensor in header.items()},
        {name: tensor["dtype"] for name, tensor in header.items()},
        notes,
    )


def _check_kind(path: Path, start: bytes) -> None:
    """Raises BrokenFileError for what only has the name of such a file.

    One that begins with the length of its header has zeros in its first eight bytes.
    """
    if start[4:8] == bytes(4) and start[:4] not in {b"GGUF", b"PK\x03\x04"}:
        return
    seen = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for marks, what, advice in _OTHER_KINDS:
        if seen.startswith(marks):
            raise BrokenFileError(
                Sentence("{file} is {kind}, and no safetensors file", file=path.name, kind=what),
                advice,
            )


def _read_notes(header: bytes) -> tuple[dict[str, str], slice]:
    """The notes in a file's beginning, and their place there.

    Raises BrokenFileError when they are no texts, or what remains is too long for what it should
    be. They are looked for before anything is parsed: they may be fifty times as long as the rest.
    """
    found = _NOTES.search(header)
    start = found.end() if found else 0
    notes, stop = _notes_at(header, start) if found else ({}, 0)
    described = len(header) - (stop - start)
    if described > MAX_HEADER_BYTES:
        raise BrokenFileError(
            Sentence(
                "its tensors are described in {count} bytes, more than {most}",
                count=described,
                most=MAX_HEADER_BYTES,
            ),
            ANOTHER,
        )
    return notes, slice(start, stop)


def _notes_at(header: bytes, start: int) -> tuple[dict[str, str], int]:
    """The notes that begin at this place, without what is long and never read; their end."""
    notes: dict[str, str] = {}
    if empty := _NO_NOTES.match(header, start):
        return notes, empty.end()
    place, end = start + 1, b""
    while end != b"}":
        found = _NOTE.match(header, place) if header[start : start + 1] == b"{" else None
        if found is None:
            raise BrokenFileError("the header's notes are no texts", ANOTHER)
        place, end = found.end(), found[3]
        name = _text(found[1]) if found.end(1) - found.start(1) < _KEPT_NOTES_BYTES else ""
        if place - start < _KEPT_NOTES_BYTES or name in _READ_NOTES:
            if name in notes:
                raise BrokenFileError("a note appears twice", ANOTHER)
            notes[name] = _text(found[2])
    return notes, place


def _text(quoted: bytes) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise BrokenFileError(
            Sentence("the header's notes are no JSON ({error})", error=error)
        ) from None


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(
            Sentence("{file} is no JSON ({error})", file=what, error=error)
        ) from None
    if not isinstance(parsed, dict):
        raise BrokenFileError(Sentence("{file} is no JSON object", file=what))
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name appears twice")
    return fields


def _check_header(header: dict[str, Any], data_bytes: int) -> None:
    if not 0 < len(header) <= MAX_TENSORS:
        raise BrokenFileError(
            Sentence("the header names {count} tensors", count=len(header)), ANOTHER
        )
    places = sorted(_place(name, tensor) for name, tensor in header.items())
    ends = [(0, 0), *places, (data_bytes, data_bytes)]
    for (_, before), (after, _) in itertools.pairwise(ends):
        if before != after:
            raise BrokenFileError("the header's tensors overlap, leave gaps or leave the file")


def _place(name: str, tensor: Any) -> tuple[int, int]:
    """Where a tensor begins and ends."""
    shown = quoted(name[:40])
    if len(name) > MAX_NAME_CHARACTERS:
        raise BrokenFileError(Sentence("the name {name} is too long", name=shown), ANOTHER)
    if not isinstance(tensor, dict) or tensor.keys() != {"dtype", "shape", "data_offsets"}:
        raise BrokenFileError(
            Sentence("the tensor {name} is not described as it should be", name=shown)
        )
    number_bytes = _BYTES.get(tensor["dtype"]) if isinstance(tensor["dtype"], str) else None
    shape, place = tensor["shape"], tensor["data_offsets"]
    if number_bytes is None:
        raise BrokenFileError(
            Sentence("the tensor {name} is of an unknown type", name=shown), ANOTHER
        )
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
        raise BrokenFileError(
            Sentence("the tensor {name} has no sensible shape", name=shown), ANOTHER
        )
    if not _are_sizes(place) or len(place) != 2:
        raise BrokenFileError(Sentence("the tensor {name} has no sensible place", name=shown))
    start, end = place
    if end - start != math.prod(shape) * number_bytes:
        raise BrokenFileError(
            Sentence("the tensor {name} has another size than its shape", name=shown)
        )
    return start, end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= MAX_FILE_BYTES for value in values
    )
