"""What an artist reads when a task raises, and what the log may say."""

import pytest
import torch

from tapestry_backend.workers.failures import failure_of, private_traceback
from tapestry_protocol.codec import encode
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds


def test_an_artists_error_is_told_as_it_is() -> None:
    """Code, sentence and advice of a TapestryError reach the artist."""
    failure = failure_of("a", TapestryError(ErrorCode.TOO_LARGE, "Too large.", "Make it smaller."))
    assert (failure.code, failure.message) == (ErrorCode.TOO_LARGE, "Too large.")
    assert failure.advice == "Make it smaller."


def test_a_sentence_that_is_too_long_is_cut() -> None:
    """A long message must not keep the failure from being sent."""
    encode(failure_of("a", TapestryError(ErrorCode.MODEL_BROKEN, "x" * 10_000, "y" * 10_000)))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    ],
    ids=["python", "cuda", "cpu", "apple", "cublas"],
)
def test_out_of_memory_comes_with_advice(error: Exception) -> None:
    """Every way in which memory runs out gets the same code and advice."""
    failure = failure_of("a", error)
    assert failure.code is ErrorCode.OUT_OF_MEMORY
    assert failure.advice


def test_torch_really_says_what_we_look_for() -> None:
    """The CPU allocator's error is known by its text alone; this is that text."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert failure_of("a", raised.value).code is ErrorCode.OUT_OF_MEMORY


@pytest.mark.parametrize("error", [KeyError("secret"), ProtocolError("result", "too long")])
def test_our_own_mistakes_show_no_details(error: Exception) -> None:
    """An unexpected exception is one plain sentence for the artist."""
    failure = failure_of("a", error)
    assert failure.code is ErrorCode.INTERNAL
    assert "secret" not in failure.message + failure.advice
    assert "too long" not in failure.message + failure.advice


def test_the_log_shows_where_but_not_what_the_artist_wrote() -> None:
    """A traceback for the log holds no prompt, in no spelling."""
    mask = PixelsRef(1, 1, 1, "0" * 64)
    request = Request(
        "generate",
        64,
        64,
        prompt="my grandmother's house",
        negative_prompt="rain\non the roof",
        regions=(Region("a secret garden", Bounds(0, 0, 1, 1), mask),),
    )
    words = [request.prompt, request.negative_prompt, request.regions[0].prompt]
    with pytest.raises(ValueError, match="house") as raised:
        raise ValueError(words, f"{request.prompt} and {request.negative_prompt}")
    text = private_traceback(raised.value, request)
    assert "ValueError" in text
    assert "test_failures.py" in text
    for word in ("grandmother", "rain", "garden"):
        assert word not in text
