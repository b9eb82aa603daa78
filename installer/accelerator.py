"""Which PyTorch this computer needs, and where pip may find it."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys

from installer.console import InstallerError
from tapestry_protocol.accelerators import CPU, MPS, PROBES, TORCH, Accelerator

_INDEX = "https://download.pytorch.org/whl"
_HASTY = ("--retries", "1", "--timeout", "15")
"""An index that is a second choice is not worth pip's usual minutes of patience."""


def torch_sources(machine: Accelerator) -> tuple[tuple[str, ...], ...]:
    """Arguments for `pip install`, to be tried in this order.

    The exact build from wherever this computer's pip looks comes first, so that a mirror or a
    folder of wheels is used and no gigabytes of CUDA are fetched for a computer without a GPU;
    then the same from PyTorch's own index; then whatever the package index has.
    """
    if not machine.build:
        return ((TORCH,),)
    exact = f"{TORCH}+{machine.build}"
    index = ("--extra-index-url", f"{_INDEX}/{machine.build}")
    return (exact,), (exact, *index, *_HASTY), (TORCH,)


def detect() -> Accelerator:
    """The best that this computer has; raises InstallerError where PyTorch does not run at all."""
    if sys.platform == "darwin":
        if platform.machine() != "arm64":
            raise InstallerError(
                "PyTorch is no longer made for Macs with Intel processors.",
                "Run Tapestry on a Mac with Apple silicon, or on Linux or Windows.",
            )
        return MPS
    found = (
        kind
        for kind, command, sign, where in PROBES
        if sys.platform in where and _says(*command, sign=sign)
    )
    return next(found, CPU)


def _says(*command: str, sign: str) -> bool:
    """Whether a program exists, succeeds, and its output holds `sign`."""
    if shutil.which(command[0]) is None:
        return False
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=20, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return finished.returncode == 0 and sign in finished.stdout
