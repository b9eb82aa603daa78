"""Schedulers by name: each is made from the checkpoint's own noise, and refuses what cannot fit."""

from __future__ import annotations

from typing import Any, get_args

import diffusers
import pytest

from tapestry_backend.engine.noise_schedule import sampling_steps
from tapestry_backend.models.flow_model import WindowShiftedEuler
from tapestry_backend.models.schedulers import check_steps, make_scheduler
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.fields import Scheduler

NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
NAMES = get_args(Scheduler)
DIFFUSION_NAMES = [name for name in NAMES if name not in {"checkpoint", "flow_euler"}]
FLOW = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)


def awkward_checkpoint() -> Any:
    """A checkpoint's scheduler with everything switched on that a canvas must not have."""
    return diffusers.DPMSolverSinglestepScheduler(
        **NOISE,
        prediction_type="v_prediction",
        thresholding=True,
        solver_order=3,
        use_exponential_sigmas=True,
        final_sigmas_type="sigma_min",
        algorithm_type="dpmsolver++",
        solver_type="heun",
        lower_order_final=True,
    )


@pytest.mark.parametrize(
    "own",
    [
        diffusers.PNDMScheduler(**NOISE, skip_prk_steps=True, steps_offset=1),
        diffusers.DDIMScheduler(**NOISE, clip_sample=True, rescale_betas_zero_snr=True),
        diffusers.EulerDiscreteScheduler(**NOISE, use_karras_sigmas=True),
        diffusers.UniPCMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
        ),
        FLOW,
    ],
    ids=lambda own: type(own).__name__,
)
def test_the_checkpoints_own_scheduler_is_left_alone(own) -> None:
    """Same class, same configuration, and not the same object: jobs share no state."""
    made = make_scheduler("checkpoint", own)

    assert made is not own
    assert type(made) is type(own)
    assert dict(made.config) == dict(own.config)


@pytest.mark.parametrize("name", DIFFUSION_NAMES)
def test_the_noise_is_what_the_checkpoint_was_trained_with(name: str) -> None:
    """Also where a configuration leaves it out and two schedulers take it for different things."""
    own = diffusers.DDIMScheduler(prediction_type="v_prediction")  # LCM's beta_start is another
    made = make_scheduler(name, own)

    for key in ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps"):
        assert made.config[key] == own.config[key], key
    assert made.config.prediction_type == "v_prediction"
    assert bool((made.alphas_cumprod == own.alphas_cumprod).all())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_about_settings_that_only_the_other_one_has(name: str, caplog) -> None:
    """Artists read what is printed; that a solver's order means nothing to DDIM is no news."""
    make_scheduler(name, FLOW if name == "flow_euler" else awkward_checkpoint())

    assert caplog.text == ""


@pytest.mark.parametrize("name", DIFFUSION_NAMES)
def test_nothing_is_clipped_and_the_last_step_ends_clean(name: str) -> None:
    """Whatever the checkpoint's own configuration says."""
    config = make_scheduler(name, awkward_checkpoint()).config

    assert not config.get("clip_sample")
    assert not config.get("thresholding")
    assert config.get("final_sigmas_type", "zero") == "zero"
    assert config.get("set_alpha_to_one", True)
    assert config.get("use_karras_sigmas", False) == (name == "dpmpp_2m_karras")
    assert not config.get("use_exponential_sigmas")


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("dpmpp_2m", "DPMSolverMultistep", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
        ("dpmpp_2m_sde", "DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++"}),
        ("deis", "DEISMultistep", {"algorithm_type": "deis", "solver_type": "logrho"}),
        ("unipc", "UniPCMultistep", {"solver_type": "bh2"}),
        ("pndm", "PNDM", {"skip_prk_steps": True}),
        ("lcm", "LCM", {"timestep_spacing": "trailing"}),
        ("tcd", "TCD", {"timestep_spacing": "trailing"}),
        ("euler_ancestral", "EulerAncestralDiscrete", {}),
        ("heun", "HeunDiscrete", {}),
    ],
)
def test_a_name_means_one_thing(name: str, kind: str, options: dict[str, Any]) -> None:
    """The same solver for every checkpoint, whichever it came with."""
    made = make_scheduler(name, awkward_checkpoint())

    assert type(made).__name__ == f"{kind}Scheduler"
    assert {key: made.config[key] for key in options} == options


