"""The noise level of each step, for every kind of scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class SamplingStep(NamedTuple):
    """One step of a run, and what the model sees at it: alpha * clean + sigma * noise.

    step_index      of this step, out of `num_steps`; schedulers of second order have two steps for
                    a level
    timestep        []: the model's input
    alpha, sigma    alpha^2 + sigma^2 = 1 for diffusion, alpha + sigma = 1 for flow matching
    kind            what the model predicts: epsilon (the noise), v_prediction (Salimans and Ho
                    2022), sample (the clean picture) or flow_prediction (noise - clean, Lipman et
                    al. 2023)
    """

    step_index: int
    num_steps: int
    timestep: Tensor
    alpha: float
    sigma: float
    kind: str

    def clean(self, prediction: Tensor, model_input: Tensor) -> Tensor:
        """The picture's latents as the model sees them behind the noise.

        Raises ValueError for an unknown kind of prediction.
        """
        if self.kind == "epsilon":
            return (model_input - self.sigma * prediction) / self.alpha
        if self.kind == "v_prediction":
            return self.alpha * model_input - self.sigma * prediction
        if self.kind == "sample":
            return prediction
        if self.kind == "flow_prediction":
            return model_input - self.sigma * prediction
        raise _unknown(self.kind)

    def prediction(self, clean: Tensor, model_input: Tensor) -> Tensor:
        """What a model that sees `clean` behind the noise predicts; the inverse of `clean`.

        Raises ValueError for an unknown kind of prediction.
        """
        if self.kind == "epsilon":
            return (model_input - self.alpha * clean) / self.sigma
        if self.kind == "v_prediction":
            return (self.alpha * model_input - clean) / self.sigma
        if self.kind == "sample":
            return clean
        if self.kind == "flow_prediction":
            return (model_input - clean) / self.sigma
        raise _unknown(self.kind)


def sampling_steps(scheduler: Any) -> list[SamplingStep]:
    """The steps that a scheduler of diffusers will take, after its `set_timesteps`.

    The levels are those that the scheduler itself reckons with, not those of its timesteps, which
    may be rounded (Karras) or stand twice (Heun).
    """
    kind = "flow_prediction" if _is_flow(scheduler) else scheduler.config.prediction_type
    count = len(scheduler.timesteps)
    found = []
    for index, timestep in enumerate(scheduler.timesteps):
        alpha, sigma = _model_shares(scheduler, index, torch.float64)
        found.append(SamplingStep(index, count, timestep, float(alpha), float(sigma), kind))
    return found


def training_levels(scheduler: Any) -> list[SamplingStep]:
    """Every noise level that a model was trained with, the cleanest first.

    Of a scheduler of diffusers, before its `set_timesteps`; those that match flows have levels in
    between, and these are as many as theirs.
    """
    count = scheduler.config.num_train_timesteps
    if _is_flow(scheduler):
        scheduler.set_timesteps(count)
        return sampling_steps(scheduler)[::-1]
    kind = scheduler.config.prediction_type
    shares = scheduler.alphas_cumprod.cpu().double().tolist()
    return [
        SamplingStep(index, count, torch.tensor(index), share**0.5, (1 - share) ** 0.5, kind)
        for index, share in enumerate(shares)
    ]


def share_until(steps: Sequence[SamplingStep], signal: float) -> float:
    """The share of the steps that are over when the picture shows through the noise this much.

    signal in 0..1: the picture's share of the variance of what the model sees. The same number
    means the same on every schedule; the same share of steps does not. The last step is never
    over: there is always something left to paint.
    """
    for step in steps[:-1]:
        alpha, sigma = step.alpha**2, step.sigma**2
        if alpha / (alpha + sigma) >= signal:
            return step.step_index / step.num_steps
    return steps[-1].step_index / steps[-1].num_steps


def noised(scheduler: Any, clean: Tensor, noise: Tensor, index: int) -> Tensor:
    """The clean latents at the noise level of step `index`, in the scheduler's own scale.

    clean, noise [..., C, H, W]. The same as the scheduler's add_noise or scale_noise, which look
    the step up by its timestep and so may find another one, or none but where they began.
    """
    alpha, sigma = level(scheduler, index, clean.dtype)
    return alpha * clean + sigma * noise


def level(scheduler: Any, index: int, dtype: torch.dtype = torch.float64) -> tuple[float, float]:
    """(alpha, sigma) of the latents before step `index`, in the scheduler's own scale.

    dtype: what they are computed in.
    """
    if _has_growing_scale(scheduler):
        return 1.0, _sigma(scheduler, index, dtype).item()
    alpha, sigma = _model_shares(scheduler, index, dtype)
    return alpha.item(), sigma.item()


def pure_noise(scheduler: Any, noise: Tensor) -> Tensor:
    """Standard normal noise as the scheduler's latents before the first step."""
    return noise * getattr(scheduler, "init_noise_sigma", 1.0)


