"""Schedulers by their names on the wire, made for one checkpoint."""

from __future__ import annotations

import inspect
from typing import Any

import diffusers
import torch

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.fields import Scheduler
from tapestry_protocol.sentences import Sentence, quoted

_TRAINED_WITH = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
)
"""Named one by one: what a configuration leaves out, another scheduler takes for something else."""

_UNCLIPPED = {"clip_sample": False, "thresholding": False}
"""Latents are no pixels, and what is not affine in the prediction cannot be fused (see "Fusion"
in docs/method.md)."""

_PLAIN_SIGMAS = {
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_lu_lambdas": False,
    "use_flow_sigmas": False,
    "final_sigmas_type": "zero",
}
_DPMPP_2M = {
    **_PLAIN_SIGMAS,
    "solver_order": 2,
    "algorithm_type": "dpmsolver++",
    "solver_type": "midpoint",
    "lower_order_final": True,
}
_FEW_STEPS = {"timestep_spacing": "trailing"}

_NAMED: dict[str, tuple[type, dict[str, Any]]] = {
    "ddim": (diffusers.DDIMScheduler, {"set_alpha_to_one": True}),
    "pndm": (diffusers.PNDMScheduler, {"set_alpha_to_one": True, "skip_prk_steps": True}),
    "euler": (diffusers.EulerDiscreteScheduler, _PLAIN_SIGMAS),
    "euler_ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, _PLAIN_SIGMAS),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, _DPMPP_2M),
    "dpmpp_2m_karras": (
        diffusers.DPMSolverMultistepScheduler,
        {**_DPMPP_2M, "use_karras_sigmas": True},
    ),
    "dpmpp_2m_sde": (  # diffusers' DPMSolverSDE would need a package of its own
        diffusers.DPMSolverMultistepScheduler,
        {**_DPMPP_2M, "algorithm_type": "sde-dpmsolver++"},
    ),
    "deis": (
        diffusers.DEISMultistepScheduler,
        {**_PLAIN_SIGMAS, "algorithm_type": "deis", "solver_type": "logrho"},
    ),
    "unipc": (
        diffusers.UniPCMultistepScheduler,
        {**_PLAIN_SIGMAS, "solver_type": "bh2", "predict_x0": True},
    ),
    "lcm": (diffusers.LCMScheduler, _FEW_STEPS),
    "tcd": (diffusers.TCDScheduler, _FEW_STEPS),
}

_LEAST_SIGNAL = 2**-24
"""The share of the picture at the last timestep, for schedulers that divide by it."""

_OWN = (
    *(kind for kind, _ in _NAMED.values()),
    diffusers.DDPMScheduler,
    diffusers.DPMSolverSinglestepScheduler,
    diffusers.FlowMatchEulerDiscreteScheduler,
    diffusers.LMSDiscreteScheduler,
)
"""What a checkpoint may bring along: the kinds whose noise levels the engine supports."""


def make_scheduler(name: Scheduler, checkpoint: Any) -> Any:
    """A scheduler of diffusers for one job, with the noise that the checkpoint was trained with.

    checkpoint is the checkpoint's own scheduler; the name "checkpoint" gives another one of the
    same class and configuration. Raises TapestryError when checkpoint and name do not fit.
    """
    if name == "checkpoint":
        _check_own(checkpoint)
        return type(checkpoint).from_config(checkpoint.config)
    _check_prediction(name, checkpoint)
    if name == "flow_euler":
        return _flow_euler(checkpoint)
    kind, options = _NAMED[name]
    trained = {key: checkpoint.config[key] for key in _TRAINED_WITH}
    return _made(
        kind, checkpoint, {**trained, **_UNCLIPPED, **options, **_to_pure_noise(kind, checkpoint)}
    )