@pytest.mark.parametrize("steps", [1, 2, 3, 50])
@pytest.mark.parametrize("name", NAMES)
def test_every_scheduler_takes_few_and_many_steps(name: str, steps: int) -> None:
    """None of them needs a package that is not there."""
    own = FLOW if name == "flow_euler" else diffusers.DDIMScheduler(**NOISE)
    scheduler = make_scheduler(name, own)
    check_steps(scheduler, steps)
    scheduler.set_timesteps(steps)

    assert len(scheduler.timesteps) >= steps


def test_a_flow_checkpoint_keeps_its_shift() -> None:
    """However its own scheduler calls it."""
    own = diffusers.UniPCMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=5.0
    )
    made = make_scheduler("flow_euler", own)

    assert isinstance(made, diffusers.FlowMatchEulerDiscreteScheduler)
    assert made.config.shift == 5.0
    assert make_scheduler("flow_euler", FLOW).config.shift == 3.0


@pytest.mark.parametrize("name", DIFFUSION_NAMES)
def test_a_diffusion_scheduler_is_refused_for_flow_matching(name: str) -> None:
    """The sentence says which one to choose."""
    with pytest.raises(TapestryError, match="flow matching") as caught:
        make_scheduler(name, FLOW)

    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert "flow_euler" in caught.value.advice


def test_flow_matching_is_refused_for_a_diffusion_checkpoint() -> None:
    """And the other way round."""
    with pytest.raises(TapestryError, match="flow matching") as caught:
        make_scheduler("flow_euler", awkward_checkpoint())

    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert "euler" in caught.value.advice


@pytest.mark.parametrize(
    ("own", "advised"),
    [
        (diffusers.KDPM2DiscreteScheduler(**NOISE), "dpmpp_2m"),
        (diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), "flow_euler"),
    ],
    ids=["KDPM2", "dynamic shifting"],
)
def test_an_own_scheduler_that_nobody_knows_is_refused(own, advised: str) -> None:
    """Its noise levels would be guessed; another scheduler serves the checkpoint."""
    with pytest.raises(TapestryError, match=type(own).__name__) as caught:
        make_scheduler("checkpoint", own)

    assert advised in caught.value.advice
    assert not make_scheduler(advised, own).config.get("use_dynamic_shifting")


def test_a_kind_of_prediction_that_a_scheduler_lacks_is_refused() -> None:
    """Before the first step, not in it."""
    own = diffusers.DDIMScheduler(**NOISE, prediction_type="sample")
    with pytest.raises(TapestryError, match="euler_ancestral") as caught:
        make_scheduler("euler_ancestral", own)

    assert "dpmpp_2m_sde" in caught.value.advice


def test_noise_of_another_kind_is_refused_under_every_name() -> None:
    """A checkpoint without trained timesteps has no noise levels that these could take."""
    for name in NAMES:
        with pytest.raises(TapestryError) as caught:
            make_scheduler(name, diffusers.EDMEulerScheduler())
        assert caught.value.advice


@pytest.mark.parametrize("name", ["lcm", "tcd"])
def test_a_distilled_schedule_has_an_end(name: str) -> None:
    """More steps than a few-step scheduler has are refused before any work."""
    scheduler = make_scheduler(name, diffusers.DDIMScheduler(**NOISE))
    check_steps(scheduler, 50)
    with pytest.raises(TapestryError, match="50 steps, not 51"):
        check_steps(scheduler, 51)


@pytest.mark.parametrize("name", [name for name in DIFFUSION_NAMES if name not in {"lcm", "tcd"}])
def test_a_checkpoint_trained_up_to_pure_noise_begins_there(name: str) -> None:
    """Whichever scheduler is chosen: nothing drops the rescaled betas, or begins below them."""
    own = diffusers.DDIMScheduler(
        **NOISE, prediction_type="v_prediction", rescale_betas_zero_snr=True
    )
    scheduler = make_scheduler(name, own)
    scheduler.set_timesteps(10)
    first = sampling_steps(scheduler)[0]

    assert float(scheduler.timesteps[0]) >= 998
    assert first.alpha < 1e-3
    assert first.sigma == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_levels_that_end_at_a_terminal_shift_are_finite(steps: int) -> None:
    """A single step, too: it begins at nothing but noise."""
    own = WindowShiftedEuler(
        use_dynamic_shifting=True, shift_terminal=0.02, base_shift=0.5, max_shift=0.9
    )
    own.set_timesteps(steps)
    levels = own.sigmas.tolist()
    assert len(levels) == steps + 1
    assert levels[0] == pytest.approx(1)
    assert levels == sorted(levels, reverse=True)
    if steps > 1:
        assert levels[-2] == pytest.approx(0.02, abs=1e-6)
