"""Sampling: the clean estimate for every kind of prediction, and known content that stays."""

import diffusers
import pytest
import torch

from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.sampling import Known, clean_estimate, sample
from tapestry_backend.engine.windows import Size

SIZE = Size(8, 12)
SCHEDULERS = [
    diffusers.DDIMScheduler,
    diffusers.EulerDiscreteScheduler,
    diffusers.EulerAncestralDiscreteScheduler,
    diffusers.DPMSolverMultistepScheduler,
    diffusers.UniPCMultistepScheduler,
    diffusers.HeunDiscreteScheduler,
    diffusers.LCMScheduler,
]


def make_scheduler(scheduler_type, prediction_type: str):
    """A scheduler with Stable Diffusion's noise levels."""
    options = {"clip_sample": False} if scheduler_type is diffusers.DDIMScheduler else {}
    return scheduler_type(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        **options,
    )


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("scheduler_type", SCHEDULERS)
def test_the_clean_estimate_undoes_the_noise(scheduler_type, prediction_type: str) -> None:
    """From a perfect prediction the estimate is the clean picture, in every scheduler's scale."""
    scheduler = make_scheduler(scheduler_type, prediction_type)
    scheduler.set_timesteps(5)
    timesteps = scheduler.timesteps
    clean = torch.randn(1, 4, *SIZE, dtype=torch.float64)
    noise = torch.randn(1, 4, *SIZE, dtype=torch.float64)
    noised = scheduler.add_noise(clean, noise, timesteps[2:3])
    model_input = scheduler.scale_model_input(noised, timesteps[2])
    share = scheduler.alphas_cumprod[timesteps[2].long()].double()
    alpha, sigma = share.sqrt(), (1 - share).sqrt()
    prediction = {
        "epsilon": noise,
        "v_prediction": alpha * noise - sigma * clean,
        "sample": clean,
    }[prediction_type]

    estimate = clean_estimate(scheduler, prediction, model_input, timesteps[2])
    # Timesteps may lie between two trained ones; the table is read linearly there.
    torch.testing.assert_close(estimate, clean, atol=5e-3, rtol=0)


def test_an_unknown_kind_of_prediction_is_refused() -> None:
    """What a checkpoint predicts must be known; nothing is guessed."""
    scheduler = make_scheduler(diffusers.DDIMScheduler, "flow_prediction")
    with pytest.raises(ValueError, match="flow_prediction"):
        clean_estimate(scheduler, *torch.zeros(2, 1, 4, *SIZE), torch.tensor(3))


@pytest.mark.parametrize("scheduler_type", SCHEDULERS)
def test_known_cells_end_as_they_were(scheduler_type) -> None:
    """Cells that are kept to the end come back exactly; the others were painted."""
    scheduler = make_scheduler(scheduler_type, "epsilon")
    picture = torch.randn(1, 4, *SIZE)
    keep = torch.zeros(*SIZE)
    keep[:, :6], keep[:, 6] = 1.0, 0.5
    noise = canvas_noise(0, 4, SIZE)
    steps = list(
        sample(
            lambda x, t: torch.full_like(x, 0.1),
            scheduler,
            noise,
            6,
            job_generator(0),
            Known(picture, keep),
        )
    )
    last = steps[-1].latents

    assert torch.equal(last[..., :6], picture[..., :6])
    assert all(torch.equal(step.denoised[..., :6], picture[..., :6]) for step in steps)
    assert not torch.isclose(last[..., 6:], picture[..., 6:]).all()


def test_the_model_sees_the_known_picture_at_every_step() -> None:
    """What is known stands in the model's input at the step's own noise level."""
    scheduler = make_scheduler(diffusers.DDIMScheduler, "epsilon")
    picture, noise = torch.randn(1, 4, *SIZE), canvas_noise(0, 4, SIZE)
    seen = []

    def denoise(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        seen.append((latents, timestep))
        return torch.zeros_like(latents)

    list(sample(denoise, scheduler, noise, 4, job_generator(0), Known(picture, torch.ones(*SIZE))))

    assert len(seen) == 4
    for latents, timestep in seen:
        expected = scheduler.add_noise(picture, noise, timestep[None])
        torch.testing.assert_close(latents, expected)


def test_stochastic_schedulers_repeat_with_the_same_seed() -> None:
    """Noise drawn on the way comes from the job's generator."""

    def paint(seed: int) -> torch.Tensor:
        scheduler = make_scheduler(diffusers.EulerAncestralDiscreteScheduler, "epsilon")
        noise = canvas_noise(0, 4, SIZE)
        *_, last = sample(lambda x, t: x * 0.1, scheduler, noise, 4, job_generator(seed))
        return last.latents

    assert torch.equal(paint(1), paint(1))
    assert not torch.equal(paint(1), paint(2))
