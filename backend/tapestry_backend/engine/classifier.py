"""Which of several texts fits a picture best: the model as a classifier (Li et al. 2023).

The text with which the model tells best what of a noised picture is noise is the one that fits.
Nothing is trained for that, and any names may be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from torch import Tensor

from .difference import Sample, prediction_errors
from .sampling import Denoise

_LEFT_AFTER = {2: 0.5, 4: 0.4, 6: 0.5}
"""After so many samples, the share of the texts that goes on: most are out of the race early."""

_FEW = 2
"""So many always go on."""


class Standing(NamedTuple):
    """How well a text fits: its number, and how much larger its mean error is than the best text's.

    samples: by how many it was compared; those that were out early have fewer
    """

    text: int
    excess: float
    samples: int


def compare_texts(
    denoise: Sequence[Denoise], clean: Tensor, samples: Sequence[Sample], where: Tensor
) -> Iterator[list[Standing]]:
    """The standing of each of N texts after each sample, the best first.

    denoise: each text's prediction. clean: [1, C, H, W]. where: [H, W] >= 0, how much each cell
    counts. All texts see the same noises, and errors are absolute ones (L1), as the paper found
    best.
    """
    errors: dict[int, list[float]] = {number: [] for number in range(len(denoise))}
    racing = list(errors)
    weights = (where / where.sum()).to(clean.device)
    for done, sample in enumerate(samples, start=1):
        (found,) = prediction_errors([denoise[number] for number in racing], clean, [sample])
        for number, error in zip(racing, (found * weights).sum(dim=(1, 2)).tolist(), strict=True):
            errors[number].append(error)
        standing = _standing(errors)
        yield standing
        left = max(_FEW, round(_LEFT_AFTER.get(done, 1.0) * len(racing)))
        ahead = [each.text for each in standing if each.samples == done]
        racing = sorted(ahead[:left])


def _standing(errors: dict[int, list[float]]) -> list[Standing]:
    """Texts that were compared longer come first, then those with less error."""
    best = min(errors.values(), key=lambda each: (-len(each), fmean(each)))
    found = [
        Standing(number, fmean(each) - fmean(best[: len(each)]), len(each))
        for number, each in errors.items()
    ]
    return sorted(found, key=lambda standing: (-standing.samples, standing.excess))
