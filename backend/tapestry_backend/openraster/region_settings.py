"""What is written about a region beside its name: "weight=2,seed=7"; the same text everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Region
from tapestry_protocol.sentences import quoted

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
    settings, problems = _read(text)
    if problems:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"The settings of the region {quoted(name[:40])} cannot be read: {problems[0]}.",
            "Write for instance weight=2,guidance=7,seed=5,fit=loose,strength=0.6,lora=ink:0.8,"
            "negative=dark.",
        )
    return settings


def read_saved_settings(text: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """What a document says of a region, and a sentence about each setting that makes no sense."""
    settings, problems = _read(text)
    return settings, [
        f"A setting that the file has for the region {quoted(name[:40])} was left out: {problem}."
        for problem in problems
    ]


def _read(text: str) -> tuple[dict[str, Any], list[str]]:
    """The fields that a text sets, and what is wrong with the rest of it."""
    settings: dict[str, Any] = {}
    problems = []
    for part in split_settings(text) if text.strip() else ():
        key, is_setting, value = (piece.strip() for piece in part.partition("="))
        field = _FIELDS.get(key)
        if not is_setting or field is None or field in settings:
            problems.append(f"{quoted(part.strip()[:40])} is no setting, or one that comes twice")
            continue
        try:
            settings[field] = (
                _read_loras(value) if field == "loras" else read_value(Region, field, value)
            )
        except ValueError as error:
            problems.append(f"{key}={error}")
    return settings, problems


def _read_loras(text: str) -> tuple[Lora, ...]:
    """None where nothing is named: so those that a file names are taken off."""
    return read_loras(text) if text else ()


def write_settings(settings: Mapping[str, Any]) -> str:
    """The text that `read_settings` reads as these."""
    written = {**settings}
    if "loras" in written:
        written["loras"] = write_loras(written["loras"])
    return ",".join(f"{key}={written[field]}" for key, field in _FIELDS.items() if field in written)
