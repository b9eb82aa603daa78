"""Values that people write, understood as the fields of messages are annotated; no file formats."""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tapestry_protocol.adapters import Lora
from tapestry_protocol.constraints import Between
from tapestry_protocol.limits import MAX_LORAS


def read_value(message: type, field: str, text: str) -> Any:
    """What `text` means as a value of this field: a number, one of its words, or just a text.

    Raises ValueError with a sentence when it means nothing.
    """
    kind, limits = _kind_of(message, field)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"{text[:40]!r} is none of {', '.join(get_args(kind))}")
        return text
    return _number(kind, limits, text) if limits else text


def words_of(message: type, field: str) -> tuple[str, ...]:
    """The words that this field takes."""
    return get_args(_kind_of(message, field)[0])


def read_loras(text: str) -> tuple[Lora, ...]:
    """LoRAs out of "ink:0.8; grain"; a weight of 1 where none is given.

    Raises ValueError for anything else.
    """
    loras = []
    for part in text.split(";"):
        name, colon, weight = (piece.strip() for piece in part.strip().rpartition(":"))
        adapter = name if colon else part.strip()
        if not adapter:
            raise ValueError(f"{part.strip()[:40]!r} is no LoRA with its weight, such as ink:0.8")
        loras.append(Lora(adapter, read_value(Lora, "weight", weight) if colon else 1.0))
    if len(loras) > MAX_LORAS:
        raise ValueError(f"{text[:40]!r} names {len(loras)} LoRAs, more than {MAX_LORAS}")
    return tuple(loras)


def write_loras(loras: tuple[Lora, ...]) -> str:
    """The text that `read_loras` reads as these."""
    return ";".join(f"{lora.adapter}:{lora.weight}" for lora in loras)


def _number(kind: type, limits: Between, text: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not limits.low <= value <= limits.high:
        raise ValueError(
            f"{text[:40]!r} is no number between {limits.low:g} and {limits.high:.10g}"
        )
    return value


@cache
def _kind_of(message: type, field: str) -> tuple[Any, Between | None]:
    """The type of a field, and its limits when it is a number that has any."""
    annotation = get_type_hints(message, include_extras=True)[field]
    if get_origin(annotation) in {Union, types.UnionType}:
        annotation = next(part for part in get_args(annotation) if part is not types.NoneType)
    if get_origin(annotation) is not Annotated:
        return annotation, None
    kind, *constraints = get_args(annotation)
    return kind, next((limit for limit in constraints if isinstance(limit, Between)), None)
