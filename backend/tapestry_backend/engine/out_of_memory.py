"""Out-of-memory detection and retry: the same with less."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_TEXTS = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""What torch's allocators and libraries say where they raise a bare RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there was not enough memory, from any library."""
    # By name, so that asking does not import torch.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS))
    )


def attempt(compute: Callable[[], T]) -> tuple[T] | None:
    """What `compute` gives, in a tuple; None when memory ran out, with all it took free again."""
    try:
        return (compute(),)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only here, where the exception is gone, do its frames let their tensors go.
    release()
    return None


def release() -> None:
    """Give back what is no longer used and only kept for the next one."""
    gc.collect(1)  # what has just been made and is held by itself; the old would take long
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    elif torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
