"""Message <-> frame, strictly; raises ProtocolError and nothing else.

A text frame is one message: JSON with its kind; a field that has its default is left out, so that
another version can read whatever is not new. A binary frame is one chunk of a blob:
    32 bytes SHA-256 of the blob | 8 bytes offset | 8 bytes size of the blob | the bytes
both numbers big-endian.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import struct
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from typing import Any

from .constraints import Between, Matches, MaxLength
from .errors import ProtocolError
from .limits import MAX_BLOB_BYTES, MAX_CHUNK_BYTES, MAX_TEXT_FRAME_BYTES
from .messages import MESSAGES, Message
from .sentences import Sentence, sentence_from_json

_CHUNK_HEADER = struct.Struct(">32sQQ")


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A piece of a blob: `data` belongs at `offset` of the blob of `size_bytes` named `sha256`."""

    sha256: str
    offset: int
    size_bytes: int
    data: bytes


def encode(message: Message) -> str:
    """The text frame of a message; raises ProtocolError when a value is out of its limits."""
    fields = _plain(message)
    _convert(type(message), fields, message.kind)
    text = json.dumps({"kind": message.kind, **fields}, ensure_ascii=False, allow_nan=False)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_FRAME_BYTES:
        raise ProtocolError(message.kind, f"larger than {MAX_TEXT_FRAME_BYTES} bytes")
    return text


def decode(text: str | bytes) -> Message:
    """The message of a text frame; raises ProtocolError for anything that is not exactly one."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        if len(text) > MAX_TEXT_FRAME_BYTES:
            raise ProtocolError("frame", f"larger than {MAX_TEXT_FRAME_BYTES} bytes")
        fields = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("frame", "not JSON") from error
    if not isinstance(fields, dict):
        raise ProtocolError("frame", "not an object")
    kind = fields.pop("kind", None)
    message_type = MESSAGES.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise ProtocolError("kind", "unknown")
    return _convert(message_type, fields, message_type.kind)


def encode_chunks(sha256: str, data: bytes) -> Iterator[bytes]:
    """The binary frames that carry a blob, in order; none for an empty one."""
    for offset in range(0, len(data), MAX_CHUNK_BYTES):
        piece = data[offset : offset + MAX_CHUNK_BYTES]
        yield encode_chunk(Chunk(sha256, offset, len(data), piece))


def encode_chunk(chunk: Chunk) -> bytes:
    """The binary frame of a chunk."""
    header = _CHUNK_HEADER.pack(bytes.fromhex(chunk.sha256), chunk.offset, chunk.size_bytes)
    return header + chunk.data


def decode_chunk(frame: bytes) -> Chunk:
    """The chunk of a binary frame; raises ProtocolError when its numbers do not fit together."""
    if len(frame) < _CHUNK_HEADER.size:
        raise ProtocolError("chunk", "too short")
    sha256, offset, size_bytes = _CHUNK_HEADER.unpack_from(frame)
    data = bytes(frame[_CHUNK_HEADER.size :])
    if size_bytes > MAX_BLOB_BYTES:
        raise ProtocolError("chunk", f"blob larger than {MAX_BLOB_BYTES} bytes")
    if len(data) > MAX_CHUNK_BYTES or not data or offset + len(data) > size_bytes:
        raise ProtocolError("chunk", "does not fit into its blob")
    return Chunk(sha256.hex(), offset, size_bytes, data)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key appears twice")
    return fields


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: _plain(item) for f, item in fields if not _is_default(item, f.default)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Sentence):
        return value.to_json()
    return value


def _is_default(value: Any, default: Any) -> bool:
    # A value of another type may be equal, 1 and 1.0, but must be seen by the check.
    return type(value) is type(default) and value == default


@cache
def _fields(cls: type) -> dict[str, tuple[Any, bool]]:
    """Name -> (annotation, required) of a dataclass, resolved once."""
    hints = typing.get_type_hints(cls, include_extras=True)
    missing = dataclasses.MISSING
    return {f.name: (hints[f.name], f.default is missing) for f in dataclasses.fields(cls)}


def _convert(hint: Any, value: Any, path: str) -> Any:
    """The value as the annotation wants it; raises ProtocolError naming the path otherwise."""
    converter = _CONVERTERS.get(typing.get_origin(hint))
    if converter is not None:
        return converter(hint, value, path)
    if dataclasses.is_dataclass(hint):
        return _convert_fields(hint, value, path)
    if hint is Sentence:
        return _convert_sentence(value, path)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _convert_enum(hint, value, path)
    return _convert_scalar(hint, value, path)


def _convert_annotated(hint: Any, value: Any, path: str) -> Any:
    base, *constraints = typing.get_args(hint)
    converted = _convert(base, value, path)
    for constraint in constraints:
        _check(constraint, converted, path)
    return converted


def _convert_literal(hint: Any, value: Any, path: str) -> Any:
    choices = typing.get_args(hint)
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise ProtocolError(path, "must be one of " + ", ".join(map(str, choices)))
    return value


def _convert_optional(hint: Any, value: Any, path: str) -> Any:
    (inner,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
    return None if value is None else _convert(inner, value, path)


def _convert_enum(hint: type[Enum], value: Any, path: str) -> Enum:
    try:
        return hint(value)
    except ValueError:
        raise ProtocolError(path, "unknown value") from None


def _convert_sentence(value: Any, path: str) -> Sentence:
    try:
        return sentence_from_json(value)
    except ValueError as error:
        raise ProtocolError(path, str(error)) from None


def _convert_tuple(hint: Any, value: Any, path: str) -> tuple[Any, ...]:
    item_hint = typing.get_args(hint)[0]
    if not isinstance(value, list):
        raise ProtocolError(path, "must be a list")
    return tuple(_convert(item_hint, item, f"{path}[{i}]") for i, item in enumerate(value))


def _convert_fields(cls: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise ProtocolError(path, "must be an object")
    fields = _fields(cls)
    for name in value:
        if name not in fields:
            raise ProtocolError(f"{path}.{name[:40]!a}", "unknown field")
    for name, (_, required) in fields.items():
        if required and name not in value:
            raise ProtocolError(f"{path}.{name}", "missing")
    return cls(**{n: _convert(fields[n][0], item, f"{path}.{n}") for n, item in value.items()})


def _convert_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not hint:
        raise ProtocolError(path, f"must be {hint.__name__}")
    if hint is float and not math.isfinite(value):
        raise ProtocolError(path, "must be finite")
    if hint is str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ProtocolError(path, "must be valid Unicode") from None
    return value


def _check(constraint: Any, value: Any, path: str) -> None:
    if isinstance(constraint, Between) and not constraint.low <= value <= constraint.high:
        raise ProtocolError(path, f"must lie between {constraint.low} and {constraint.high}")
    if isinstance(constraint, MaxLength) and len(value) > constraint.most:
        raise ProtocolError(path, f"must be no longer than {constraint.most}")
    if isinstance(constraint, Matches) and not re.fullmatch(constraint.pattern, value):
        raise ProtocolError(path, f"must match {constraint.pattern}")


_CONVERTERS: dict[Any, Callable[[Any, Any, str], Any]] = {
    typing.Annotated: _convert_annotated,
    typing.Literal: _convert_literal,
    typing.Union: _convert_optional,
    types.UnionType: _convert_optional,
    tuple: _convert_tuple,
}
"""How to read each form of annotation that messages use."""
