"""What the artist has set in the docker, and how it is kept between two starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from tapestry_protocol.fields import EditMethod, PictureShown, Scheduler, Speed, TeachMethod
from tapestry_protocol.limits import (
    MAX_FACTOR,
    MAX_FEATHER_PX,
    MAX_GUIDANCE_SCALE,
    MAX_HARMONISING,
    MAX_ID_CHARACTERS,
    MAX_INTERPOLATION,
    MAX_LEARNING_STEPS,
    MAX_SEED,
    MAX_STEPS,
    MAX_TAUGHT_WORD_CHARACTERS,
    MAX_UNDER_PX,
)
from tapestry_protocol.messages import EDIT_STRENGTHS, Edit, Request
from tapestry_protocol.pixels import Margins

from ..common.stored_json import read_kept, same_kind

Mode = Literal["generate", "extend", "refine", "fill", "edit", "upscale", "teach"]
MODES: tuple[Mode, ...] = get_args(Mode)
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)
SPEEDS: tuple[Speed, ...] = get_args(Speed)
EDIT_METHODS: tuple[EditMethod, ...] = get_args(EditMethod)
PICTURES_SHOWN: tuple[PictureShown, ...] = get_args(PictureShown)
UpscaleInto = Literal["document", "new", "selection"]
UPSCALE_INTO: tuple[UpscaleInto, ...] = get_args(UpscaleInto)
"""The document grows; its picture, or that of what is selected, becomes a new document."""

SIDES = ("top", "left", "bottom", "right")
LARGEST_EXTENSION_PX = 16_384
LARGEST_CONTEXT_PX = 4096
SMALLEST_FACTOR = 1.5
TIMES_AT_ONCE = 4
"""How many times as large the button makes a picture that needs not be there yet."""

TEACH_METHODS: tuple[TeachMethod, ...] = get_args(TeachMethod)
TeachFrom = Literal["layers", "selection", "group", "history"]
ReferenceFrom = Literal["none", "layer", "favourites"]
REFERENCE_FROM: tuple[ReferenceFrom, ...] = get_args(ReferenceFrom)
TEACH_FROM: tuple[TeachFrom, ...] = get_args(TeachFrom)
LARGEST_TEACHING_MIN = 120.0

MOST_PICTURES = 64
SMALLEST_HISTORY_MB, LARGEST_HISTORY_MB = 16, 1_000_000
"""What pictures of histories may take on disk."""


@dataclass
class Settings:
    """The docker's fields; layer names come from the document.

    only_selection   "generate": paint what is selected and leave the rest as it is
    selection_prompt "refine" and "fill": what the selection shows, instead of its regions
    extend_*         how far each side is extended, pixels
    continue_regions regions that touch an extended edge go on beyond it
    wrap             the left and right edge continue each other (360 degrees)
    strength, feather_px, context_px   "refine" and "fill"; the context is how much of the picture
                     around the selection is looked at
    edit_*           "edit": the words for what is there and for what it becomes, or an instruction;
                     how, how far back, how clearly a place must show what is there, how long shapes
                     stay, how closely an instruction keeps to the picture, what of it the model is
                     shown, the model that inverts
                     and whether the way back is told, how far a learned picture goes to the words,
                     and how long it is learned
    upscale_*        "upscale": how many times as large, how far from what is there, and where to
    upscaler         the network that enlarges; empty: a filter
    teach_*          "teach": the word, what it is near to, how and for how long, what its examples
                     are and how else they are shown, and what the artist says about its use
    outline_px       softens the outlines of all regions
    melt             "generate": above 0 all layers are painted together, as one picture
    speed            what may be left out to be done sooner
    step_cache       transformers: by how much a window may change and is not computed to the end
    batch            pictures to be made, with seeds in sequence
    apply_at_once    whether a single finished picture becomes a layer without being asked for
    in_regions       a picture comes as a group with a layer for each region
    live_on_canvas, live_in_docker   where a picture on its way is shown
    live_quick   whether live painting takes few steps, where the model has a way of its own
    live_steps, live_strength   of what is painted live; below a strength of 1 each region starts
                     from its own colours
    history_mb       what the pictures of all histories may take on disk
    """

    mode: Mode = "generate"
    prompt: str = ""
    negative_prompt: str = ""
    style: str = ""
    only_selection: bool = False
    selection_prompt: str = ""
    extend_top: int = 0
    extend_left: int = 0
    extend_bottom: int = 0
    extend_right: int = 128
    continue_regions: bool = True
    under_px: int = 0
    harmonise: int = 0
    wrap: bool = False
    strength: float = 0.5
    feather_px: int = 8
    context_px: int = 256
    edit_from: str = ""
    edit_to: str = ""
    edit_instruction: str = ""
    edit_method: EditMethod = "diffedit"
    edit_strength: float = EDIT_STRENGTHS["diffedit"]
    edit_threshold: float = 0.5
    edit_cross_attention: float = Edit.cross_attention
    edit_self_attention: float = Edit.self_attention
    edit_features: float = Edit.features
    edit_picture_scale: float = Edit.picture_scale
    edit_picture_shown: PictureShown = Edit.picture_shown
    edit_reference_from: ReferenceFrom = "none"
    edit_reference: str = ""
    edit_source_model: str = ""
    edit_cycle: bool = False
    edit_interpolation: float = Edit.interpolation
    edit_learning_steps: int = Edit.learning_steps
    upscale_factor: float = 2.0
    upscale_strength: float = 0.3
    upscale_into: str = "document"
    upscaler: str = ""
    teach_word: str = ""
    teach_like: str = ""
    teach_method: TeachMethod = "lora"
    teach_minutes: float = 10.0
    teach_from: TeachFrom = "layers"
    teach_group: str = ""
    teach_flips: bool = True
    teach_turns: bool = False
    teach_light: bool = False
    teach_licence: str = ""
    outline_px: int = 0
    seed: int = 42
    seed_locked: bool = True
    batch: int = 1
    num_inference_steps: int = 20
    guidance_scale: float = 5.0
    scheduler: str = "checkpoint"
    speed: str = "quality"
    step_cache: float = 0.0
    coherence: float = 0.5
    melt: float = 0.0
    composition: float = 0.5
    model: str = "sample"
    apply_at_once: bool = True
    in_regions: bool = False
    live_on_canvas: bool = True
    live_in_docker: bool = True
    live_steps: int = 6
    live_quick: bool = True
    live_strength: float = 1.0
    history_mb: int = 1024

    @property
    def margins(self) -> Margins:
        """How far Extend makes the canvas larger."""
        return Margins(*(getattr(self, f"extend_{side}") for side in SIDES))

    def to_text(self) -> str:
        """All fields as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Settings:
        """The fields that `to_text` wrote; what is damaged or out of range stays at its default."""
        settings = cls()
        for name, value in sound_values(read_kept(text)).items():
            setattr(settings, name, value)
        return settings


