"""Whether a file is what GGUF files are, judged from its header, before gguf's own reader opens it.

A file begins with a mark, a version, and how many tensors and notes there are. The notes follow,
each with a name, a type and a value; then of each tensor its name, its sides with the last one
first, how it is stored, and where it begins in the bytes behind all of this. Those begin, and each
tensor does, at a multiple of the alignment. See docs/gguf.md in ggml.
"""

from __future__ import annotations

import importlib.util
import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tapestry_protocol.sentences import Sentence, quoted

from .gguf_names import named_as_elsewhere
from .safetensors_header import (
    ANOTHER,
    MAX_FILE_BYTES,
    MAX_NAME_CHARACTERS,
    MAX_TENSORS,
    BrokenFileError,
    Header,
    check_regular,
)

MAX_HEADER_BYTES = 32 * 2**20
"""A tokenizer of 150,000 words takes five of these."""

MAX_NOTES = 1000
"""Of a language model there are some thirty."""

MAX_VALUES = 2**20
"""Limit of the values in all notes that are lists. A tokenizer has half as many, and gguf's reader
makes an object of some hundred bytes of each."""

_MARK, _VERSIONS, _ALIGNMENT = b"GGUF", (2, 3), 32
_MAX_DIMENSIONS, _MAX_ALIGNMENT = 4, 2**16
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_NUMBERS |= {12: "d"}
_TEXT, _LIST, _WHOLE_4 = 8, 9, 4
"""What the types of notes are called there."""


class Packing(NamedTuple):
    """How numbers are stored: in blocks of so many, which take so many bytes each."""

    name: str
    numbers: int
    size_bytes: int


PACKINGS = {
    0: Packing("F32", 1, 4),
    1: Packing("F16", 1, 2),
    30: Packing("BF16", 1, 2),
    2: Packing("Q4_0", 32, 18),
    3: Packing("Q4_1", 32, 20),
    6: Packing("Q5_0", 32, 22),
    7: Packing("Q5_1", 32, 24),
    8: Packing("Q8_0", 32, 34),
    10: Packing("Q2_K", 256, 84),
    11: Packing("Q3_K", 256, 110),
    12: Packing("Q4_K", 256, 144),
    13: Packing("Q5_K", 256, 176),
    14: Packing("Q6_K", 256, 210),
}
"""Those that are read here, by their numbers in a file."""


def read_gguf_header(path: Path) -> Header:
    """A file's header, its tensors named as in other programs' files; texts among its notes.

    Raises BrokenFileError when it does not describe exactly the file, or nothing here reads it.
    """
    size = check_regular(path, MAX_FILE_BYTES)
    header = _read_header(path, size, path.stat().st_mtime_ns)
    if importlib.util.find_spec("gguf") is None:
        raise BrokenFileError(
            Sentence("{file} is packed as GGUF, and what reads that is missing", file=path.name),
            "Install it into the backend's environment with `pip install gguf`, or look for the "
            "same one as .safetensors.",
        )
    return header


@lru_cache(maxsize=16)
def _read_header(path: Path, size: int, _modified_ns: int) -> Header:
    with path.open("rb") as file:
        values = _Values(file, path.name, size)
        if values.bytes(4) != _MARK:
            raise BrokenFileError(Sentence("{file} is no GGUF file", file=path.name))
        version = values.number("I")
        if version not in _VERSIONS:
            raise BrokenFileError(
                Sentence(
                    "{file} is of another version of GGUF ({number})",
                    file=path.name,
                    number=version,
                ),
                ANOTHER,
            )
        tensor_count, note_count = values.number("Q"), values.number("Q")
        if not 0 < tensor_count <= MAX_TENSORS:
            raise BrokenFileError(
                Sentence("the header names {count} tensors", count=tensor_count), ANOTHER
            )
        if note_count > MAX_NOTES:
            raise BrokenFileError(
                Sentence(
                    "the header has {count} notes, more than {most}",
                    count=note_count,
                    most=MAX_NOTES,
                ),
                ANOTHER,
            )
        notes, alignment = _read_notes(values, note_count)
        tensors = [_read_tensor(values) for _ in range(tensor_count)]
        start = _aligned(values.place, alignment)
    _check_places(tensors, start, alignment, size)
    names = named_as_elsewhere([each.name for each in tensors], notes)
    if len(set(names)) < len(tensors):
        raise BrokenFileError("a tensor appears twice", ANOTHER)
    return Header(
        {name: each.shape for name, each in zip(names, tensors, strict=True)},
        {name: each.packing.name for name, each in zip(names, tensors, strict=True)},
        notes,
    )


class _Tensor(NamedTuple):
    name: str
    shape: tuple[int, ...]
    packing: Packing
    start: int

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) // self.packing.numbers * self.packing.size_bytes


