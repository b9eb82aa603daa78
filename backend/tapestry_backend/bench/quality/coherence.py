"""Coherence: how far panoramas drift in colour and texture, off and on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.layouts import make_layouts
from ..common.prompts import drifting
from ..metrics.style import spread, style_unit
from . import adherence
from .captioned import CaptionedPicture
from .workbench import Measured, Workbench

_ON = 1.0


def measure_coherence(bench: Workbench) -> Measured:
    """The spread of style over windows' worth of panoramas, and adherence beside it."""
    bench.say("coherence: what colour and texture vary by among the prompts' plain pictures")
    unit = style_unit(bench.plain_pictures.reshape(-1, *bench.plain_pictures.shape[2:]))
    side = bench.painter.window_px
    figures: dict[str, float] = {}
    errors: dict[str, float] = {}
    pictures: dict[str, list[np.ndarray]] = {}
    for name, strength in {"off": 0.0, "on": _ON}.items():
        pictures[name] = panoramas(bench, strength)
        spreads = [spread(picture, side, unit) for picture in pictures[name]]
        figures[name] = float(np.mean(spreads))
        errors[name] = float(np.std(spreads) / len(spreads) ** 0.5)
        figures[f"adherence_{name}"] = layouts_adherence(bench, strength)
    figures["lower_by"] = 1 - figures["on"] / figures["off"]
    rows = [
        [CaptionedPicture(f"{prompt}, {name}", made[i]) for name, made in pictures.items()]
        for i, prompt in enumerate(_prompts(bench))
    ]
    return Measured(figures, rows, errors)


def panoramas(bench: Workbench, strength: float, **fields: Any) -> list[np.ndarray]:
    """Panoramas, uint8 [H, W, 3], of prompts that drift."""
    painter, side = bench.painter, bench.painter.window_px
    width = (4 if bench.scope.quick else 6) * side
    prompts = _prompts(bench)
    bench.say(f"coherence {strength:g}: {len(prompts)} panoramas")
    return [
        painter.paint(painter.request(side, width, prompt, 7000 + i, coherence=strength, **fields))[
            ..., :3
        ]
        for i, prompt in enumerate(prompts)
    ]


def layouts_adherence(bench: Workbench, strength: float, **fields: Any) -> float:
    """Mean IoU over layouts of two by two windows, to see whether coherence costs obedience."""
    painter = bench.painter
    layouts = [
        layout
        for layout in make_layouts(bench.prompts, painter.window_px)
        if layout.name in ({"2x2 quarters"} if bench.scope.quick else _LAYOUTS)
    ]
    bench.say(f"coherence {strength:g}: {len(layouts)} layouts")
    return adherence.measure(
        lambda layout, seed: painter.layout(layout, seed, coherence=strength, **fields),
        layouts,
        bench.judge,
        painter.window_px,
    ).mean


_LAYOUTS = {"2x2 quarters", "2x2 boxes", "2x2 circles", "2x2 letter", "2x2 checkerboard"}


def _prompts(bench: Workbench) -> list[str]:
    prompts = drifting(bench.painter.settings.model)
    return [prompts[i % len(prompts)] for i in range(3 if bench.scope.quick else 12)]
