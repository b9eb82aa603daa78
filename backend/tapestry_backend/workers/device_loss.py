"""Errors after which a process can use its graphics card no more."""

from __future__ import annotations

DEVICE_LOST = 3
"""The exit status of a worker that has lost its card."""

_STARTS = ("CUDA error", "HIP error", "CUDA driver error", "cuDNN error", "cudnn error")
_TEXTS = (
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_MAPPING_ERROR",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_MAPPING_ERROR",
    "kIOGPUCommandBufferCallbackError",
    "command buffer exited with error status",
)
"""What libraries say when a computation on the card was broken off."""

_HARMLESS = (
    "out of memory",
    "ALLOC_FAILED",
    "NOT_SUPPORTED",
    "invalid argument",
    "no kernel image",
)
"""After these the card works on."""


def is_device_lost(error: BaseException) -> bool:
    """Whether an exception, or what it came from, leaves the card unusable for this process.

    After an illegal access, a failed launch, a card that fell off the bus or a laptop that slept,
    every further call fails, and only another process has the card again.
    """
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        named = type(seen).__name__ in {"AcceleratorError", "RuntimeError"}
        broken = text.startswith(_STARTS) or any(each in text for each in _TEXTS)
        if named and broken and not any(each in text for each in _HARMLESS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
