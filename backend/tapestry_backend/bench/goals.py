"""What each figure should be, as a person reads it and as a program checks it; no measuring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure's name for people and the limit it should keep, if there is one."""

    text: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:.3g}"
        return f"<= {self.at_most:.3g}" if self.at_most is not None else ""

    def is_met(self, value: float) -> bool | None:
        """None where there is nothing to keep."""
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most if self.at_most is not None else None


KEYS: Mapping[str, tuple[str, ...]] = {
    "adherence": ("tapestry", "paper", "thin"),
    "seams": ("panorama", "wrap", "extension", "tiled_decode"),
    "coherence": ("off", "on"),
    "sharpness": ("few_step",),
    "composition": ("one_horizon", "plain_windows"),
    "exactness": ("exactness",),
}
"""The figures that stand for each measure; all others explain them."""

GOALS: Mapping[str, Mapping[str, Goal]] = {
    "adherence": {
        "tapestry": Goal("mean IoU over all layouts", at_least=0.9),
        "paper": Goal("the paper's loop on the same layouts"),
        "thin": Goal("strokes of 24 pixels", at_least=0.7),
        "large": Goal("areas of a quarter window and more", at_least=0.95),
        "paper_thin": Goal("the paper's loop, strokes of 24 pixels"),
        "paper_large": Goal("the paper's loop, large areas"),
        "above_paper": Goal("Tapestry less the paper's loop", at_least=0.05),
        "upper_wins": Goal("overlaps that show the upper region"),
        "judge": Goal("unseen plain patches the judge names rightly"),
    },
    "seams": {
        "panorama": Goal("across the borders of windows", at_most=1.02),
        "wrap": Goal("across the old edge of 360 degrees", at_most=1.05),
        "extension": Goal("across the border of the old picture", at_most=1.05),
        "tiled_decode": Goal("worst place of a decode in bands", at_most=1.02),
        "paper": Goal("the paper's loop, across its windows' borders"),
        "diffusers": Goal("diffusers' panorama pipeline, likewise"),
        "control": Goal("windows side by side without fusion: a seam"),
    },
    "coherence": {
        "off": Goal("spread of style without coherence"),
        "on": Goal("spread of style with it"),
        "lower_by": Goal("how much lower that is", at_least=1 / 3),
        "adherence_off": Goal("mean IoU of layouts without coherence"),
        "adherence_on": Goal("mean IoU of layouts with it"),
    },
    "sharpness": {
        "few_step": Goal("detail of fused windows over that of one, LCM", at_least=0.95),
        "averaged_steps": Goal("the same with a noisy step for each window"),
    },
    "composition": {
        "one_horizon": Goal("scenes with exactly one horizon", at_least=0.95),
        "plain_windows": Goal("scenes with exactly one horizon, windows alone"),
        "sharpness": Goal("detail of textures over that of plain windows", at_least=0.95),
        "judge": Goal("single windows that the judge finds right", at_least=0.95),
        "judge_stacked": Goal("two stacked windows that it finds wrong", at_least=0.95),
    },
    "exactness": {
        "exactness": Goal("original pixels unchanged by an extension", at_least=1.0),
    },
}
