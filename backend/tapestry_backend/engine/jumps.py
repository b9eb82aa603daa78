"""Steps that are taken back and taken again, so that what is new fits what is there already.

RePaint (Lugmayr et al. 2022): with fresh noise the canvas goes back to an earlier level, and the
model sees once more, from there, both sides of the border. The paper does so from the first step to
the last; here only in between, where there is enough of the picture to fit, and not yet all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .extension import FOLLOW_NEAR
from .noise_schedule import SamplingStep, begin_pseudo_linear, repeats_second

_MIDDLE = (FOLLOW_NEAR, 0.7)
"""Steps are taken again from where the picture has the first share of the variance of what the
model sees to where it has the second: from where new cells no longer follow the continued edges of
what is there until nothing but detail is left (a third of the steps of most schedules)."""

_PARTS = 3
"""The middle is taken again in so many parts, one after the other: a single step back undoes
nothing but the last one's detail, and blurs."""


class Jump(NamedTuple):
    """After the step with the index `after`, the next one is that with the index `to`."""

    after: int
    to: int

    @property
    def steps(self) -> int:
        """How many steps it takes again."""
        return self.after - self.to + 1


class CannotJumpError(ValueError):
    """The scheduler cannot begin anew on the way."""


def plan_jumps(
    scheduler: Any, steps: Sequence[SamplingStep], times: int, first: int = 0
) -> tuple[Jump, ...]:
    """The jumps of a run, in their order: each part of its middle is taken `times` more.

    steps: of the scheduler (`sampling_steps`), of which the run begins at the index `first` or
    before. Empty where there is no middle, as in a single step. Raises CannotJumpError for a
    scheduler that reckons with steps before its first one as if it had seen them.
    """
    if not times:
        return ()
    if hasattr(scheduler, "get_lms_coefficient"):
        raise CannotJumpError
    order = getattr(scheduler, "order", 1)  # Heun looks twice at a level: it starts at the first
    starts = [step for step in steps if step.step_index % order == 0]
    shares = [step.alpha**2 / (step.alpha**2 + step.sigma**2) for step in starts]
    early, late = (sum(share < limit for share in shares) for limit in _MIDDLE)
    # PNDM looks twice at the second level wherever it begins, so a part begins one step earlier.
    earlier = int(repeats_second(scheduler))
    begun = sum(step.step_index < first for step in starts)
    early, late = max(early, begun + 2 * earlier, 1), min(late, len(starts) - 1)
    count = min(_PARTS, late - early)
    if count < 1:
        return ()
    ends = [starts[early + (late - early) * part // count].step_index for part in range(count + 1)]
    return tuple(
        Jump(end - 1, start - earlier) for start, end in pairwise(ends) for _ in range(times)
    )


def restart(scheduler: Any, num_inference_steps: int, index: int, device: torch.device) -> None:
    """Let the scheduler forget what it has seen, and begin anew at the step with this index.

    What a multistep solver remembers belongs to the way that was left.
    """
    scheduler.set_timesteps(num_inference_steps, device=device)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)
    elif repeats_second(scheduler):
        begin_pseudo_linear(scheduler, index)


class Renoising(NamedTuple):
    """The way back to an earlier level: kept * latents + added * fresh noise.

    The noise that is added makes the variance what it is at that level (RePaint's forward step,
    over several steps at once), for diffusion and flows alike.

    sigma, sigma_before    of the earlier level, and of that which is left
    """

    kept: float
    added: float
    sigma: float
    sigma_before: float

    @classmethod
    def between(cls, late: tuple[float, float], early: tuple[float, float]) -> Renoising:
        """From one level to an earlier one, each (alpha, sigma) in the scheduler's own scale."""
        kept = early[0] / late[0]
        added = max(early[1] ** 2 - (kept * late[1]) ** 2, 0.0) ** 0.5
        return cls(kept, added, early[1], late[1])

    def latents(self, latents: Tensor, fresh: Tensor) -> Tensor:
        """Latents [L, C, H, W] at the earlier level; fresh: standard normal noise."""
        return self.kept * latents + self.added * fresh

    def noise(self, noise: Tensor, fresh: Tensor) -> Tensor:
        """The noise [L, C, H, W] that is in the canvas then; standard normal, as before."""
        return (self.kept * self.sigma_before * noise + self.added * fresh) / self.sigma