def model_input(scheduler: Any, latents: Tensor, timestep: Tensor) -> Tensor:
    """The scheduler's latents as the model wants them; once before every step."""
    if _is_flow(scheduler):
        return latents
    return scheduler.scale_model_input(latents, timestep)


def begin(scheduler: Any, strength: float) -> int:
    """Let the scheduler start part of the way, after `set_timesteps`; the index of its first step.

    strength in 0..1: the share of the steps that are taken, at least one (SDEdit, Meng et al.
    2022). The picture to start from is `noised` at that index.
    """
    index = first_index(scheduler, strength)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)
    elif repeats_second(scheduler):
        begin_pseudo_linear(scheduler, index)
    return index


def first_index(scheduler: Any, strength: float) -> int:
    """The same index, of a scheduler that goes on with all of its steps."""
    if repeats_second(scheduler):
        count, order = len(scheduler.timesteps.unique_consecutive()), 1
    else:
        order = getattr(scheduler, "order", 1)
        count = -(-len(scheduler.timesteps) // order)  # Heun looks twice at each level but the last
    return (count - min(max(round(count * strength), 1), count)) * order


def repeats_second(scheduler: Any) -> bool:
    """Whether it is PNDM, in whose timesteps the second level of a run stands twice."""
    return bool(getattr(scheduler.config, "skip_prk_steps", False))


def begin_pseudo_linear(scheduler: Any, index: int) -> None:
    """PNDM looks twice at its second level, whichever its first one was: here that at `index`."""
    levels = scheduler.timesteps.unique_consecutive()
    twice = levels[index + 1 : index + 2]
    scheduler.timesteps = torch.cat([levels[: index + 1], twice, levels[index + 1 :]])


def _model_shares(scheduler: Any, index: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Alpha and sigma [] of the model's input at a step, computed in `dtype`."""
    if not hasattr(scheduler, "sigmas"):
        share = scheduler.alphas_cumprod[int(scheduler.timesteps[index])].cpu().to(dtype)
        return share**0.5, (1 - share) ** 0.5
    sigma = _sigma(scheduler, index, dtype)
    if _is_flow(scheduler):
        return 1 - sigma, sigma
    alpha = 1 / (sigma**2 + 1) ** 0.5
    return alpha, sigma * alpha


def _sigma(scheduler: Any, index: int, dtype: torch.dtype) -> Tensor:
    """The scheduler's own noise level [] of a step: sigma / alpha, or sigma for flow matching."""
    # In two steps: Apple's GPUs have no float64 to convert in.
    return scheduler.sigmas[index].cpu().to(dtype)


def _is_flow(scheduler: Any) -> bool:
    flow_sigmas = getattr(scheduler.config, "use_flow_sigmas", False)
    return flow_sigmas or not hasattr(scheduler, "alphas_cumprod")


def _has_growing_scale(scheduler: Any) -> bool:
    """Whether the scheduler's latents are clean + sigma * noise, and the model's are scaled."""
    if _is_flow(scheduler) or not hasattr(scheduler, "sigmas"):
        return False
    return float(scheduler.init_noise_sigma) != 1


def _unknown(kind: str) -> ValueError:
    return ValueError(f"prediction_type {kind!r} is unknown")
