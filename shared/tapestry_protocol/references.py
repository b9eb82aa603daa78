"""Which pictures travel with a message."""

from __future__ import annotations

from .messages import Message, Preview, Result
from .pixels import PixelsRef


def pixels_with(message: Message) -> tuple[PixelsRef, ...]:
    """The pictures whose bytes go right before a message, its own first; each once."""
    if not isinstance(message, Preview | Result):
        return ()
    beside = message.layered.blobs if isinstance(message, Result) and message.layered else ()
    return tuple({ref.sha256: ref for ref in (message.pixels, *beside)}.values())