def _to_pure_noise(kind: type, checkpoint: Any) -> dict[str, Any]:
    """What a checkpoint needs that was trained up to pure noise (Lin et al. 2024).

    Its first step is at the last timestep: spaced "leading", a run would begin below it, and grey.
    A scheduler that cannot rescale the betas is given rescaled ones, which end just before pure
    noise, as diffusers' own do where they divide by the signal.
    """
    if not checkpoint.config.get("rescale_betas_zero_snr"):
        return {}
    options: dict[str, Any] = {"timestep_spacing": "trailing"}
    if "rescale_betas_zero_snr" not in inspect.signature(kind).parameters:
        signal = checkpoint.alphas_cumprod.double().clone()
        signal[-1] = _LEAST_SIGNAL
        before = torch.cat([signal.new_ones(1), signal[:-1]])
        options["trained_betas"] = (1 - signal / before).tolist()
    return options


def check_steps(scheduler: Any, num_inference_steps: int) -> None:
    """Raises TapestryError when the scheduler cannot take this many steps."""
    most = scheduler.config.get("original_inference_steps") or scheduler.config.num_train_timesteps
    if num_inference_steps > most:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "This scheduler takes up to {most} steps, not {count}.",
                most=most,
                count=num_inference_steps,
            ),
            Sentence("Choose {most} steps or fewer, or another scheduler.", most=most),
        )


def _flow_euler(checkpoint: Any) -> Any:
    """Euler's steps; a shift that follows the picture's size would need the family's own rule."""
    shift = checkpoint.config.get("shift", checkpoint.config.get("flow_shift", 1.0))
    options = {"shift": shift, "use_dynamic_shifting": False, "stochastic_sampling": False}
    return _made(diffusers.FlowMatchEulerDiscreteScheduler, checkpoint, options)


def _made(kind: type, checkpoint: Any, options: dict[str, Any]) -> Any:
    """A scheduler with these options and what else it knows of the checkpoint's configuration.

    What the configuration leaves out is the new scheduler's own default, as in diffusers.
    """
    defaults = checkpoint.config.get("_use_default_values", ())
    named = {key: value for key, value in checkpoint.config.items() if key not in defaults}
    known = inspect.signature(kind).parameters
    return kind(**{key: value for key, value in {**named, **options}.items() if key in known})


def predicts_flow(checkpoint: Any) -> bool:
    """Whether the checkpoint with this scheduler was trained with flow matching."""
    # Schedulers that are only made for flow matching do not name what they predict.
    return checkpoint.config.get("prediction_type", "flow_prediction") == "flow_prediction"


def _check_own(checkpoint: Any) -> None:
    if type(checkpoint) not in _OWN or checkpoint.config.get("use_dynamic_shifting"):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The checkpoint asks for {kind} with settings that Tapestry does not know.",
                kind=type(checkpoint).__name__,
            ),
            'Choose a scheduler by its name, for instance "flow_euler".'
            if predicts_flow(checkpoint)
            else 'Choose a scheduler by its name, for instance "dpmpp_2m".',
        )


def _check_prediction(name: str, checkpoint: Any) -> None:
    flows = predicts_flow(checkpoint)
    if not flows and "beta_start" not in checkpoint.config:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The checkpoint asks for {kind}, whose noise no other scheduler knows.",
                kind=type(checkpoint).__name__,
            ),
            "Choose another checkpoint.",
        )
    if name == "euler_ancestral" and checkpoint.config.get("prediction_type") == "sample":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            'The scheduler "euler_ancestral" knows no checkpoint that predicts the picture itself.',
            'Choose "euler" or "dpmpp_2m_sde".',
        )
    if flows == (name == "flow_euler"):
        return
    if flows:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The scheduler {name} removes noise step by step; this checkpoint was "
                "trained with flow matching.",
                name=quoted(name),
            ),
            'Choose "flow_euler", or the checkpoint\'s own scheduler.',
        )
    raise TapestryError(
        ErrorCode.BAD_REQUEST,
        Sentence(
            'The scheduler "flow_euler" is for flow matching; this checkpoint predicts {kind}.',
            kind=quoted(checkpoint.config.prediction_type),
        ),
        'Choose "euler", or the checkpoint\'s own scheduler.',
    )
