"""Time and memory of a measurement: seconds on a device, bytes at the peak."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

_SAMPLING_S = 0.002


class Clock:
    """Seconds of one device.

    With a single thread on the processor, seconds of its computing time, which other programs do
    not change; on a GPU, and with several threads, seconds on the wall.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        self._read = time.thread_time if alone else time.perf_counter
        self.kind = "processor" if alone else "wall"

    def now(self) -> float:
        """Seconds since some moment, after all that was asked of the device is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        return self._read()


class Peak:
    """The most memory that was taken on top of what was there before, in bytes."""

    def __init__(self) -> None:
        self.taken_bytes = 0


@contextmanager
def watch_memory(device: torch.device) -> Iterator[Peak]:
    """Find the peak of what is computed inside.

    On a GPU by its own allocator; elsewhere by looking at the process every few milliseconds.
    """
    peak = Peak()
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.taken_bytes = torch.cuda.max_memory_allocated(device) - before
        return
    _give_back()
    process = psutil.Process()
    before = process.memory_info().rss
    over = threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLING_S):
            peak.taken_bytes = max(peak.taken_bytes, process.memory_info().rss - before)

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield peak
    finally:
        over.set()
        sampling.join()


def _give_back() -> None:
    """What an allocator keeps of earlier runs would hide what this one takes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
