"""What is written about a control picture: "layer=sketch,show=lines,weight=0.8"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tapestry_protocol.adapters import MAPS, Control
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.sentences import quoted

from ..values import read_value

_FIELDS = {
    "weight": "weight",
    "start": "start",
    "end": "end",
    "show": "preprocessor",
    "type": "control_type",
}
"""What people write -> the control's field."""

_PLACES = ("layer", "region")
_NEXT = re.compile(r",(?=\s*\w+\s*=)")
"""A comma that begins another setting; those inside of a layer's name do not."""


@dataclass(frozen=True)
class ControlWish:
    """A control picture before it is found: which layer, and for which region alone, if any."""

    adapter: str
    layer: str = ""
    region: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


def read_control(adapter: str, text: str) -> ControlWish:
    """What a text says about a control picture; raises TapestryError when it makes no sense."""
    places: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for part in _NEXT.split(text) if text.strip() else ():
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key in _PLACES and value and key not in places:
            places[key] = plain_name(value)
            continue
        name = _FIELDS.get(key)
        if name is None or name in fields:
            raise _refused(
                adapter, f"{quoted(part.strip()[:40])} is no setting, or one that comes twice"
            )
        try:
            fields[name] = read_value(Control, name, value)
        except ValueError as error:
            raise _refused(adapter, f"{key}={error}") from None
    if ("layer" in places) == (fields.get("preprocessor") in MAPS):
        raise _refused(adapter, "it names no layer to be shown, or one beside the map of regions")
    return ControlWish(adapter, fields=fields, **places)


def _refused(adapter: str, problem: str) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"The settings of the control picture for {quoted(adapter[:40])} cannot be read: "
        f"{problem}.",
        "Write for instance layer=sketch,show=lines,weight=0.8,start=0,end=0.6,region=red bricks; "
        "show is one of none, lines, canny, soft_edges, regions, ade20k; type=depth says of what "
        "type the picture is, to a ControlNet of several.",
    )
