"""What the pictures of `bench speed` are worth, by the quality benchmark's measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from ...tasks.plan import make_plan
from ..common.layouts import make_layouts
from ..common.painter import Painter
from ..metrics.seams import seam_ratio
from ..metrics.style import spread, style_unit
from ..quality import adherence, seams
from ..quality.workbench import Scope, Workbench
from .cases import Asked, Effort


class Worth:
    """Seams, drift and obedience of pictures; what they are measured with is made when needed."""

    def __init__(self, painter: Painter, effort: Effort) -> None:
        self._bench = Workbench(painter, Scope(quick=True, alone=True))
        self._effort = effort
        self._speeds: dict[str, Mapping[str, float]] = {}

    def beside_diffusers(
        self, asked: Asked, own: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Two panoramas uint8 [H, W, 3] of one request, ours and that of diffusers' pipeline.

        seams      change across the borders of windows over change elsewhere; 1 = none
        spread     how far style drifts between windows' worth of the picture; 0 = the same
        """
        model = self._bench.painter.model
        step = max(1, model.window // 8)
        every_eighth = range(step, own.shape[1] // model.cell_px, step)
        ours = seams.window_borders(make_plan(asked.request, model))
        return {
            **self._panorama("", own, ours),
            **self._panorama("peer_", other, every_eighth),
        }

    def _panorama(self, name: str, picture: np.ndarray, borders: Sequence[int]) -> dict[str, float]:
        cell_px, side = self._bench.painter.model.cell_px, self._bench.painter.window_px
        places = [cell_px * border for border in borders]
        return {
            f"{name}seams": seam_ratio(picture, places, cell_px),
            f"{name}spread": spread(picture, side, self._unit),
        }

    def beside_quality(self, speed: str) -> dict[str, float]:
        """Adherence and seams of a speed, and of "quality", over the effort's layouts and seeds."""
        return {
            **self._of_speed(speed),
            **{f"quality_{name}": value for name, value in self._of_speed("quality").items()},
        }

    def _of_speed(self, speed: str) -> Mapping[str, float]:
        if speed not in self._speeds:
            bench, painter = self._bench, self._bench.painter
            layouts = [
                layout
                for layout in make_layouts(bench.prompts, painter.window_px)
                if layout.name in self._effort.layouts
            ]
            bench.say(f"{speed}: adherence to {len(layouts)} layouts")
            obeyed = adherence.measure(
                lambda layout, seed: painter.layout(layout, seed, speed=speed),
                layouts,
                bench.judge,
                painter.window_px,
            )
            joined = seams.panoramas(bench, self._effort.panoramas, speed=speed)
            self._speeds[speed] = {
                "adherence": obeyed.mean,
                "seams": float(np.mean([ratio for ratio, _ in joined])),
            }
        return self._speeds[speed]

    @cached_property
    def _unit(self) -> np.ndarray:
        pictures = self._bench.plain_pictures
        return style_unit(pictures.reshape(-1, *pictures.shape[2:]))
