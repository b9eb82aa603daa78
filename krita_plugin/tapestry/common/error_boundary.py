"""Methods that tell the artist what goes wrong in them; nothing may be raised into Krita."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

Action = TypeVar("Action", bound=Callable[..., Any])


class Reporter(Protocol):
    """Has a way to tell the artist about an error."""

    def report(self, error: Exception) -> None: ...


def guarded(action: Action) -> Action:
    """A method that reports what goes wrong in it instead of raising."""

    @wraps(action)
    def safe(self: Reporter, *arguments: Any, **options: Any) -> Any:
        try:
            return action(self, *arguments, **options)
        except Exception as error:  # noqa: BLE001  this is where all of them end
            self.report(error)
            return None

    return safe  # type: ignore[return-value]
