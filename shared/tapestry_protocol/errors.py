"""Error codes and the one tree of errors that crosses the wire.

TapestryError                 something an artist can meet: a code, a sentence, and what to do next
 +- ProtocolError             bytes or values that are not a message of this protocol
"""

from __future__ import annotations

from enum import Enum

from .sentences import as_sentence


class ErrorCode(str, Enum):
    """What went wrong, as a code that both sides share."""

    BAD_REQUEST = "bad_request"
    BUSY = "busy"
    CONFLICT = "conflict"
    DELIVERED = "delivered"
    INTERNAL = "internal"
    MODEL_BROKEN = "model_broken"
    MODEL_NOT_FOUND = "model_not_found"
    NOT_FINITE = "not_finite"
    OUT_OF_MEMORY = "out_of_memory"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
    UNKNOWN_JOB = "unknown_job"
    VERSION = "version"
    WORKER_LOST = "worker_lost"


class TapestryError(Exception):
    """An error with a code, a sentence saying what is wrong, and advice saying what to do next."""

    def __init__(self, code: ErrorCode, message: str, advice: str = "") -> None:
        self.message, self.advice = as_sentence(message), as_sentence(advice)
        super().__init__(self.message)
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class ProtocolError(TapestryError):
    """What arrived, or was about to be sent, is not a message of this protocol."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(ErrorCode.PROTOCOL, f"{path}: {problem}")
        self.path = path
        self.problem = problem
