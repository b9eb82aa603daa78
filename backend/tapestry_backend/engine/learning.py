"""Learning from pictures: random windows of latents, a loss over what counts, an optimiser.

What is learned is tensors by name: an embedding, or the factors of a LoRA. A step depends on its
number and on what was learned before it, on nothing else: a run that was stopped goes on as if it
had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .noise_schedule import SamplingStep
from .windows import Size, Window, crop

_LONGEST_GRADIENT = 1.0
"""Longer ones are cut to it: a window of nothing but noise may ask for too much at once."""

_LOSS_SCALE = 2.0**12
"""Of losses in half precision, whose gradients would round to zero; halved where it is too much."""

_CALLED = {"exp_avg": ".first", "exp_avg_sq": ".second"}
"""How the moments of the optimiser are called, behind the name of what it moves."""


class Shown(NamedTuple):
    """A picture to learn from.

    clean     [1, C, H, W]: its latents, in the scale of the model's input
    counts    [H, W] in 0..1: how much of each cell is to be learned, anything of one at least;
              windows lie where there is some
    text      the number of its text; `engine` does not know texts
    """

    clean: Tensor
    counts: Tensor
    text: int = 0


class Lesson(NamedTuple):
    """What a model is shown at one step of learning, in B rows; each is a window of its own.

    noisy, wanted   [B, C, h, w]: latents behind noise, and what it ought to predict for them
    timesteps       [B]: the model's input
    counts          [B, 1, h, w] in 0..1: how much of each cell is to be learned
    windows, texts  where each row lies in its picture, and the number of that picture's text
    """

    noisy: Tensor
    wanted: Tensor
    timesteps: Tensor
    counts: Tensor
    windows: tuple[Window, ...]
    texts: tuple[int, ...]

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
                self.texts[rows],
            )

    def loss(self, predicted: Tensor) -> Tensor:
        """The mean square error [] of predictions [B, C, h, w], over what counts."""
        error = (predicted.float() - self.wanted) ** 2 * self.counts
        return error.sum() / (self.counts.sum() * error.shape[1])


class Lessons:
    """What is to be learned of pictures, one lesson for each step.

    shown     each is drawn as often as any other
    window    what a row shows, no larger than any picture
    levels    the noise levels that the model was trained with
    rows      of each lesson; their levels are spread over all that there are
    """

    def __init__(
        self,
        shown: Sequence[Shown],
        window: Size,
        levels: Sequence[SamplingStep],
        *,
        rows: int,
        seed: int,
    ) -> None:
        self._shown = [each._replace(counts=each.counts.to(each.clean)) for each in shown]
        self._places = [torch.nonzero(each.counts.cpu() > 0) for each in shown]
        self._window = window
        self._levels = levels
        self._rows = rows
        self._seed = seed

    def at(self, number: int) -> Lesson:
        """The lesson of a step; the same every time."""
        # Seeds beside each other begin alike; a stride that is prime tells them apart.
        generator = torch.Generator("cpu").manual_seed(self._seed + 1_000_003 * number)
        chosen = [self._some_picture(generator) for _ in range(self._rows)]
        windows = tuple(self._some_window(picture, generator) for picture in chosen)
        shares = (torch.arange(self._rows) + torch.rand(self._rows, generator=generator)).div(
            self._rows
        )
        levels = [self._levels[int(share * len(self._levels))] for share in shares]
        shown = [self._shown[picture] for picture in chosen]
        cut = list(zip(shown, windows, strict=True))
        clean = torch.cat([crop(each.clean, window) for each, window in cut])
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        alpha, sigma = (
            torch.tensor(values).to(clean)[:, None, None, None]
            for values in ([level.alpha for level in levels], [level.sigma for level in levels])
        )
        noisy = alpha * clean + sigma * noise
        rows = zip(levels, clean, noisy, strict=True)
        wanted = torch.stack([level.prediction(*row) for level, *row in rows])
        timesteps = torch.stack([level.timestep for level in levels])
        counts = torch.stack([crop(each.counts, window)[None] for each, window in cut])
        texts = tuple(each.text for each in shown)
        return Lesson(noisy, wanted, timesteps.to(clean.device), counts, windows, texts)

    def _some_picture(self, generator: torch.Generator) -> int:
        """Its number. One alone is not drawn, so that what was learned of one stays the same."""
        count = len(self._shown)
        return int(torch.randint(count, (1,), generator=generator)) if count > 1 else 0

    def _some_window(self, picture: int, generator: torch.Generator) -> Window:
        """One around a random cell that counts."""
        places = self._places[picture]
        number = torch.randint(len(places), (1,), generator=generator)
        starts = []
        for place, side, length in zip(
            places[number[0]].tolist(), self._window, self._shown[picture].counts.shape, strict=True
        ):
            first, last = max(0, place - side + 1), min(place, length - side)
            starts.append(int(torch.randint(first, last + 1, (1,), generator=generator)))
        top, left = starts
        return Window(top, left, top + self._window.height, left + self._window.width)


class Learner:
    """AdamW (Loshchilov and Hutter 2019) over tensors by name, which it changes in place.

    rate      of all, but for those that `rates` names
    decay     how much of a tensor goes with each step, in parts of its rate; 0: it is Adam
    is_half   whether the model computes in half precision; the tensors are in single
    optimiser    another one than AdamW of torch; it takes the same
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        rate: float,
        *,
        rates: Mapping[str, float] | None = None,
        decay: float = 0.0,
        is_half: bool = False,
        optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    ) -> None:
        self.tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
        self.steps_done = 0
        groups = [
            {"params": [tensor], "lr": (rates or {}).get(name, rate)}
            for name, tensor in self.tensors.items()
        ]
        self._adam = optimiser(groups, weight_decay=decay)
        device = next(iter(self.tensors.values())).device.type
        self._scaler = torch.amp.GradScaler(device, init_scale=_LOSS_SCALE, enabled=is_half)

    def learn(
        self, lesson: Lesson, loss_of: Callable[[Lesson], Tensor], most_rows: int, *more: Lesson
    ) -> float:
        """One step; gives the loss. No more rows than `most_rows` go through the model at once.

        more: lessons whose losses are added to that of the first, such as what a model shall not
        forget (Ruiz et al. 2023). A loss that is not finite changes nothing. Raises what `loss_of`
        raises, before any change.
        """
        self._adam.zero_grad(set_to_none=True)
        total = 0.0
        for each in (lesson, *more):
            for part in each.parts(most_rows):
                share = part.counts.sum() / each.counts.sum()
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
            for key, value in self._adam.state.get(tensor, {}).items():
                # A count is a tensor in torch's own optimisers, and a number in others.
                found[name + _CALLED.get(key, f".{key}")] = torch.as_tensor(value)
        return found

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Go on from such a state."""
        self.steps_done = steps_done
        for name, tensor in self.tensors.items():
            tensor.copy_(state[name])
            moments = _moments_of(name, state, tensor.device)
            if moments:
                # What was kept by earlier versions does not say how many steps it made.
                self._adam.state[tensor] = {"step": torch.tensor(float(steps_done)), **moments}


def _moments_of(name: str, state: Mapping[str, Tensor], device: torch.device) -> dict[str, Any]:
    """What an optimiser remembers of a tensor, by its own names."""
    own = {called.removeprefix("."): key for key, called in _CALLED.items()}
    found: dict[str, Any] = {}
    for key, value in state.items():
        end = key.removeprefix(f"{name}.")
        if end == key or "." in end:
            continue
        if end == "step":
            found[end] = value.cpu() if value.is_floating_point() else value.item()
        else:
            found[own.get(end, end)] = value.to(device)
    return found
