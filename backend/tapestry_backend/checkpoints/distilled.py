"""Checkpoints distilled to paint in a few steps: how they are recognised, and how they step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TRAILING = {"timestep_spacing": "trailing"}

_BY_NAME: dict[str, tuple[str, dict[str, Any]]] = {
    "lcm": ("LCMScheduler", {"original_inference_steps": 50}),
    "turbo": ("EulerAncestralDiscreteScheduler", _TRAILING),
    "lightning": ("EulerDiscreteScheduler", _TRAILING),
    "hyper": ("TCDScheduler", _TRAILING),
    "tcd": ("TCDScheduler", _TRAILING),
}
"""Each kind with the scheduler that it was distilled for."""

_NAMES = {
    "lcm": r"(?<![a-z])lcm(?![a-z])",
    "turbo": r"turbo",
    "lightning": r"lightning",
    "hyper": r"hyper[-_ ]?(?:sd|flux|\d)",  # and no hyperrealism
    "tcd": r"(?<![a-z])tcd(?![a-z])",
}
"""How their files are called: nothing else in one tells it from what it was made of."""

_BY_SCHEDULER = {"LCMScheduler": "lcm", "TCDScheduler": "tcd"}
_SHARED = ("beta_start", "beta_end", "beta_schedule", "prediction_type", "steps_offset")


def few_steps_of(name: str, *, unguided: str = "", scheduler: str = "") -> str:
    """What kind of few-step checkpoint this is; "" for an ordinary one.

    name: of its file or folder; unguided: what its family calls one whose backbone is told no
    guidance scale, if it is such a one; scheduler: the class that its folder names.
    """
    if unguided:
        return unguided
    if scheduler in _BY_SCHEDULER:
        return _BY_SCHEDULER[scheduler]
    lowered = name.lower()
    return next((kind for kind, pattern in _NAMES.items() if re.search(pattern, lowered)), "")


def few_steps_scheduler(
    kind: str, name: str, settings: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """The scheduler of a few-step kind in place of its family's; class and configuration."""
    if kind == "schnell":
        return name, {**settings, "shift": 1.0, "use_dynamic_shifting": False}
    if kind not in _BY_NAME or "beta_start" not in settings:
        return name, settings
    shared = {key: settings[key] for key in _SHARED if key in settings}
    return _BY_NAME[kind][0], {**shared, **_BY_NAME[kind][1]}


def is_distilled(name: str) -> bool:
    """Whether a FLUX.2 Klein is the one for few steps, by its file's name: the other is "base"."""
    return "klein" in name.lower() and "base" not in name.lower()
