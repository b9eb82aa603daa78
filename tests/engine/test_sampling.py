"""Sampling: preserved content that stays, starts on the way, and steering the clean estimate."""

import diffusers
import pytest
import torch

from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.sampling import Preserved, Steer, sample
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


@pytest.mark.parametrize("scheduler_type", SCHEDULERS)
def test_known_cells_end_as_they_were(scheduler_type) -> None:
    """Cells that are preserved to the end come back exactly; the others were painted."""
    scheduler = make_scheduler(scheduler_type, "epsilon")
    picture = torch.randn(1, 4, *SIZE)
    until = torch.zeros(*SIZE)
    until[:, :6], until[:, 6] = 1.0, 0.5
    noise = canvas_noise(0, 4, SIZE)
    steps = list(
        sample(
            lambda x, step: torch.full_like(x, 0.1),
            scheduler,
            noise,
            6,
            job_generator(0),
            Preserved(picture, until),
        )
    )
    last = steps[-1].latents

    assert torch.equal(last[..., :6], picture[..., :6])
    assert all(torch.equal(step.denoised[..., :6], picture[..., :6]) for step in steps)
    assert not torch.isclose(last[..., 6:], picture[..., 6:]).all()


def test_the_model_sees_the_known_picture_at_every_step() -> None:
    """What is preserved stands in the model's input at the step's own noise level."""
    scheduler = make_scheduler(diffusers.DDIMScheduler, "epsilon")
    picture, noise = torch.randn(1, 4, *SIZE), canvas_noise(0, 4, SIZE)
    seen = []

    def denoise(latents: torch.Tensor, step: SamplingStep) -> torch.Tensor:
        seen.append((latents, step.timestep))
        return torch.zeros_like(latents)

    until = torch.ones(*SIZE)
    until[0, 0] = 0  # one free cell: no step can be left out
    list(sample(denoise, scheduler, noise, 4, job_generator(0), Preserved(picture, until)))

    assert len(seen) == 4
    for latents, timestep in seen:
        expected = scheduler.add_noise(picture, noise, timestep[None])
        torch.testing.assert_close(latents[..., 1:, :], expected[..., 1:, :])


def test_stochastic_schedulers_repeat_with_the_same_seed() -> None:
    """Noise drawn on the way comes from the job's generator."""

    def paint(seed: int) -> torch.Tensor:
        scheduler = make_scheduler(diffusers.EulerAncestralDiscreteScheduler, "epsilon")
        noise = canvas_noise(0, 4, SIZE)
        *_, last = sample(lambda x, step: x * 0.1, scheduler, noise, 4, job_generator(seed))
        return last.latents

    assert torch.equal(paint(1), paint(1))
    assert not torch.equal(paint(1), paint(2))


@pytest.mark.parametrize("scheduler_type", SCHEDULERS)
def test_steps_in_which_nothing_is_free_are_left_out(scheduler_type) -> None:
    """A picture that is preserved for 60 % of the steps is a start with 40 % of them to go."""
    scheduler = make_scheduler(scheduler_type, "epsilon")
    picture, noise = torch.randn(1, 4, *SIZE), canvas_noise(0, 4, SIZE)
    until = torch.full(SIZE, 0.6)
    seen = []

    def denoise(latents: torch.Tensor, step: SamplingStep) -> torch.Tensor:
        seen.append(step)
        return noise

    steps = list(sample(denoise, scheduler, noise, 10, job_generator(0), Preserved(picture, until)))
    taken = len(steps)

    assert taken == steps[-1].number == steps[0].num_steps
    assert taken / seen[0].num_steps == pytest.approx(0.4, abs=0.06)
    if "Ancestral" in scheduler_type.__name__ or scheduler_type is diffusers.LCMScheduler:
        return  # what is drawn on the way is not the noise that a perfect model would see
    # A model that knows the noise finds the picture again.
    torch.testing.assert_close(steps[-1].latents, picture, atol=2e-3, rtol=0)


def test_cells_without_a_known_picture_start_from_pure_noise() -> None:
    """What is not preserved for a single step has nothing of the picture in it."""
    scheduler = make_scheduler(diffusers.DDIMScheduler, "epsilon")
    noise, until = canvas_noise(0, 4, SIZE), torch.zeros(*SIZE)
    until[:, :6] = 0.5
    seen = []

    def denoise(latents: torch.Tensor, step: SamplingStep) -> torch.Tensor:
        seen.append(latents)
        return latents

    preserved = Preserved(torch.full((1, 4, *SIZE), 5.0), until)
    list(sample(denoise, scheduler, noise, 4, job_generator(0), preserved))

    assert torch.equal(seen[0][..., 6:], noise[..., 6:])
    assert not torch.isclose(seen[0][..., :6], noise[..., :6]).any()


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("scheduler_type", SCHEDULERS)
def test_a_steer_decides_the_end(scheduler_type, prediction_type: str) -> None:
    """A steer that knows the picture leads every scheduler there; one that does nothing, nowhere.

    Both in the order in which they are given.
    """
    picture, noise = torch.randn(1, 4, *SIZE), canvas_noise(0, 4, SIZE)

    def paint(*steer: Steer) -> torch.Tensor:
        scheduler = make_scheduler(scheduler_type, prediction_type)
        *_, last = sample(
            lambda x, step: 0.1 * x, scheduler, noise, 6, job_generator(0), steer=steer
        )
        return last.latents

    torch.testing.assert_close(paint(lambda clean, _: clean), paint(), atol=2e-4, rtol=1e-4)
    led = paint(lambda clean, _: clean + 1, lambda _clean, _: picture)
    torch.testing.assert_close(led, picture, atol=0.06, rtol=0)
