"""What may compute on a computer, what its PyTorch takes, and the sentences about failed downloads.

The same for the installer of a checkout and for the plugin's own.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Accelerator:
    """A kind of PyTorch.

    label        for a button: short, the same in every language
    build        PyTorch's name of it; "" for the plain one
    fetched_gb   what is fetched, with everything that the backend needs beside PyTorch
    disk_gb      what that becomes, with uv's cache while it is unpacked
    """

    name: str
    label: str
    build: str
    fetched_gb: float
    disk_gb: float


CUDA = Accelerator("an NVIDIA GPU (CUDA)", "CUDA", "cu130", 2.9, 9)
ROCM = Accelerator("an AMD GPU (ROCm)", "ROCm", "rocm7.2", 5, 20)
MPS = Accelerator("Apple silicon (MPS)", "Apple", "", 0.2, 2)
CPU = Accelerator("the CPU", "CPU", "cpu", 0.3, 3)
"""The processor's were measured, with room for unpacking; what is fetched for CUDA is the sum that
the package index states; the others are estimates."""

PROBES = (
    (CUDA, ("nvidia-smi", "-L"), "GPU", ("linux", "win32")),
    (ROCM, ("rocminfo",), "gfx", ("linux",)),
)
"""Kind, the program that its driver brings, a word of its answer, and the systems."""

NETWORK_SIGNS = (
    "ConnectTimeout",
    "Connection refused",
    "Connection reset",
    "Name or service not known",
    "NewConnectionError",
    "ProxyError",
    "ReadTimeout",
    "SSLError",
    "Temporary failure in name resolution",
    "dns error",
    "error sending request",
    "timed out",
    "tunnel",
    "network was disabled",
)
"""In what pip and uv say when the network is away."""

DISK_SIGNS = ("Errno 28", "No space left on device", "not enough space", "os error 112")
"""The same for a full disk; 112 is Windows' number."""


def likely_accelerator() -> Accelerator:
    """What this computer seems to have, without starting a program."""
    if sys.platform == "darwin":
        return MPS
    seen = (kind for kind, (program, *_), _, where in PROBES if _is_there(program, where))
    return next(seen, CPU)


def package_index_accelerator() -> Accelerator:
    """For what the package index itself has PyTorch: on Linux for NVIDIA's cards alone."""
    return CUDA if sys.platform == "linux" else likely_accelerator()


def _is_there(program: str, where: tuple[str, ...]) -> bool:
    return sys.platform in where and shutil.which(program) is not None
