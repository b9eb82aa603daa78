"""What every training loop shares: device, averaging, saving, stopping."""

from __future__ import annotations

import contextlib
import math
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

# Data sets and training states never lie inside the project.
WORK = Path(tempfile.gettempdir()) / "tapestry-training"


def pick_device() -> torch.device:
    """CUDA where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic with float32 weights."""
    return torch.autocast(device.type, torch.bfloat16)


def seed_all(seed: int) -> None:
    """Makes weights and noise repeatable."""
    torch.manual_seed(seed)


def cosine_rate(step: int, along: int, steps: int, peak: float, warmup: int) -> float:
    """Learning rate: half a cosine over `along` of `steps`, after `warmup` linear steps.

    It ends at two per cent of the peak.
    """
    rising, part = min(1.0, (step + 1) / warmup), min(1.0, along / max(1, steps))
    return peak * rising * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


def progress(step: int, steps: int, elapsed: float, seconds: float) -> int:
    """The step that counts for the learning rate: by steps or by time, whichever is further."""
    return max(step, round(steps * min(1.0, elapsed / seconds)))


class Stopper:
    """Turns Ctrl-C and SIGTERM into a flag, so that a loop can save before it ends."""

    def __init__(self) -> None:
        self.asked = False
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


class Averaged:
    """Exponential moving average of a module's parameters."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {n: p.detach().clone().float() for n, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Moves towards the module's parameters; faster at first, to forget the start."""
        decay = min(self.decay, (1 + step) / (10 + step))
        names = [n for n, _ in module.named_parameters()]
        torch._foreach_lerp_(
            [self.values[n] for n in names], [p.detach() for p in module.parameters()], 1 - decay
        )

    @contextlib.contextmanager
    def swapped(self, module: nn.Module) -> Iterator[None]:
        """Within the block the module holds the averaged parameters."""
        kept = {n: p.detach().clone() for n, p in module.named_parameters()}
        self._put(module, self.values)
        try:
            yield
        finally:
            self._put(module, kept)

    @staticmethod
    @torch.no_grad()
    def _put(module: nn.Module, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in module.named_parameters():
            parameter.copy_(values[name])


def save_state(
    path: Path,
    step: int,
    module: nn.Module,
    averaged: Averaged,
    *optimisers: torch.optim.Optimizer,
) -> None:
    """Writes everything needed to go on; a reader never sees half a file."""
    aside = path.with_suffix(".new")
    torch.save(
        {
            "step": step,
            "module": module.state_dict(),
            "averaged": averaged.values,
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        },
        aside,
    )
    aside.replace(path)


def load_state(
    path: Path, module: nn.Module, averaged: Averaged, *optimisers: torch.optim.Optimizer
) -> int:
    """Takes up a saved state and returns its step; 0 where there is none."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    device = next(module.parameters()).device
    averaged.values = {name: value.to(device) for name, value in state["averaged"].items()}
    for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(kept)
    return int(state["step"])


class ThreadChooser:
    """Keeps the fastest number of processor threads on a machine shared with other programs.

    With a busy neighbour, threads wait for each other at every operation, and fewer are faster.
    """

    def __init__(self, every: int = 60, tries: int = 3) -> None:
        self.most = torch.get_num_threads()
        self.every, self.tries = every, tries
        self.seconds: dict[int, float] = {}
        self.last = time.monotonic()

    def step(self, step: int) -> None:
        """To be called once a step; now and then measures one thread against all of them."""
        now = time.monotonic()
        place, self.last, took = step % self.every, now, now - self.last
        if place == 0:
            self.seconds = {1: float("inf"), self.most: float("inf")}
        if self.most == 1 or place > 2 * self.tries or not self.seconds:
            return
        if place > 0:
            current = torch.get_num_threads()
            self.seconds[current] = min(self.seconds.get(current, took), took)
        if place == 2 * self.tries:
            torch.set_num_threads(min(self.seconds, key=self.seconds.__getitem__))
        else:
            torch.set_num_threads(1 if place < self.tries else self.most)
