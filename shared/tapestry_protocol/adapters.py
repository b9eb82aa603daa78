"""What a request says about adapters: LoRAs, and pictures that say what shall be where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from .constraints import Between, MaxLength
from .fields import UnitShare
from .limits import MAX_ADAPTER_WEIGHT, MAX_CONTROL_TYPES, MAX_ID_CHARACTERS
from .pixels import Bounds, PixelsRef

AdapterId = Annotated[str, MaxLength(MAX_ID_CHARACTERS)]
FamilyName = Literal[
    "", "sd1", "sd2", "sdxl", "sd3", "flux", "z_image", "flux2", "chroma", "qwen_image"
]
"""Models that take the same adapters; empty where it is unknown."""

ControlType = Literal[
    "",
    "canny",
    "soft_edges",
    "depth",
    "normals",
    "pose",
    "segments",
    "tile",
    "blur",
    "grey",
    "low_quality",
]
"""What a picture says to a ControlNet that is several in one; empty: what was made of it tells."""

MAPS = ("regions", "ade20k")
"""What is shown of the regions' places alone, without a picture."""


_LORAS_ALSO: Mapping[str, str] = {"chroma": "flux"}
"""Families whose layers another family's files call alike: Chroma was made out of FLUX.1."""


def may_fit(kind: str, made_for: str, family: str) -> bool:
    """Whether an adapter of this kind, made for one family or none, may fit models of another."""
    return made_for in {"", family} or (kind == "lora" and _LORAS_ALSO.get(family) == made_for)


@dataclass(frozen=True)
class Lora:
    """A small change of the model, by its id in the welcome's list; with a weight of 0, none."""

    adapter: AdapterId
    weight: Annotated[float, Between(-MAX_ADAPTER_WEIGHT, MAX_ADAPTER_WEIGHT)] = 1.0


@dataclass(frozen=True)
class Control:
    """A picture that a ControlNet, a T2I-Adapter or an IP-Adapter is shown.

    It says what shall be where; to an IP-Adapter, what the style or the subject is.

    adapter       its id in the welcome's list
    preprocessor  what it is shown: "none": the picture, on black; "lines": what is painted on the
                  layer, white on black; "canny": the picture's edges; "soft_edges": the same, thick
                  where they are strong; without a picture "regions", the map of the regions, each
                  in a colour of its own, and "ade20k", the same in the colours of ADE20K's classes
    bounds, image   the picture, RGBA, filling `bounds`, in coordinates of the canvas before
                  extension; None for a map
    weight        how firmly; 0: not at all
    start, end    the share of the steps from which on and until which it counts
    control_type  as what a ControlNet of several types in one (union) takes the picture; others
                  have none
    """

    adapter: AdapterId
    preprocessor: Literal["none", "lines", "canny", "soft_edges", "regions", "ade20k"] = "none"
    bounds: Bounds | None = None
    image: PixelsRef | None = None
    weight: Annotated[float, Between(0.0, MAX_ADAPTER_WEIGHT)] = 1.0
    start: UnitShare = 0.0
    end: UnitShare = 1.0
    control_type: ControlType = ""


@dataclass(frozen=True)
class AdapterInfo:
    """Something the backend can lay on a model, or show it.

    kind     "embedding": a word for prompts, the others by their id
    family   the models that it fits, such as "sd1"; empty where its file does not say
    types    of a ControlNet that is several in one (union): those that it knows
    """

    id: AdapterId
    kind: Literal["lora", "controlnet", "t2i_adapter", "ip_adapter", "embedding"]
    family: FamilyName = ""
    types: Annotated[tuple[ControlType, ...], MaxLength(MAX_CONTROL_TYPES)] = ()
