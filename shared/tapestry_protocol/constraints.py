"""The constraints that fields of messages carry in their annotations; the codec checks them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Between:
    """A number within these limits, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class MaxLength:
    """A text or tuple of at most this many characters or items."""

    most: int


@dataclass(frozen=True)
class Matches:
    """A text that matches this regular expression as a whole."""

    pattern: str
