"""The memory that a device has left, and how it is taken."""

from __future__ import annotations

import ctypes
import math
import sys

import psutil
import torch

_SHARE = 0.6
"""Share of free memory that is used: others take some meanwhile, and allocators leave gaps."""

_WORK_BYTES = 2**30
"""What is left of a card for one window's work, beside all weights."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 512 * 2**20
_LARGE_BYTES = 32 * 2**20
"""What a C library calls its settings, and the values that pay; 32 MiB is the most it takes."""


def keep_memory() -> None:
    """Let this process keep what it frees, up to half a GiB, for the next layer of a model.

    Otherwise every activation of some megabytes comes from the system anew, page by page: an
    eighth of the time of a U-Net. Where the C library has no such setting, nothing changes.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def free_and_total_bytes(device: torch.device) -> tuple[int, int]:
    """What a device has left just now, and what it has in all."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    if device.type == "mps":
        total = torch.mps.recommended_max_memory()
        return total - torch.mps.driver_allocated_memory(), total
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def free_for_weights(device: torch.device) -> float:
    """What a graphics card holds of weights besides a picture's work; others have no limit."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return math.inf
    free, _ = free_and_total_bytes(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + kept - _WORK_BYTES


def spare_bytes(device: torch.device) -> int:
    """What one computation may take on this device, in bytes."""
    free, _ = free_and_total_bytes(device)
    if device.type == "cuda":
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free * _SHARE)


def host_bytes() -> int:
    """What this computer can still hold, on its disk too where it swaps."""
    return psutil.virtual_memory().available + psutil.swap_memory().free
