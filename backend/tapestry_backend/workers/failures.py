"""What an artist reads when a task raises."""

from __future__ import annotations

import traceback

from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.limits import MAX_SENTENCE_CHARACTERS
from tapestry_protocol.messages import Failed, Request
from tapestry_protocol.sentences import Sentence, as_sentence, quoted

from ..engine.out_of_memory import is_out_of_memory

_MEMORY_SENTENCE = Sentence("There was not enough memory for this picture.")
_MEMORY_ADVICE = Sentence(
    "Close other programs that use the graphics card or much memory, or make the canvas or the "
    "extension smaller, and press the button again."
)
_INTERNAL_SENTENCE = Sentence(
    "Something in Tapestry itself went wrong while painting this picture."
)
_INTERNAL_ADVICE = Sentence(
    "Try once more; if it happens again, please report it with the backend's log, which says where."
)


def failure_of(job_id: str, error: Exception) -> Failed:
    """The message that tells an artist about an exception of a task."""
    if is_out_of_memory(error):
        return Failed(job_id, ErrorCode.OUT_OF_MEMORY, _MEMORY_SENTENCE, _MEMORY_ADVICE)
    if isinstance(error, TapestryError) and not isinstance(error, ProtocolError):
        return Failed(job_id, error.code, _short(error.message), _short(error.advice))
    return Failed(job_id, ErrorCode.INTERNAL, _INTERNAL_SENTENCE, _INTERNAL_ADVICE)


def _short(sentence: Sentence) -> Sentence:
    """One that is too long is cut, in English."""
    is_short = len(sentence) <= MAX_SENTENCE_CHARACTERS
    return sentence if is_short else as_sentence(sentence[:MAX_SENTENCE_CHARACTERS])


def private_traceback(error: Exception, request: Request) -> str:
    """The traceback of an exception without the artist's prompts, for the log."""
    text = "".join(traceback.format_exception(error))
    prompts = {request.prompt, request.negative_prompt, *(r.prompt for r in request.regions)}
    for prompt in sorted(prompts, key=len, reverse=True):
        if prompt.strip():
            for spelling in (prompt, repr(prompt)[1:-1], quoted(prompt)[1:-1]):
                text = text.replace(spelling, "<prompt>")
    return text
