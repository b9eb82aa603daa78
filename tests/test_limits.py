"""Every number in limits.py at its edge: one under and the limit itself pass, one over does not."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import struct
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapestry_backend.server.queue.blobs import Blobs
from tapestry_protocol import codec, limits, messages
from tapestry_protocol import fields as fields_room
from tapestry_protocol.adapters import AdapterInfo, Control, Lora
from tapestry_protocol.codec import decode, decode_chunk, encode
from tapestry_protocol.constraints import Between, MaxLength
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.messages import (
    MESSAGES,
    Cancel,
    Failed,
    ModelInfo,
    PixelsRef,
    Region,
    Request,
    Result,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.request_checks import (
    check_canvas,
    check_prompt,
    check_region_count,
    check_request,
)

SHA256 = "ab" * 32
MASK = PixelsRef(1, 1, 1, SHA256)
BOUNDS = Bounds(0, 0, 1, 1)
AREAS = {-1: (8191, 8193), 0: (8192, 8192), 1: (8065, 8321)}
"""Sides whose product is 2**26, one less, and one more."""


def travels(message: Any) -> None:
    """Raises ProtocolError when a message is refused on its way."""
    assert decode(encode(message)) == message


def submit(**fields: Any) -> None:
    """A request with these fields goes over the wire."""
    travels(Submit("a", Request("generate", 64, 64, **fields)))


def region(**fields: Any) -> None:
    """So does a region."""
    submit(regions=(Region("sea", BOUNDS, MASK, **fields),))


def text_frame(size: int) -> None:
    """A text frame of this size."""
    text = encode(Cancel("a"))
    decode(text + " " * (size - len(text)))


def chunk(data: bytes, size_bytes: int) -> None:
    """A chunk at the beginning of a blob of this size."""
    decode_chunk(struct.pack(">32sQQ", bytes(32), 0, size_bytes) + data)


def canvas_area(pixels: int) -> None:
    """A canvas of exactly so many pixels."""
    height, width = AREAS[pixels - limits.MAX_CANVAS_PX]
    assert height * width == pixels
    check_canvas(height, width)


def staged(size: int) -> None:
    """A job whose blobs have so many bytes in all."""
    refs: list[PixelsRef] = []
    while size:
        rows, rest = divmod(min(size, limits.MAX_BLOB_BYTES), 2**14)
        height, width = (rows, 2**14) if rows else (1, rest)
        name = hashlib.sha256(str(len(refs)).encode()).hexdigest()
        refs.append(PixelsRef(height, width, 1, name))
        size -= height * width
    Blobs().claim("job", refs)


def models(count: int) -> None:
    """A welcome with so many models."""
    travels(Welcome(1, "1", tuple(ModelInfo(str(i), "model", 64) for i in range(count))))


def adapters(count: int) -> None:
    """A welcome with so many adapters."""
    travels(Welcome(1, "1", (), tuple(AdapterInfo(str(i), "lora") for i in range(count))))


def control_types(count: int) -> None:
    """A welcome with an adapter that knows so many types."""
    union = AdapterInfo("union", "controlnet", types=("depth",) * count)
    travels(Welcome(1, "1", (), (union,)))


def left_out(count: int) -> None:
    """A welcome with so many sentences about what cannot be used."""
    travels(Welcome(1, "1", (), (), ("It is a pickle.",) * count))


def controls(count: int) -> None:
    """A picture with so many control pictures, half of them for its region."""
    half = (Control("edges", "regions"),) * (count // 2)
    own = Region("sea", BOUNDS, MASK, controls=half)
    rest = (Control("edges", "regions"),) * (count - count // 2)
    check_request(Request("generate", 64, 64, regions=(own,), controls=rest))


def report(length: int) -> None:
    """A result with a report of this length."""
    travels(Result("a", MASK, BOUNDS, 0, "x" * length))


EDGES: dict[str, Callable[[Any], None]] = {
    "MAX_TEXT_FRAME_BYTES": text_frame,
    "MAX_CHUNK_BYTES": lambda n: chunk(bytes(n), limits.MAX_BLOB_BYTES),
    "MAX_BLOB_BYTES": lambda n: chunk(b"x", n),
    "MAX_STAGED_BYTES": staged,
    "MAX_SIDE_PX": lambda n: check_canvas(1, n),
    "MAX_CANVAS_PX": canvas_area,
    "MAX_REGIONS": check_region_count,
    "MAX_PROMPT_CHARACTERS": lambda n: check_prompt("\U0001f308" * n, "the sky"),
    "MAX_STEPS": lambda n: submit(num_inference_steps=n),
    "MAX_GUIDANCE_SCALE": lambda n: submit(guidance_scale=float(n)),
    "MIN_WEIGHT": lambda n: region(weight=n),
    "MAX_WEIGHT": lambda n: region(weight=float(n)),
    "MAX_FEATHER_PX": lambda n: submit(feather_px=n),
    "MAX_UNDER_PX": lambda n: submit(under_px=n),
    "MAX_HARMONISING": lambda n: submit(harmonise=n),
    "MAX_SEED": lambda n: submit(seed=n),
    "MAX_ID_CHARACTERS": lambda n: submit(model="x" * n),
    "MAX_SENTENCE_CHARACTERS": lambda n: travels(Failed("", ErrorCode.INTERNAL, "x" * n)),
    "MAX_REPORT_CHARACTERS": report,
    "MAX_MODELS": models,
    "MAX_LEFT_OUT": left_out,
    "MAX_UPSCALERS": lambda n: travels(Welcome(1, "1", (), upscalers=("4x",) * n)),
    "MAX_ADAPTERS": adapters,
    "MAX_LORAS": lambda n: submit(loras=(Lora("ink"),) * n),
    "MAX_CONTROLS": controls,
    "MAX_CONTROL_TYPES": control_types,
    "MAX_ADAPTER_WEIGHT": lambda n: submit(loras=(Lora("ink", n), Lora("ink", -n))),
}


@pytest.mark.promise("S6")
@pytest.mark.promise("S7")
def test_every_limit_at_its_edge(measured) -> None:
    """Refused with a typed error, and nothing else, from the first value beyond it."""
    for name, take in EDGES.items():
        limit = getattr(limits, name)
        inward = 0.001 if name.startswith("MIN") else -1
        take(limit + inward)
        take(limit)
        with pytest.raises(TapestryError):
            take(limit - inward)
    measured(f"{len(EDGES)} limits, each at, one under and one over")


def fields() -> Iterator[tuple[str, Any, Between | MaxLength]]:
    """Every number and text that a message may hold, with what it may be at most."""
    waiting, seen = list(MESSAGES.values()), set()
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        for name, hint in typing.get_type_hints(kind, include_extras=True).items():
            for part in (hint, *typing.get_args(hint)):
                base, *constraints = typing.get_args(part) or (part,)
                if dataclasses.is_dataclass(base):
                    waiting.append(base)
                for constraint in constraints:
                    if base in (int, float, str) and isinstance(constraint, Between | MaxLength):
                        yield f"{kind.__name__}.{name}", part, constraint


def edges(hint: Any, constraint: Between | MaxLength) -> tuple[list[Any], list[Any]]:
    """Values that just pass, and values that just do not."""
    if isinstance(constraint, MaxLength):
        most = constraint.most
        return ["x" * (most - 1), "x" * most], ["x" * (most + 1)]
    low, high = constraint.low, constraint.high
    if typing.get_args(hint)[0] is int:
        return [low, low + 1, high - 1, high], [low - 1, high + 1]
    inside = [math.nextafter(low, high), math.nextafter(high, low)]
    return [low, high, *inside], [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]


@pytest.mark.promise("S6")
def test_every_field_at_its_edge(measured) -> None:
    """Whatever a message may hold: the last value passes, the next one does not."""
    count = 0
    for path, hint, constraint in fields():
        passing, refused = edges(hint, constraint)
        for value in passing:
            assert codec._convert(hint, value, path) == value
        for value in refused:
            with pytest.raises(ProtocolError):
                codec._convert(hint, value, path)
        count += 1
    assert count > 40
    measured(f"{count} fields of messages, each at, one under and one over")


def test_no_limit_is_left_out() -> None:
    """A number that is added to limits.py wants a test of its edge: here, or in its own room."""
    names = {name for name in vars(limits) if name.startswith(("MAX_", "MIN_"))}
    assert EDGES.keys() <= names
    of_fields = "".join(Path(room.__file__).read_text("utf-8") for room in (messages, fields_room))
    here = Path(__file__)
    rooms = [path.read_text("utf-8") for path in here.parent.rglob("*.py") if path != here]
    for name in names - EDGES.keys():
        assert name in of_fields or any(name in room for room in rooms), f"{name} is not tested"
