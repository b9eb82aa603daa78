"""How much memory a device has left; what is done with it is decided elsewhere."""

from __future__ import annotations

import psutil
import torch

_SHARE = 0.6
"""Of what is free: others take memory while we work, and allocators leave gaps."""


def spare_bytes(device: torch.device) -> int:
    """What one computation may take on this device, in bytes."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + unused) * _SHARE)
    if device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return int(free * _SHARE)
    return int(psutil.virtual_memory().available * _SHARE)
