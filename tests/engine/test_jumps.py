"""Steps that are taken back and again: the right noise, schedulers begun anew, what is kept."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import diffusers
import pytest
import torch

from tapestry_backend.engine.jumps import CannotJumpError, Jump, Renoising, plan_jumps, restart
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.noise_schedule import SamplingStep, level, noised, sampling_steps
from tapestry_backend.engine.sampling import Preserved, Step, sample
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.schedulers import make_scheduler
from tapestry_protocol.fields import Scheduler

SIZE = Size(64, 64)
STEPS = 20
TIMES = 2
NAMES = [name for name in get_args(Scheduler) if name != "checkpoint"]
MULTISTEP = ("dpmpp_2m", "dpmpp_2m_karras", "deis", "unipc", "pndm", "heun")
DIFFUSION = diffusers.DDIMScheduler(
    beta_schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.012,
    clip_sample=False,
    set_alpha_to_one=True,
)
FLOW = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)


def scheduler_of(name: str) -> Any:
    """As a checkpoint would have it."""
    return make_scheduler(name, FLOW if name == "flow_euler" else DIFFUSION)


def jumps_of(name: str, times: int = TIMES) -> tuple[Jump, ...]:
    """Of a whole run."""
    scheduler = scheduler_of(name)
    scheduler.set_timesteps(STEPS)
    return plan_jumps(scheduler, sampling_steps(scheduler), times)


def run(name: str, denoise: Any, noise: torch.Tensor, **options: Any) -> list[Step]:
    """All steps of a run with jumps."""
    jumps = jumps_of(name)
    return list(
        sample(denoise, scheduler_of(name), noise, STEPS, job_generator(0), jumps=jumps, **options)
    )


class KnowsTheEnd:
    """Predicts always the same picture, and notes what it saw at which step."""

    def __init__(self, picture: torch.Tensor) -> None:
        self.picture = picture
        self.seen: list[tuple[torch.Tensor, SamplingStep]] = []

    def __call__(self, latents: torch.Tensor, step: SamplingStep) -> torch.Tensor:
        self.seen.append((latents, step))
        return step.prediction(self.picture, latents)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_the_scheduler_every_level_has_its_noise(name: str) -> None:
    """Also behind a jump: the picture at its share, and around it as much noise as is said."""
    picture = torch.full((1, 4, *SIZE), 0.5)
    denoise = KnowsTheEnd(picture)
    last = run(name, denoise, canvas_noise(0, 4, SIZE))[-1]

    plain = sample(denoise, scheduler_of(name), canvas_noise(0, 4, SIZE), STEPS, job_generator(0))
    *_, without = plain  # some end a little before there is no noise at all
    left, left_without = (float((each.latents - picture).std()) for each in (last, without))
    assert left == pytest.approx(left_without, rel=0.05, abs=1e-3)
    assert len(denoise.seen) > 2 * STEPS
    for latents, step in denoise.seen:
        noise = (latents - step.alpha * picture) / step.sigma
        assert abs(float(noise.std()) - 1) < 0.05
        assert abs(float(noise.mean())) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_middle_is_taken_again_as_often_as_it_was_asked(name: str) -> None:
    """In three parts, neither the first steps nor the last ones; what is counted is taken."""
    jumps = jumps_of(name)
    denoise = KnowsTheEnd(torch.zeros(1, 4, *SIZE))
    steps = run(name, denoise, canvas_noise(0, 4, SIZE))

    assert len(jumps) == 3 * TIMES
    plain = scheduler_of(name)
    plain.set_timesteps(STEPS)
    assert len(steps) == steps[0].num_steps == len(plain.timesteps) + sum(j.steps for j in jumps)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    taken = [step.step_index for _, step in denoise.seen]
    assert taken.count(0) == 1 == taken.count(taken[-1])
    earlier = int(name == "pndm")  # it looks twice where it begins, at what is the last part's end
    assert taken[jumps[0].after : jumps[0].after + 2] == [jumps[0].after, jumps[0].to]
    assert taken.count(jumps[-1].after) == TIMES + 1
    assert all(
        one.to == other.to or one.after + 1 == other.to + earlier
        for one, other in itertools.pairwise(jumps)
    )
    assert jumps_of(name, 0) == ()


@pytest.mark.parametrize("name", [*MULTISTEP, "euler", "flow_euler"])
def test_after_a_jump_a_scheduler_goes_on_as_one_that_begins_there(name: str) -> None:
    """Nothing of the way that was left is in its steps, to the bit."""

    def bent(latents: torch.Tensor, step: SamplingStep) -> torch.Tensor:
        clean = (latents.sin() + step.alpha) / 2
        denoised.append(clean)
        return step.prediction(clean, latents)

    denoised: list[torch.Tensor] = []
    steps = run(name, bent, canvas_noise(0, 4, SIZE))
    jump, *_ = jumps = jumps_of(name)
    number = next(n for n, step in enumerate(steps) if n >= jump.after)  # the last before it
    other = scheduler_of(name)
    other.set_timesteps(STEPS)
    fresh_generator = job_generator(0)
    fresh = torch.randn(1, 4, *SIZE, generator=fresh_generator)
    back = Renoising.between(level(other, jump.after + 1), other_level(name, jump.to))
    latents = back.latents(steps[number].latents, fresh)
    restart(other, STEPS, jump.to, torch.device("cpu"))
    begun = sampling_steps(other)[jump.to : jump.after + 1]
    for offset, step in enumerate(begun):
        seen = latents
        if name != "flow_euler":
            seen = other.scale_model_input(latents, step.timestep)
        prediction = step.prediction((seen.sin() + step.alpha) / 2, seen)
        latents = other.step(prediction, step.timestep, latents).prev_sample
        assert torch.equal(latents, steps[number + 1 + offset].latents)
    assert len(jumps) == 3 * TIMES


def other_level(name: str, index: int) -> tuple[float, float]:
    """The level of a step of a scheduler that was begun there."""
    scheduler = scheduler_of(name)
    restart(scheduler, STEPS, index, torch.device("cpu"))
    return level(scheduler, index)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_preserved_stays_to_the_bit_and_is_seen_with_the_noise_of_the_canvas(
    name: str,
) -> None:
    """Behind a jump it is shown at the earlier level, with noise that is no longer the first."""
    picture = torch.randn(1, 4, *SIZE, generator=torch.Generator().manual_seed(1))
    until = torch.zeros(*SIZE)
    until[:, :32] = 1.0
    noise = canvas_noise(0, 4, SIZE)
    denoise = KnowsTheEnd(torch.zeros(1, 4, *SIZE))
    last = run(name, denoise, noise, preserved=Preserved(picture, until))[-1]

    assert torch.equal(last.latents[..., :32], picture[..., :32])
    kinds = set()
    for latents, step in denoise.seen:
        shown = (latents - step.alpha * picture)[..., :32] / step.sigma
        assert abs(float(shown.std()) - 1) < 0.05
        kinds.add(torch.allclose(shown, noise[..., :32], atol=1e-2))
    assert kinds == {True, False}


def test_going_back_is_what_noise_does_to_a_picture() -> None:
    """A picture at one level becomes the same one at the earlier level, in mean and variance."""
    for name in ("ddim", "euler", "flow_euler"):
        scheduler = scheduler_of(name)
        scheduler.set_timesteps(STEPS)
        picture, noise = torch.ones(1, 4, 256, 256), canvas_noise(0, 4, Size(256, 256))
        late, early = 15, 9
        back = Renoising.between(level(scheduler, late), level(scheduler, early))
        fresh = canvas_noise(1, 4, Size(256, 256))
        found = back.latents(noised(scheduler, picture, noise, late), fresh)
        again = back.noise(noise, fresh)
        torch.testing.assert_close(found, noised(scheduler, picture, again, early))
        assert abs(float(again.std()) - 1) < 0.01
        assert back.added > 0


def test_few_steps_have_a_short_middle_or_none() -> None:
    """No step before the first is asked for, and nothing is repeated after the last."""
    for name in ("lcm", "ddim", "pndm", "heun", "flow_euler"):
        for count in (1, 2, 3, 4, 6):
            scheduler = scheduler_of(name)
            scheduler.set_timesteps(count)
            steps = sampling_steps(scheduler)
            jumps = plan_jumps(scheduler, steps, 1)
            assert all(0 <= jump.to <= jump.after < len(steps) - 1 for jump in jumps)
            denoise = KnowsTheEnd(torch.zeros(1, 4, 8, 8))
            noise = canvas_noise(0, 4, Size(8, 8))
            *_, last = sample(
                denoise, scheduler_of(name), noise, count, job_generator(0), jumps=jumps
            )
            assert last.number == last.num_steps
            torch.testing.assert_close(last.latents, denoise.picture, atol=1e-3, rtol=0)


def test_a_scheduler_that_counts_on_steps_it_never_saw_is_refused() -> None:
    """LMS takes as many earlier steps into account as its place in the schedule says."""

    class Lms:
        def get_lms_coefficient(self) -> float:
            return 0.0

    with pytest.raises(CannotJumpError):
        plan_jumps(Lms(), [], 1)
    assert plan_jumps(Lms(), [], 0) == ()
