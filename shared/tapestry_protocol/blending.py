"""How a layer's coverage and that of the layers below become one: Porter and Duff's operators.

A layer of coverage a on a backdrop of coverage b adds `a * above(b)` and leaves `below(a)` of what
was there. Blending modes that change colours alone count as "over".

T. Porter and T. Duff, "Compositing Digital Images", SIGGRAPH 1984.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KeptPart = Literal["all", "none", "in", "out"]
"""The share of one picture by the other one's coverage c: 1, 0, c, 1 - c."""


@dataclass(frozen=True)
class Operator:
    """The share of the layer by what lies below, and of what lies below by the layer.

    kept  the share that lower regions keep of their own area. Unlike `below`, it does not count
          what the layer merely hides: upper regions win over lower ones anyway.
    """

    above: KeptPart
    below: KeptPart
    kept: KeptPart = "all"

    @property
    def adds_paint(self) -> bool:
        """Whether the layer can be seen itself; else it only takes away from others."""
        return self.above != "none"

    @property
    def needs_backdrop(self) -> bool:
        """Whether what lies below decides how much of the layer is seen."""
        return self.above in {"in", "out"}


OVER = Operator("all", "out")
ATOP = Operator("in", "out")
"""Also what Krita calls inherited alpha, and other programs clipping."""

_OPERATORS = {
    "src-over": OVER,
    "src-atop": ATOP,
    "dst-over": Operator("out", "all"),
    "dst-in": Operator("none", "in", "in"),
    "dst-out": Operator("none", "out", "out"),
    "dst-atop": Operator("out", "in", "in"),
    "src-in": Operator("in", "none", "none"),
    "src-out": Operator("out", "none", "none"),
    "xor": Operator("out", "out", "out"),
    "clear": Operator("none", "none", "none"),
    "src": Operator("all", "none", "none"),
    "dst": Operator("none", "all"),
}
"""By their names in SVG, which OpenRaster writes as "svg:src-over"."""

_KRITA = {
    "erase": "dst-out",
    "behind": "dst-over",
    "destination-in": "dst-in",
    "destination-atop": "dst-atop",
    "copy": "src",
    "clear": "clear",
}
"""Krita's names of blending modes that change the coverage."""


def operator_of(name: str) -> Operator:
    """The operator of a blending mode: "svg:dst-out" and "krita:erase" as OpenRaster has them.

    A name without a prefix is Krita's own. All others change colours alone.
    """
    family, _, mode = name.strip().lower().rpartition(":")
    return _OPERATORS.get(mode if family == "svg" else _KRITA.get(mode, ""), OVER)
