"""What is written about a region beside its name: "weight=2,seed=7"; the same text everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Region

from ..values import read_loras, read_value, split_settings, write_loras

_FIELDS = {
    "weight": "weight",
    "guidance": "guidance_scale",
    "seed": "seed",
    "fit": "fit",
    "strength": "strength",
    "lora": "loras",
    "negative": "negative_prompt",
}
"""What people write -> the region's field."""


def read_settings(text: str, name: str) -> dict[str, Any]:
    """The fields of a region that a text sets; `name` is the region's, for the error.

    Raises TapestryError when it sets something else, or to something that it cannot be.
    """
    settings: dict[str, Any] = {}
    for part in split_settings(text) if text.strip() else ():
        key, is_setting, value = (piece.strip() for piece in part.partition("="))
        field = _FIELDS.get(key)
        if not is_setting or field is None or field in settings:
            raise _refused(name, f"{part.strip()[:40]!r} is no setting, or one that comes twice")
        try:
            settings[field] = (
                read_loras(value) if field == "loras" else read_value(Region, field, value)
            )
        except ValueError as error:
            raise _refused(name, f"{key}={error}") from None
    return settings


def write_settings(settings: Mapping[str, Any]) -> str:
    """The text that `read_settings` reads as these."""
    written = {**settings}
    if "loras" in written:
        written["loras"] = write_loras(written["loras"])
    return ",".join(f"{key}={written[field]}" for key, field in _FIELDS.items() if field in written)


def _refused(name: str, problem: str) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"The settings of the region {name[:40]!r} cannot be read: {problem}.",
        "Write for instance weight=2,guidance=7,seed=5,fit=loose,strength=0.6,lora=ink:0.8,"
        "negative=dark.",
    )
