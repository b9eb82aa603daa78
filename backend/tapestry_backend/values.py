"""Values that people write, understood as the fields of messages are annotated."""

from __future__ import annotations

import re
import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tapestry_protocol.adapters import Lora
from tapestry_protocol.constraints import Between
from tapestry_protocol.limits import MAX_LORAS
from tapestry_protocol.sentences import quoted

_QUOTED = r'"(?:[^"\\]|\\.)*"'


def read_value(message: type, field: str, text: str) -> Any:
    """What `text` means as a value of this field: a number, one of its words, or just a text.

    Raises ValueError with a sentence when it means nothing.
    """
    kind, limits = _kind_of(message, field)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            known = ", ".join(filter(None, get_args(kind)))
            raise ValueError(f"{quoted(text[:40])} is none of {known}")
        return text
    return _number(kind, limits, text) if limits else text


def words_of(message: type, field: str) -> tuple[str, ...]:
    """The words that this field takes."""
    return get_args(_kind_of(message, field)[0])


def split_settings(text: str) -> list[str]:
    """The settings in "weight=2,lora=ink:0.8"; a comma that begins none, or is quoted, is text."""
    return _split(text, r",(?=\s*\w+\s*=)")


def read_loras(text: str) -> tuple[Lora, ...]:
    """LoRAs out of "ink:0.8; grain"; a weight of 1 where none is given.

    A name that has one of these signs in it stands in double quotes: "half; full":0.8. Raises
    ValueError for anything else.
    """
    loras = []
    for part in (part.strip() for part in _split(text, ";")):
        if match := re.fullmatch(f"({_QUOTED})\\s*(?:(:)(.*))?", part):
            adapter, colon, weight = re.sub(r"\\(.)", r"\1", match[1][1:-1]), match[2], match[3]
        else:
            name, colon, weight = part.rpartition(":")
            adapter = name.strip() if colon else part
        if not adapter:
            raise ValueError(f"{quoted(part[:40])} is no LoRA with its weight, such as ink:0.8")
        value = read_value(Lora, "weight", weight.strip()) if colon else 1.0
        loras.append(Lora(adapter, value))
    if len(loras) > MAX_LORAS:
        raise ValueError(f"{quoted(text[:40])} names {len(loras)} LoRAs, more than {MAX_LORAS}")
    return tuple(loras)


def write_loras(loras: tuple[Lora, ...]) -> str:
    """The text that `read_loras` reads as these."""
    return ";".join(f"{_quoted(lora.adapter)}:{lora.weight}" for lora in loras)


def _split(text: str, separator: str) -> list[str]:
    """A text at each separator that is not in quotes."""
    parts = [""]
    for found in re.finditer(f"(?P<quoted>{_QUOTED})|(?P<end>{separator})|.", text, re.DOTALL):
        if found["end"] is not None:
            parts.append("")
        else:
            parts[-1] += found[0]
    return parts


def _quoted(name: str) -> str:
    """A name, in quotes where it would be read as something else without."""
    if not re.search(r'[;:,="\\]', name) and name == name.strip():
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _number(kind: type, limits: Between, text: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not limits.low <= value <= limits.high:
        raise ValueError(
            f"{quoted(text[:40])} is no number between {limits.low:g} and {limits.high:.10g}"
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