class _Values:
    """A file's values one after the other; raises BrokenFileError where there are no more."""

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self._file, self._name, self._end = file, name, size
        self.place = 0
        self.listed = 0
        """Values in lists so far."""

    def bytes(self, count: int) -> bytes:
        self._go_on(count)
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._go_on(count)
        self._file.seek(count, 1)

    def number(self, kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", self.bytes(struct.calcsize(kind)))
        return int(value)

    def text(self, most: int) -> str:
        length = self.number("Q")
        if length > most:
            raise BrokenFileError(
                Sentence("a name in the header has {count} bytes", count=length), ANOTHER
            )
        try:
            return self.bytes(length).decode("utf-8")
        except UnicodeDecodeError:
            raise BrokenFileError("a name in the header is no text") from None

    def _go_on(self, count: int) -> None:
        self.place += count
        if self.place > self._end:
            raise BrokenFileError(Sentence("{file} ends inside its header", file=self._name))
        if self.place > MAX_HEADER_BYTES:
            raise BrokenFileError(
                Sentence(
                    "the header of {file} has more than {most} bytes",
                    file=self._name,
                    most=MAX_HEADER_BYTES,
                ),
                ANOTHER,
            )


def _read_notes(values: _Values, count: int) -> tuple[dict[str, str], int]:
    """Notes that are texts, where they are short, and the alignment."""
    notes: dict[str, str] = {}
    seen: set[str] = set()
    alignment = _ALIGNMENT
    for _ in range(count):
        name, kind = values.text(MAX_NAME_CHARACTERS), values.number("I")
        if name in seen:
            raise BrokenFileError("a note appears twice", ANOTHER)
        seen.add(name)
        if name == "general.alignment":
            alignment = values.number("I") if kind == _WHOLE_4 else 0
            if not 0 < alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
                raise BrokenFileError("its alignment is no power of two", ANOTHER)
        elif kind == _TEXT:
            text = _short_text(values)
            if text is not None:
                notes[name] = text
        else:
            _skip_value(values, kind)
    return notes, alignment


def _short_text(values: _Values) -> str | None:
    length = values.number("Q")
    if length > MAX_NAME_CHARACTERS:
        values.skip(length)
        return None
    return values.bytes(length).decode("utf-8", errors="replace")


def _skip_value(values: _Values, kind: int) -> None:
    if kind in _NUMBERS:
        values.skip(struct.calcsize(_NUMBERS[kind]))
    elif kind == _TEXT:
        values.skip(values.number("Q"))
    elif kind == _LIST:
        inner, count = values.number("I"), values.number("Q")
        values.listed += count
        if values.listed > MAX_VALUES:
            raise BrokenFileError(
                Sentence("its notes list more than {most} values", most=MAX_VALUES), ANOTHER
            )
        if inner == _TEXT:
            for _ in range(count):
                values.skip(values.number("Q"))
        elif inner in _NUMBERS:
            values.skip(count * struct.calcsize(_NUMBERS[inner]))
        else:
            raise BrokenFileError("a note is of an unknown type", ANOTHER)
    else:
        raise BrokenFileError("a note is of an unknown type", ANOTHER)


def _read_tensor(values: _Values) -> _Tensor:
    name = values.text(MAX_NAME_CHARACTERS)
    shown = quoted(name[:40])
    dimensions = values.number("I")
    if dimensions > _MAX_DIMENSIONS:
        raise BrokenFileError(
            Sentence("the tensor {name} has no sensible shape", name=shown), ANOTHER
        )
    sides = [values.number("Q") for _ in range(dimensions)]
    packing = PACKINGS.get(number := values.number("I"))
    start = values.number("Q")
    if packing is None:
        raise BrokenFileError(
            Sentence(
                "the tensor {name} is packed in a way that Tapestry cannot read (number {number})",
                name=shown,
                number=number,
            ),
            "Look for the same one packed as Q4_K, Q5_K, Q6_K or Q8_0, or as .safetensors.",
        )
    if not all(0 < side <= MAX_FILE_BYTES for side in sides) or (sides or [0])[0] % packing.numbers:
        raise BrokenFileError(
            Sentence("the tensor {name} has no sensible shape", name=shown), ANOTHER
        )
    return _Tensor(name, tuple(reversed(sides)), packing, start)


def _check_places(tensors: list[_Tensor], start: int, alignment: int, size: int) -> None:
    """Raises BrokenFileError unless the tensors lie one behind the other, to the file's end."""
    end = 0
    for tensor in sorted(tensors, key=lambda each: each.start):
        if tensor.start != _aligned(end, alignment):
            raise BrokenFileError("the header's tensors overlap, leave gaps or leave the file")
        end = tensor.start + tensor.size_bytes
    if not start + end <= size <= start + _aligned(end, alignment):
        raise BrokenFileError("the header's tensors overlap, leave gaps or leave the file")


def _aligned(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment
