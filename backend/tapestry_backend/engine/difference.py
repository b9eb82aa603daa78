"""Where a picture shows what some words say: the model itself is asked, with noise that is known.

DiffEdit (Couairon et al. 2023) takes the difference of the predictions for two prompts. That is
large wherever the two disagree, also where the picture shows neither. Here each prompt's prediction
is compared with the noise that was really added, as a diffusion classifier does (Li et al. 2023):
words that fit a place predict it better there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .noise_schedule import SamplingStep
from .sampling import Denoise

_SMOOTH_CELLS = 3
"""Side of the square that errors are averaged over; those of single cells differ by chance."""

_MIDDLE = 0.5
"""Of a map: between the two groups."""

_LEAST_GAIN = 0.02
"""Over no words, in parts of the gain over others. In five pictures of the bundled model this was
0.06 and more for words that they show, 0.005 at most for words that the model does not know, and
below 0 for all others."""


class Sample(NamedTuple):
    """A noise [1, C, H, W], and the step whose level the picture is noised to with it."""

    noise: Tensor
    step: SamplingStep


@torch.no_grad()
def prediction_errors(
    denoise: Sequence[Denoise], clean: Tensor, samples: Iterable[Sample]
) -> Iterator[Tensor]:
    """How wrong each of N predictions is at each cell, [N, H, W], for one sample after the other.

    Mean absolute errors of the noise over the channels: squared ones would count a few cells alone.
    clean [1, C, H, W].
    """
    for noise, step in samples:
        seen = step.alpha * clean + step.sigma * noise
        errors = []
        for each in denoise:
            predicted = (seen - step.alpha * step.clean(each(seen, step), seen)) / step.sigma
            errors.append((predicted - noise).abs().mean(dim=(0, 1)))
        yield torch.stack(errors)


def shown_map(errors: Iterable[Tensor]) -> Tensor:
    """Errors [N, H, W] -> where the first prediction is better than all others, [H, W] in 0..1.

    0.5 lies where the cells fall best into two groups (Otsu 1979), whatever the numbers were; 0 and
    1 are the worst and the best cell. Where no cell differs from another the map is 0.
    """
    # In double precision a middle lies between two numbers that differ at all.
    mean = torch.stack(list(errors)).mean(dim=0).cpu().double()
    side = _SMOOTH_CELLS // 2
    around = functional.pad(mean[None], (side,) * 4, mode="replicate")
    own, *others = functional.avg_pool2d(around, _SMOOTH_CELLS, stride=1)[0]
    better = torch.stack(others).amin(dim=0) - own
    low, high = better.min(), better.max()
    if not bool(high > low):
        return torch.zeros_like(better)
    middle = _two_groups(better)
    below = (better - low) / (middle - low)
    above = 1 + (better - middle) / (high - middle)
    return (torch.where(better < middle, below, above) / 2).float()


def is_shown(errors: Sequence[Tensor]) -> bool:
    """Whether the first prediction is better than the last at the place that `shown_map` finds.

    errors: of at least 4 samples, [N, H, W] each; two after each other are noised differently. A
    place is where the first one did well, so it is judged by samples that did not find it: each
    half of them by the place of the other.
    """
    halves = [errors[0::4], errors[1::4]], [errors[2::4], errors[3::4]]
    one, other = ([*first, *second] for first, second in halves)
    gains = torch.zeros(len(errors[0]) - 1, dtype=torch.double)
    for found_by, judged_by in ((one, other), (other, one)):
        place = shown_map(found_by) >= _MIDDLE
        mean = torch.stack(judged_by).mean(dim=0).cpu().double()
        if bool(place.any()):
            gains += (mean[1:] - mean[0])[:, place].mean(dim=1)
    return bool(gains[-1] > max(0.0, _LEAST_GAIN * float(gains.max())))


def _two_groups(values: Tensor) -> Tensor:
    """The number [] between two groups of values that differ most from each other (Otsu 1979).

    Equal values stay together; there are two that differ.
    """
    ordered = values.flatten().sort().values
    count = torch.arange(1, len(ordered), dtype=ordered.dtype)
    sums = ordered.cumsum(0)
    below, above = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    apart = count * (len(ordered) - count) * (below - above) ** 2
    index = int(apart.where(ordered[1:] > ordered[:-1], -1.0).argmax())
    return (ordered[index] + ordered[index + 1]) / 2
