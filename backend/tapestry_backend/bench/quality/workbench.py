"""What the measures of one run share: painter, prompts, how much is measured, the judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import transformers

from tapestry_protocol.fields import TeachMethod
from tapestry_protocol.messages import NO_EXPERT

from ..common.painter import Painter
from ..common.prompts import textures
from ..peers.paper import PaperLoop
from .captioned import CaptionedPicture
from .colour_judge import ColourJudge
from .judge import Judge
from .scene_parts import SceneParts

if TYPE_CHECKING:
    from ..peers.diffusers_panorama import DiffusersPanorama

_UNSEEN = 2
"""Plain pictures of each prompt that the judge is examined with rather than taught."""


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    quick      a representative part only
    alone      Tapestry alone, nothing to compare with: for finding good settings
    minutes, methods, patterns    of teaching: for each pattern, by which, and which; no names: as
               many as belong to a quick run or a whole one
    """

    quick: bool = False
    alone: bool = False
    minutes: float = 10.0
    methods: tuple[TeachMethod, ...] = ("lora", "word", "attention", "key-locked")
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What one measure found: figures by name, and rows of pictures to look at."""

    figures: dict[str, float]
    rows: list[list[CaptionedPicture]] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    """Standard errors of figures that are means: how much chance there is in them."""
    details: dict[str, object] = field(default_factory=dict)
    """More than the figures, ready for JSON."""


class Workbench:
    """Everything a measure needs."""

    def __init__(self, painter: Painter, scope: Scope) -> None:
        self.painter = painter
        self.scope = scope
        self.prompts = textures(painter.settings.model)

    def say(self, text: str) -> None:
        """Tell the person in front of it."""
        self.painter.progress.say(text)

    @cached_property
    def paper(self) -> PaperLoop:
        """The paper's loops, with the same model and settings."""
        return PaperLoop(self.painter.model, self.painter.settings)

    @cached_property
    def paper_as_long(self) -> PaperLoop:
        """The paper's loop, with regions that see themselves alone for as long as Tapestry's."""
        share = NO_EXPERT.bootstrapping
        return PaperLoop(self.painter.model, self.painter.settings, bootstrapping=share)

    @cached_property
    def colours(self) -> ColourJudge:
        """The judge of colours, taught by the model's own plain pictures as they are needed."""
        return ColourJudge(self.painter.plain)

    @cached_property
    def parts(self) -> SceneParts:
        """The judge of skies and grounds, taught likewise."""
        return SceneParts(self.painter.plain)

    @cached_property
    def peer(self) -> DiffusersPanorama:
        """Diffusers' panorama pipeline, with the same model and settings."""
        transformers.utils.logging.set_verbosity_error()  # it warns while it is imported
        from ..peers.diffusers_panorama import DiffusersPanorama  # noqa: PLC0415  only where something is compared

        return DiffusersPanorama(self.painter.model, self.painter.folder, self.painter.settings)

    @cached_property
    def plain_pictures(self) -> np.ndarray:
        """The model's own pictures of each prompt, uint8 [K, N, H, W, 3]."""
        count = (4 if self.scope.quick else 8) + _UNSEEN
        self.say(f"painting {count} plain pictures of each of {len(self.prompts)} prompts")
        return np.stack(
            [
                [self.painter.plain(prompt, 100 * k + i) for i in range(count)]
                for k, prompt in enumerate(self.prompts)
            ]
        )

    @cached_property
    def judge(self) -> Judge:
        """The patch classifier, taught by the model's own plain pictures."""
        pictures = self.plain_pictures[:, :-_UNSEEN]
        self.say("teaching the judge of patches")
        judge = Judge.taught(pictures, self.prompts, self.painter.settings.seed)
        self.say(f"the judge names {self.judge_accuracy(judge):.1%} of unseen plain patches right")
        return judge

    def judge_accuracy(self, judge: Judge) -> float:
        """Share of patches named rightly in plain pictures that the judge was not taught with."""
        return float(judge.accuracy(self.plain_pictures[:, -_UNSEEN:]).mean())
