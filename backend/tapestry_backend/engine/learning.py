"""Learning from a picture: random windows of its latents, a loss over what counts, an optimiser.

What is learned is tensors by name: an embedding, or the factors of a LoRA. A step depends on its
number and on what was learned before it, on nothing else: a run that was stopped goes on as if it
had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .noise_schedule import SamplingStep
from .windows import Size, Window, crop

_LONGEST_GRADIENT = 1.0
"""Longer ones are cut to it: a window of nothing but noise may ask for too much at once."""

_LOSS_SCALE = 2.0**12
"""Of losses in half precision, whose gradients would round to zero; halved where it is too much."""

_FIRST, _SECOND = ".first", ".second"
"""How the moments of the optimiser are called, behind the name of what it moves."""


class Lesson(NamedTuple):
    """What a model is shown at one step of learning, in B rows; each is a window of its own.

    noisy, wanted   [B, C, h, w]: latents behind noise, and what it ought to predict for them
    timesteps       [B]: the model's input
    counts          [B, 1, h, w] in 0..1: how much of each cell is to be learned
    """

    noisy: Tensor
    wanted: Tensor
    timesteps: Tensor
    counts: Tensor
    windows: tuple[Window, ...]

    def parts(self, most: int) -> Iterator[Lesson]:
        """The same in lessons of at most so many rows."""
        for start in range(0, len(self.windows), most):
            rows = slice(start, start + most)
            yield Lesson(
                self.noisy[rows],
                self.wanted[rows],
                self.timesteps[rows],
                self.counts[rows],
                self.windows[rows],
            )

    def loss(self, predicted: Tensor) -> Tensor:
        """The mean square error [] of predictions [B, C, h, w], over what counts."""
        error = (predicted.float() - self.wanted) ** 2 * self.counts
        return error.sum() / (self.counts.sum() * error.shape[1])


class Lessons:
    """What is to be learned of a picture, one lesson for each step.

    clean     [1, C, H, W]: its latents, in the scale of the model's input
    counts    [H, W] in 0..1: how much of each cell is to be learned, anything of one at least;
              windows lie where there is some
    window    what a row shows, no larger than the canvas
    levels    the noise levels that the model was trained with
    rows      of each lesson; their levels are spread over all that there are
    """

    def __init__(
        self,
        clean: Tensor,
        counts: Tensor,
        window: Size,
        levels: Sequence[SamplingStep],
        *,
        rows: int,
        seed: int,
    ) -> None:
        self._clean = clean
        self._counts = counts.to(clean)
        self._places = torch.nonzero(counts.cpu() > 0)
        self._window = window
        self._levels = levels
        self._rows = rows
        self._seed = seed

    def at(self, number: int) -> Lesson:
        """The lesson of a step; the same every time."""
        # Seeds beside each other begin alike; a stride that is prime tells them apart.
        generator = torch.Generator("cpu").manual_seed(self._seed + 1_000_003 * number)
        windows = tuple(self._some_window(generator) for _ in range(self._rows))
        shares = (torch.arange(self._rows) + torch.rand(self._rows, generator=generator)).div(
            self._rows
        )
        levels = [self._levels[int(share * len(self._levels))] for share in shares]
        clean = torch.cat([crop(self._clean, window) for window in windows])
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        alpha, sigma = (
            torch.tensor(values).to(clean)[:, None, None, None]
            for values in ([level.alpha for level in levels], [level.sigma for level in levels])
        )
        noisy = alpha * clean + sigma * noise
        rows = zip(levels, clean, noisy, strict=True)
        wanted = torch.stack([level.prediction(*row) for level, *row in rows])
        timesteps = torch.stack([level.timestep for level in levels])
        counts = torch.stack([crop(self._counts, window)[None] for window in windows])
        return Lesson(noisy, wanted, timesteps.to(clean.device), counts, windows)

    def _some_window(self, generator: torch.Generator) -> Window:
        """One around a random cell that counts."""
        number = torch.randint(len(self._places), (1,), generator=generator)
        starts = []
        for place, side, length in zip(
            self._places[number[0]].tolist(), self._window, self._counts.shape, strict=True
        ):
            first, last = max(0, place - side + 1), min(place, length - side)
            starts.append(int(torch.randint(first, last + 1, (1,), generator=generator)))
        top, left = starts
        return Window(top, left, top + self._window.height, left + self._window.width)


class Learner:
    """Adam (Kingma and Ba 2015) over tensors by name, which it changes in place.

    is_half: whether the model computes in half precision; the tensors are in single.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], rate: float, *, is_half: bool = False
    ) -> None:
        self.tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
        self.steps_done = 0
        self._adam = torch.optim.Adam(self.tensors.values(), lr=rate)
        device = next(iter(self.tensors.values())).device.type
        self._scaler = torch.amp.GradScaler(device, init_scale=_LOSS_SCALE, enabled=is_half)

    def learn(self, lesson: Lesson, loss_of: Callable[[Lesson], Tensor], most_rows: int) -> float:
        """One step; gives the loss. No more rows than `most_rows` go through the model at once.

        A loss that is not finite changes nothing. Raises what `loss_of` raises, before any change.
        """
        self._adam.zero_grad(set_to_none=True)
        total = 0.0
        for part in lesson.parts(most_rows):
            share = part.counts.sum() / lesson.counts.sum()
            loss = loss_of(part) * share
            self._scaler.scale(loss).backward()
            total += loss.item()
        if not torch.isfinite(torch.tensor(total)):
            return total
        self._scaler.unscale_(self._adam)
        torch.nn.utils.clip_grad_norm_(self.tensors.values(), _LONGEST_GRADIENT)
        self._scaler.step(self._adam)
        self._scaler.update()
        self.steps_done += 1
        return total

    def state(self) -> dict[str, Tensor]:
        """All that another one needs to go on from here, but for `steps_done`."""
        found = {name: tensor.detach() for name, tensor in self.tensors.items()}
        for name, tensor in self.tensors.items():
            moments = self._adam.state.get(tensor)
            if moments:
                found[name + _FIRST] = moments["exp_avg"]
                found[name + _SECOND] = moments["exp_avg_sq"]
        return found

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Go on from such a state."""
        self.steps_done = steps_done
        for name, tensor in self.tensors.items():
            tensor.copy_(state[name])
            if name + _FIRST in state:
                self._adam.state[tensor] = {
                    "step": torch.tensor(float(steps_done)),
                    "exp_avg": state[name + _FIRST].to(tensor),
                    "exp_avg_sq": state[name + _SECOND].to(tensor),
                }
