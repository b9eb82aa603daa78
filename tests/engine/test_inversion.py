"""Inversion: the way back to noise leads to the same picture again."""

import diffusers
import pytest
import torch
from torch import Tensor

from tapestry_backend.engine.inversion import deterministic, invert
from tapestry_backend.engine.noise_schedule import SamplingStep, sampling_steps

COUNT = 8
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULERS = {
    "epsilon": diffusers.DDIMScheduler(**BETAS, clip_sample=False),
    "v_prediction": diffusers.DDIMScheduler(
        **BETAS, clip_sample=False, prediction_type="v_prediction"
    ),
    "zero signal": diffusers.DDIMScheduler(
        **BETAS,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    ),
    "flow": diffusers.FlowMatchEulerDiscreteScheduler(),
}


def steps_of(kind: str) -> list[SamplingStep]:
    """The steps of one of the schedulers."""
    SCHEDULERS[kind].set_timesteps(COUNT)
    return sampling_steps(SCHEDULERS[kind])


def denoise(latents: Tensor, step: SamplingStep) -> Tensor:
    """A prediction that depends on what is seen, and is no straight line."""
    return 0.3 * torch.tanh(latents) + 0.01 * step.step_index


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_an_inverted_picture_comes_back(kind: str) -> None:
    """More iterations, a closer picture; with enough of them it is the same."""
    steps, picture = steps_of(kind), torch.randn(1, 3, 8, 12)
    errors = []
    for iterations in (1, 5, 30):
        *_, noise = invert(denoise, steps, picture, iterations=iterations)
        assert noise.step == 0
        *_, back = deterministic(denoise, steps, noise.latents)
        errors.append(float((back.latents - picture).abs().max()))

    assert errors[1] < errors[0] < 1
    assert errors[2] < 1e-4


def test_inversion_part_of_the_way() -> None:
    """It ends at the step that is named, and sampling goes on from there."""
    steps, picture = steps_of("epsilon"), torch.randn(1, 3, 8, 12)
    levels = list(invert(denoise, steps, picture, first=5, iterations=30))
    assert [level.step for level in levels] == [7, 6, 5]
    taken = list(deterministic(denoise, steps, levels[-1].latents, first=5))

    assert [(step.number, step.num_steps) for step in taken] == [(1, 3), (2, 3), (3, 3)]
    assert torch.allclose(taken[-1].latents, picture, atol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
def test_the_way_down_is_the_schedulers_own(kind: str) -> None:
    """The same steps as DDIM's without noise, or Euler's of flow matching."""
    steps, scheduler = steps_of(kind), SCHEDULERS[kind]
    latents = torch.randn(1, 3, 8, 12)
    ours = list(deterministic(denoise, steps, latents))
    for step, found in zip(steps, ours, strict=True):
        prediction = denoise(latents, step)
        latents = scheduler.step(prediction, step.timestep, latents).prev_sample
        if step.step_index < COUNT - 1:  # diffusers' last step may stop before the clean picture
            assert torch.allclose(found.latents, latents, atol=1e-5)


def test_blended_cells_follow_the_levels() -> None:
    """What is not free ends exactly as the picture."""
    steps, picture = steps_of("flow"), torch.randn(1, 3, 8, 12)
    levels = {COUNT: picture, **dict(invert(denoise, steps, picture))}
    free = torch.zeros(8, 12, dtype=torch.bool)
    free[:, :6] = True

    def blend(latents: Tensor, index: int) -> Tensor:
        return torch.where(free, latents, levels[index])

    *_, end = deterministic(lambda x, _: 0.5 * x, steps, levels[0], blend=blend)
    assert torch.equal(end.latents[..., 6:], picture[..., 6:])
    assert not torch.isclose(end.latents[..., :6], picture[..., :6]).all()
