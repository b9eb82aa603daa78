"""What pip's failures mean, and which PyTorch is installed."""

from __future__ import annotations

import pytest

from installer import accelerator, pip
from tapestry_protocol.accelerators import CPU, CUDA, MPS, ROCM, Accelerator

FULL_DISK = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left"
OFFLINE = """\
WARNING: Retrying after connection broken by NewConnectionError
ERROR: No matching distribution found for torch==2.13.0
"""


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (FULL_DISK, "disk is full"),
        (OFFLINE, "cannot be reached"),
        ("ERROR: No matching distribution found for nothing==1", "nothing==1"),
        ("", "gave no reason"),
    ],
)
def test_failures_are_sentences_with_the_log(output: str, sentence: str) -> None:
    """Pip's output is in the log, and not in the way."""
    error = pip.explain(output)
    assert sentence in str(error)
    assert "installer.log" in str(error)


@pytest.mark.parametrize("machine", [CPU, CUDA, ROCM, MPS])
def test_every_source_of_torch_is_the_pinned_release(machine: Accelerator) -> None:
    """The exact build first, wherever pip looks; the plain release last."""
    sources = accelerator.torch_sources(machine)
    assert all(source[0].startswith(accelerator.TORCH) for source in sources)
    assert sources[-1] == (accelerator.TORCH,)


def test_no_gigabytes_of_cuda_without_a_gpu() -> None:
    """The CPU build is tried twice before anything larger may be taken."""
    first, second, _ = accelerator.torch_sources(CPU)
    assert first == ("torch==2.13.0+cpu",)
    assert second[0] == "torch==2.13.0+cpu"
    assert second[second.index("--extra-index-url") + 1].endswith("/whl/cpu")


def test_a_driver_that_does_not_answer_is_no_gpu() -> None:
    """Programs that are missing, or fail, or say something else."""
    assert not accelerator._says("no-such-program-here", sign="GPU")
    assert not accelerator._says("false", sign="")
    assert not accelerator._says("echo", "No devices were found", sign="GPU")
    assert accelerator._says("echo", "GPU 0: something", sign="GPU")