_SHARES_OF_SHAPES = ("cross_attention", "self_attention", "features")

LIMITS: Mapping[str, tuple[float, float]] = {
    **{f"extend_{side}": (0, LARGEST_EXTENSION_PX) for side in SIDES},
    "under_px": (0, MAX_UNDER_PX),
    "harmonise": (0, MAX_HARMONISING),
    "strength": (0.05, 1.0),
    "feather_px": (0, MAX_FEATHER_PX),
    "context_px": (0, LARGEST_CONTEXT_PX),
    "edit_strength": (0.05, 1.0),
    **{f"edit_{name}": (0.0, 1.0) for name in ("threshold", *_SHARES_OF_SHAPES)},
    "edit_picture_scale": (0.0, MAX_GUIDANCE_SCALE),
    "edit_interpolation": (0.0, MAX_INTERPOLATION),
    "edit_learning_steps": (1, MAX_LEARNING_STEPS),
    "upscale_factor": (SMALLEST_FACTOR, MAX_FACTOR),
    "upscale_strength": (0.0, 1.0),
    "teach_minutes": (0.5, LARGEST_TEACHING_MIN),
    "outline_px": (0, MAX_FEATHER_PX),
    "seed": (0, MAX_SEED),
    "batch": (1, MOST_PICTURES),
    "history_mb": (SMALLEST_HISTORY_MB, LARGEST_HISTORY_MB),
    "num_inference_steps": (1, MAX_STEPS),
    "live_steps": (1, MAX_STEPS),
    "live_strength": (0.05, 1.0),
    "guidance_scale": (0.0, MAX_GUIDANCE_SCALE),
    "step_cache": (0.0, 1.0),
    "coherence": (0.0, 1.0),
    "melt": (0.0, 1.0),
    "composition": (0.0, 1.0),
}
"""The least and the most of every number."""


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": MODES,
    "scheduler": SCHEDULERS,
    "speed": SPEEDS,
    "edit_method": EDIT_METHODS,
    "edit_picture_shown": PICTURES_SHOWN,
    "upscale_into": UPSCALE_INTO,
    "teach_method": TEACH_METHODS,
    "edit_reference_from": REFERENCE_FROM,
    "teach_from": TEACH_FROM,
}


