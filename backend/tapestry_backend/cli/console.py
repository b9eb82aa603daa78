"""What a command says, on streams that may be narrow, closed or full; for all commands alike.

Commands use `print`, `sys.stdout` and `sys.stderr` as ever. Their output must arrive;
remarks beside it may be lost, and the work goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

CANNOT_SAY = 2
"""The exit status when what was asked for cannot be written."""


class OutputLostError(Exception):
    """Standard output does not take what a command has to say."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def steadily(command: Callable[[], int]) -> int:
    """Run a command, and give its exit status, whatever its streams are.

    A character that a stream cannot encode is written as its number. Who has closed the pipe
    has read enough; a full disk is reported.
    """
    output, remarks = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Output(output), _Remarks(remarks)
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except OutputLostError as lost:
        _to_nowhere(output)
        if isinstance(lost.cause, BrokenPipeError):
            return 0
        reason = getattr(lost.cause, "strerror", None) or lost
        sys.stderr.write(f"tapestry: What was asked for cannot be written here ({reason}).\n")
        return CANNOT_SAY
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = output, remarks


class _SafeStream:
    """A text stream that writes what it cannot encode as numbers; None stands for no stream."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._write_numbers(self._stream, text)
            except (OSError, ValueError) as error:  # ValueError: it is closed
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def _write_numbers(self, stream: TextIO, text: str) -> None:
        encoding = stream.encoding or "ascii"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        raise NotImplementedError


class _Output(_SafeStream):
    """Standard output: what is lost is an error."""

    def _lose(self, error: Exception) -> None:
        raise OutputLostError(error) from error


class _Remarks(_SafeStream):
    """Standard error: when it is gone, there is no stream left to complain on."""

    def _lose(self, _error: Exception) -> None:
        _to_nowhere(self._stream)
        self._stream = None


def _to_nowhere(stream: TextIO | None) -> None:
    """Have what a stream still holds go nowhere; else Python complains about it as it ends."""
    if stream is None:
        return
    with suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
