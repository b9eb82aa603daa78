"""JSON that was kept earlier, by us or by another; what cannot be read is left out."""

from __future__ import annotations

import json
from typing import Any


def read_kept(text: str) -> Any:
    """What a text says; None where it is empty, damaged, or nested without end."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def is_shallow(value: Any, levels: int = 16) -> bool:
    """Whether a value is nested less deep than this, so that it can be written again."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(one, levels - 1) for one in inner)


def same_kind(value: Any, default: Any) -> Any:
    """A value of the default's type: whole numbers may stand for others; None for all else."""
    if isinstance(default, float) and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    return value if type(value) is type(default) else None