def sound_values(kept: Any) -> dict[str, Any]:
    """Those of the given fields that are what a field of that name may be."""
    if not isinstance(kept, dict):
        return {}
    default = Settings()
    good = {}
    for field in fields(Settings):
        value = same_kind(kept.get(field.name), getattr(default, field.name))
        if value is not None and _is_in_range(field.name, value):
            good[field.name] = value
    return good


def settings_of(request: Request) -> dict[str, Any]:
    """The fields that would ask for the same again, as far as a request tells them."""
    asked = dict(vars(request))
    if request.task == "upscale":
        asked["upscale_strength"] = asked.pop("strength")
        asked["upscale_factor"] = request.factor
    if request.edit is not None:
        asked |= _words_of(request, request.edit)
        del asked["prompt"], asked["strength"]
    if request.selection is None:
        asked["outline_px"] = asked.pop("feather_px")
    if not request.margins.is_zero:
        asked |= {f"extend_{side}": getattr(request.margins, side) for side in SIDES}
    return sound_values(asked)


def _words_of(request: Request, edit: Edit) -> dict[str, Any]:
    """What an edit says, as fields of the docker."""
    if edit.method == "instruct":
        instructions = [*(region.prompt for region in request.regions), request.prompt]
        return {
            "edit_instruction": "; ".join(dict.fromkeys(words for words in instructions if words)),
            "edit_method": edit.method,
            "edit_strength": request.strength,
            "edit_picture_scale": edit.picture_scale,
            "edit_picture_shown": edit.picture_shown,
        }
    renamed = [(r.source_prompt, r.prompt) for r in request.regions if r.source_prompt is not None]
    now, wanted = renamed[0] if renamed else (edit.source_prompt, request.prompt)
    said = {"from": now, "to": wanted, "strength": request.strength, "method": edit.method}
    for name in (
        *("threshold", *_SHARES_OF_SHAPES, "source_model", "cycle"),
        *("interpolation", "learning_steps"),
    ):
        said[name] = getattr(edit, name)
    if not edit.threshold:  # a layer or a selection said where
        del said["threshold"]
    return {f"edit_{name}": value for name, value in said.items()}


def _is_in_range(name: str, value: Any) -> bool:
    if name in _CHOICES:
        return value in _CHOICES[name]
    if name == "teach_word":
        return len(value) <= MAX_TAUGHT_WORD_CHARACTERS
    if name in {"upscaler", "edit_source_model"}:
        return len(value) <= MAX_ID_CHARACTERS
    if name == "model":
        return 0 < len(value) <= MAX_ID_CHARACTERS
    low, high = LIMITS.get(name, (None, None))
    return low is None or low <= value <= high
