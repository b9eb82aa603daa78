"""How much memory a device has left; what is done with it is decided elsewhere."""

from __future__ import annotations

import psutil
import torch

_SHARE = 0.6
"""Of what is free: others take memory while we work, and allocators leave gaps."""


def free_and_total_bytes(device: torch.device) -> tuple[int, int]:
    """What a device has left just now, and what it has in all."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    if device.type == "mps":
        total = torch.mps.recommended_max_memory()
        return total - torch.mps.driver_allocated_memory(), total
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def spare_bytes(device: torch.device) -> int:
    """What one computation may take on this device, in bytes."""
    free, _ = free_and_total_bytes(device)
    if device.type == "cuda":
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free * _SHARE)
