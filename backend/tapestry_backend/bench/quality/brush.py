"""What the measures of a painter's brush share: who paints, and means over pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..common.layouts import RegionLayout
from .workbench import Workbench

Paint = Callable[[RegionLayout, int], np.ndarray]
"""(layout, seed) -> its picture, uint8 [H, W, 3]."""


def painters(bench: Workbench) -> dict[str, Paint]:
    """Tapestry and, unless it is measured alone, the paper's loop in its two settings.

    paper           as its authors set it
    paper_as_long   a region's path sees itself alone for as long as Tapestry's does
    """
    found: dict[str, Paint] = {"tapestry": bench.painter.layout}
    if not bench.scope.alone:
        found["paper"] = bench.paper.layout
        found["paper_as_long"] = bench.paper_as_long.layout
    return found


def means(found: Mapping[str, Sequence[float]]) -> tuple[dict[str, float], dict[str, float]]:
    """The mean of each list by name, and its standard error."""
    figures = {name: float(np.mean(each)) for name, each in found.items()}
    errors = {name: float(np.std(each) / len(each) ** 0.5) for name, each in found.items()}
    return figures, errors
