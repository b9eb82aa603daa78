"""Noise levels: the ones each scheduler reckons with, at every step, and the way there and back."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import diffusers
import pytest
import torch

from tapestry_backend.engine.noise import job_generator
from tapestry_backend.engine.noise_schedule import (
    SamplingStep,
    begin,
    model_input,
    noised,
    pure_noise,
    sampling_steps,
)
from tapestry_backend.models.schedulers import make_scheduler
from tapestry_protocol.fields import Scheduler
from tests.engine.metal import Metal

STEPS = 7
NAMES = get_args(Scheduler)
KINDS = ["epsilon", "v_prediction", "sample"]
NOISE_ALONE = {"pndm", "euler_ancestral", "flow_euler"}
"""PNDM averages predictions of several levels as if they were noise; Euler ancestral knows no
checkpoint that predicts the picture itself."""
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def scheduler_of(name: str, kind: str = "epsilon", steps: int = STEPS) -> Any:
    """A scheduler by its name on the wire, ready for a run."""
    if name == "flow_euler":
        checkpoint = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    else:
        checkpoint = diffusers.DDIMScheduler(**NOISE, prediction_type=kind, clip_sample=False)
    scheduler = make_scheduler(name, checkpoint)
    scheduler.set_timesteps(steps)
    return scheduler


def picture_and_noise(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Two unlike things of one size."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 1, 4, 6, 8, generator=generator, dtype=dtype))


def extra_of(scheduler: Any) -> dict[str, Any]:
    """A generator for the schedulers that draw noise on the way."""
    stochastic = "generator" in inspect.signature(scheduler.step).parameters
    return {"generator": job_generator(0)} if stochastic else {}


def left_over(name: str) -> float:
    """The deviation at the end: DEIS and TCD stop at the smallest trained noise level."""
    return 0.035 if name in {"deis", "tcd"} else 1e-5


def diffusers_noised(scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, index: int) -> Any:
    """What diffusers gives by the index, or by the timestep."""
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)
    timestep = scheduler.timesteps[index : index + 1]
    if hasattr(scheduler, "scale_noise"):
        return scheduler.scale_noise(clean, timestep, noise)
    return scheduler.add_noise(clean, noise, timestep)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_noised_picture_is_what_diffusers_makes_of_it(name: str, dtype: torch.dtype) -> None:
    """Bit for bit, at every step."""
    clean, noise = picture_and_noise(dtype)
    for step in sampling_steps(scheduler_of(name)):
        theirs = diffusers_noised(scheduler_of(name), clean, noise, step.step_index)
        assert torch.equal(noised(scheduler_of(name), clean, noise, step.step_index), theirs)


@pytest.mark.parametrize("name", NAMES)
def test_the_models_input_has_the_moments_shares(name: str) -> None:
    """It is alpha * clean + sigma * noise, whatever scale the scheduler keeps its latents in."""
    clean, noise = picture_and_noise()
    levels = []
    for step in sampling_steps(scheduler_of(name)):
        scheduler = scheduler_of(name)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(step.step_index)
        latents = noised(scheduler, clean, noise, step.step_index)
        seen = model_input(scheduler, latents, step.timestep)
        torch.testing.assert_close(seen, step.alpha * clean + step.sigma * noise, atol=1e-6, rtol=0)
        levels.append(step.sigma)

    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_timestep_is_a_sampling_step(name: str) -> None:
    """One for each timestep, with the index, the count and the shares of its kind of noise."""
    scheduler = scheduler_of(name)
    found = sampling_steps(scheduler)

    assert [step.step_index for step in found] == list(range(len(scheduler.timesteps)))
    assert {step.num_steps for step in found} == {len(scheduler.timesteps)}
    for step in found:
        assert step.timestep == scheduler.timesteps[step.step_index]
        power = 1 if name == "flow_euler" else 2
        assert step.alpha**power + step.sigma**power == pytest.approx(1, abs=1e-12)


def test_a_level_between_two_timesteps_is_the_schedulers_own() -> None:
    """Karras levels fall between trained ones, and their timesteps are rounded: both are kept."""
    scheduler = scheduler_of("dpmpp_2m_karras")
    ratios = [step.sigma / step.alpha for step in sampling_steps(scheduler)]

    torch.testing.assert_close(torch.tensor(ratios), scheduler.sigmas[:-1])
    trained = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5
    rounded = trained[scheduler.timesteps]
    assert float((torch.tensor(ratios) / rounded - 1).abs().max()) > 1e-3


@pytest.mark.parametrize("kind", [*KINDS, "flow_prediction"])
def test_a_prediction_and_its_clean_picture_are_each_others_inverse(kind: str) -> None:
    """There and back, and what a perfect model says leads to the clean picture."""
    clean, noise = picture_and_noise()
    name = "flow_euler" if kind == "flow_prediction" else "euler"
    for step in sampling_steps(scheduler_of(name, kind)):
        alpha, sigma = step.alpha, step.sigma
        seen = alpha * clean + sigma * noise
        perfect = {
            "epsilon": noise,
            "v_prediction": alpha * noise - sigma * clean,
            "sample": clean,
            "flow_prediction": noise - clean,
        }[kind]
        assert step.kind == kind
        torch.testing.assert_close(step.clean(perfect, seen), clean)
        torch.testing.assert_close(step.prediction(clean, seen), perfect)
        anything = noise.roll(1, -1)
        torch.testing.assert_close(step.prediction(step.clean(anything, seen), seen), anything)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in NAMES for kind in KINDS if name not in NOISE_ALONE),
        ("pndm", "epsilon"),
        ("euler_ancestral", "epsilon"),
        ("euler_ancestral", "v_prediction"),
        ("flow_euler", "flow_prediction"),
    ],
)
def test_a_scheduler_follows_the_steps_prediction(name: str, kind: str) -> None:
    """Told at every step that `clean` is behind the noise, it ends there: levels are not off."""
    clean, noise = picture_and_noise()
    scheduler = scheduler_of(name, kind, steps=20)
    latents = pure_noise(scheduler, noise)
    extra = extra_of(scheduler)
    for step in sampling_steps(scheduler)[begin(scheduler, 1.0) :]:
        seen = model_input(scheduler, latents, step.timestep)
        prediction = step.prediction(clean, seen)
        latents = scheduler.step(prediction, step.timestep, latents, **extra).prev_sample
        torch.testing.assert_close(step.clean(prediction, seen), clean, atol=1e-6, rtol=0)

    assert float((latents - clean).std()) < left_over(name)


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 20), (0.5, 10), (0.3, 6), (0.0, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_may_begin_part_of_the_way(name: str, strength: float, steps: int) -> None:
    """So many levels are left, the first one where the picture is noised, down to the clean one."""
    clean, noise = picture_and_noise()
    scheduler = scheduler_of(name, steps=20)
    first = begin(scheduler, strength)
    left = sampling_steps(scheduler)[first:]
    assert len({step.sigma for step in left}) == steps

    latents = noised(scheduler, clean, noise, first)
    extra = extra_of(scheduler)
    for step in left:
        seen = model_input(scheduler, latents, step.timestep)
        behind = seen - step.alpha * clean
        # The scheduler's latents are where its step says: this much of them is not the picture.
        assert float(behind.std()) == pytest.approx(step.sigma, rel=0.25)
        prediction = step.prediction(clean, seen)
        latents = scheduler.step(prediction, step.timestep, latents, **extra).prev_sample

    assert float((latents - clean).std()) < left_over(name)


def test_timesteps_that_stand_twice_do_not_hide_a_step() -> None:
    """Many Karras levels round to the same timestep; an index is always told apart."""
    scheduler = scheduler_of("dpmpp_2m_karras", steps=150)
    assert len(scheduler.timesteps.unique()) < 150
    clean, noise = picture_and_noise()
    begin(scheduler, 1.0)
    sigmas = [noised(scheduler, clean * 0, noise, i).std().item() for i in range(150)]

    assert len(set(sigmas)) == 150


def test_pure_noise_fills_the_first_level() -> None:
    """The schedulers whose latents grow start that much larger; flow matching knows no scale."""
    _, noise = picture_and_noise()
    for name in NAMES:
        scheduler = scheduler_of(name)
        expected = getattr(scheduler, "init_noise_sigma", 1.0)
        assert torch.equal(pure_noise(scheduler, noise), noise * expected), name


def test_an_unknown_kind_of_prediction_is_refused() -> None:
    """What a checkpoint predicts must be known; nothing is guessed."""
    step = SamplingStep(0, 1, torch.tensor(999), 0.1, 0.9, "score")
    latents = torch.zeros(1, 4, 2, 2)
    with pytest.raises(ValueError, match="score"):
        step.clean(latents, latents)
    with pytest.raises(ValueError, match="score"):
        step.prediction(latents, latents)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "checkpoint"])
def test_levels_are_read_from_a_device_that_knows_no_float64(name: str) -> None:
    """On Apple's GPUs a scheduler's own levels are numbers of 32 bits, and are the same ones."""
    scheduler = scheduler_of(name)
    wanted = sampling_steps(scheduler)
    clean, noise = picture_and_noise(torch.float32)
    begun = noised(scheduler, clean, noise, 1)
    for table in ("sigmas", "alphas_cumprod", "timesteps"):
        if hasattr(scheduler, table):
            there = Metal.of(getattr(scheduler, table).float())
            if table == "timesteps":
                scheduler.timesteps = there
            else:
                setattr(scheduler, table, there)
    found = sampling_steps(scheduler)
    assert [(m.alpha, m.sigma) for m in found] == [(m.alpha, m.sigma) for m in wanted]
    assert torch.equal(noised(scheduler, Metal.of(clean), Metal.of(noise), 1).cpu(), begun)
