"""Which errors leave a process without its graphics card."""

from __future__ import annotations

import pytest
import torch

from tapestry_backend.workers.device_loss import is_device_lost

LOST = [
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported",
    "CUDA error: unspecified launch failure",
    "CUDA error: device-side assert triggered",
    "CUDA error: unknown error",
    "CUDA error: the launch timed out and was terminated",
    "CUDA error: misaligned address",
    "CUDA error: uncorrectable ECC error encountered",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "HIP error: unspecified launch failure",
    "MPS: command buffer exited with error status. kIOGPUCommandBufferCallbackErrorHang",
]
KEPT = [
    "CUDA error: out of memory",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
    "CUDA error: invalid argument",
    "CUDA error: no kernel image is available for execution on the device",
    "mat1 and mat2 shapes cannot be multiplied",
]


@pytest.mark.parametrize("text", LOST)
def test_after_these_nothing_works_any_more(text: str) -> None:
    """Also where a sentence of ours, or a library's, was made of one."""
    assert is_device_lost(RuntimeError(text))
    assert is_device_lost(torch.AcceleratorError(text))
    sentence = ValueError("the model cannot be loaded")
    sentence.__cause__ = RuntimeError(text)
    assert is_device_lost(sentence)


@pytest.mark.parametrize("text", KEPT)
def test_after_these_the_card_works_on(text: str) -> None:
    """The job fails, and the worker stays."""
    assert not is_device_lost(RuntimeError(text))


def test_a_texts_own_words_are_no_error_of_the_card() -> None:
    """A prompt may say anything."""
    assert not is_device_lost(ValueError("CUDA error: unknown error"))
