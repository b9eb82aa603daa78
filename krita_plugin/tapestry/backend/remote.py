"""A server on another computer, behind a tunnel: all we have of it is a copy of its runtime file.

The tunnel makes the server's port one of this computer's own, so the copy is right as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.runtime import RuntimeInfo, read_runtime_file
from tapestry_protocol.sentences import Sentence, quoted

VARIABLE = "TAPESTRY_SERVER_FILE"
"""An environment variable with the path of the copy."""


class RemoteBackend:
    """A server that we can neither start nor watch."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self) -> RuntimeInfo | None:
        """The runtime file's copy, if it is there and readable by this user alone."""
        return read_runtime_file(self._file)

    def start(self) -> None:
        """Raises TapestryError: it has to be started on the other computer."""
        raise self.why_it_ended()

    def has_ended(self) -> bool:
        """It never was ours."""
        return True

    def why_it_ended(self) -> TapestryError:
        """What to tell the artist when it cannot be reached."""
        if self.find() is None:
            return TapestryError(
                ErrorCode.INTERNAL,
                Sentence(
                    "{file} does not say how to reach the backend on the other computer, or "
                    "others can read it.",
                    file=quoted(self._file),
                ),
                "Copy the backend's runtime file there again, for your eyes alone (mode 600).",
            )
        return TapestryError(
            ErrorCode.INTERNAL,
            "The backend on the other computer cannot be reached.",
            Sentence(
                "Start it there, copy its new runtime file to {file}, open the tunnel, and "
                "press the button again.",
                file=quoted(self._file),
            ),
        )


def server_file_of(setting: str, environment: Mapping[str, str]) -> str:
    """Where the artist's settings say that the copy is; empty: the backend is on this computer."""
    texts = (setting, environment.get(VARIABLE, ""))
    return next((text.strip() for text in texts if text.strip()), "")
