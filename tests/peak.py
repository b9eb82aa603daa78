"""How far this process' memory rises while something is done, C libraries included; Linux."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def memory_bytes(name: str) -> int:
    """A line of /proc/self/status, such as VmRSS or VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def peak_growth_bytes(act: Callable[[], object]) -> int:
    """The most memory during `act`, above what there was before it."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = memory_bytes("VmRSS")
    act()
    return memory_bytes("VmHWM") - before
