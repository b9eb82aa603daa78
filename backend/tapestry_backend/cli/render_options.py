"""The options of commands that paint scenes, and what they say about a request."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from tapestry_protocol.adapters import Lora
from tapestry_protocol.limits import MAX_SIDE_PX
from tapestry_protocol.messages import Expert, Request
from tapestry_protocol.pixels import Margins, Point
from tapestry_protocol.sentences import quoted

from ..checkpoints.adapter_recognition import read_adapter
from ..checkpoints.catalogue import SAMPLE
from ..checkpoints.folders import is_weights
from ..values import read_loras, read_value, words_of
from .provenance_options import add_provenance

MODEL: dict[str, Any] = {
    "metavar": "PATH_OR_ID",
    "help": "a checkpoint: a .safetensors file, a folder in diffusers layout, or an id that "
    "`tapestry models` lists",
}

ADAPTER: dict[str, Any] = {
    "metavar": "PATH",
    "action": "append",
    "default": [],
    "help": "a LoRA or textual inversion as .safetensors, a folder with a ControlNet or a "
    "T2I-Adapter, or a folder of such (may be repeated)",
}

SCENES = (
    "Every visible layer or group of a scene that has a name and some paint is a region: its name "
    'is the prompt, the topmost of overlapping ones wins. A layer named "Background", or the '
    "bottom one where it covers everything, stands for the rest of the canvas."
)
"""What a scene's layers mean."""

_SIDES = tuple(field.name for field in fields(Margins))
_FIELDS = {field.name: field for field in fields(Request)}
_EXPERT_FIELDS = {field.name: field for field in fields(Expert)}


def add_render_options(parser: argparse.ArgumentParser) -> None:
    """All of them; see `request_settings` for what they mean together."""
    parser.description = SCENES
    _add_files(parser.add_argument)
    add_painting_options(parser)
    add_provenance(parser)


def add_painting_options(
    parser: argparse.ArgumentParser, seed: str = "another picture for each number"
) -> None:
    """What a scene is painted with; seed: what its option means."""
    _add_tasks(parser.add_argument_group("what is painted (the whole canvas without these)"))
    _add_prompts(parser.add_argument_group("prompts and regions"))
    _add_adapters(parser.add_argument_group("adapters (docs/adapters.md)"))
    add_steps(parser.add_argument_group("how it is painted"), seed=seed)
    _add_canvas(parser.add_argument_group("canvases larger than the model's own size"))
    _add_expert(parser.add_argument_group("for experts: what has a good default"))


def take_lora_files(options: argparse.Namespace) -> None:
    """Files among the LoRAs become adapters that are named by their paths.

    Of one that holds a word alone nothing else is left: the word says it. Raises TapestryError for
    a file that is none.
    """
    loras: list[Lora] = []
    for lora in getattr(options, "loras", ()):
        path = Path(lora.adapter)
        if not is_weights(path.name):
            loras.append(lora)
            continue
        options.adapter = [*options.adapter, str(path)]
        if read_adapter(path).kind != "embedding":
            loras.append(lora)
    if hasattr(options, "loras"):
        options.loras = tuple(loras)


def request_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a request that were named as they are; the scene decides the others."""
    named = vars(options)
    settings = {name: value for name, value in named.items() if name in _FIELDS}
    expert = {name: value for name, value in named.items() if name in _EXPERT_FIELDS}
    return settings | ({"expert": Expert(**expert)} if expert else {})


def _add_files(add: Callable[..., object]) -> None:
    add("scene", metavar="SCENE.ora", type=Path)
    add(
        *("-o", "--output"),
        metavar="OUT.ora|OUT.png",
        type=Path,
        action="append",
        required=True,
        help="the scene with the result as a new layer, or a flat picture (may be repeated)",
    )
    add_report(add)
    add_layered(add)
    add_quiet(add)


def add_layered(add: Callable[..., object]) -> None:
    """Whether an .ora file gets the result in parts."""
    add(
        "--layered",
        action="store_true",
        default=argparse.SUPPRESS,
        help="each region's own picture as a layer of the .ora file, in a group",
    )


def add_report(add: Callable[..., object]) -> None:
    """A file for what was done."""
    add(
        "--report", metavar="FILE.json", type=Path, help="write what was done, and how long it took"
    )


def add_quiet(add: Callable[..., object]) -> None:
    """Whether the progress is shown."""
    add("--quiet", action="store_true", help="say nothing unless something is wrong")


def _add_tasks(group: argparse._ArgumentGroup) -> None:
    tasks = group.add_mutually_exclusive_group()
    tasks.add_argument(
        "--extend",
        metavar="SIDE=PIXELS,...",
        type=_margins,
        default=Margins(),
        help="grow the picture and paint the new part, for instance left=256,right=256",
    )
    tasks.add_argument(
        "--refine",
        metavar="LAYER|MASK.png",
        help="paint over what is there, where this layer of the scene has paint (a hidden layer is "
        "a selection alone) or where the mask is white",
    )
    tasks.add_argument("--fill", metavar="LAYER|MASK.png", help="paint something new there instead")
    add_field(
        group, "--strength", "strength", "X", "how far --refine may go from what is there, 0 to 1"
    )
    group.add_argument(
        "--no-continue",
        dest="continue_regions",
        action="store_false",
        default=argparse.SUPPRESS,
        help="--extend: regions end at the old edge; without this, one that touches it goes on "
        "beyond it",
    )
    add_field(
        group,
        "--under",
        "under_px",
        "PIXELS",
        "--extend: go on this far underneath the old picture, for soft edges; the result is the "
        "lowest layer then",
    )
    add_field(
        group,
        "--harmonise",
        "harmonise",
        "N",
        "--extend and --fill: take the steps in the middle back and again this often, 0 to 10, so "
        "that new and old fit; each takes up to two thirds of the time more: 3 up to three times "
        "as long, 10 up to eight times",
    )


def _add_prompts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--background", metavar="PROMPT", help="for everything that no region covers"
    )
    add_field(group, "--negative-prompt", "negative_prompt", "PROMPT", "what should not be there")
    add_field(group, "--style", "style", "TEXT", "added to every prompt")
    add_region(group)
    add_field(
        group, "--feather", "feather_px", "PIXELS", "soften the outlines of regions and selection"
    )


def add_region(group: argparse._ArgumentGroup) -> None:
    """What is said of one region of a scene."""
    group.add_argument(
        "--region",
        nargs=2,
        action="append",
        default=[],
        metavar=("LAYER", "SETTINGS"),
        help='settings of one region, for instance --region "red bricks" weight=2,seed=7; also '
        "guidance=X, fit=tight|loose, strength=X (below 1: start from the layer's own colours), "
        "lora=NAME:WEIGHT;... and negative=PROMPT",
    )


def add_loras(group: argparse._ArgumentGroup, *, has_regions: bool = True) -> None:
    """LoRAs of the whole picture."""
    of_one = "; for one region alone: --region LAYER lora=sample-ink:0.8" if has_regions else ""
    group.add_argument(
        "--lora",
        dest="loras",
        type=_loras,
        default=argparse.SUPPRESS,
        metavar="NAME|FILE:WEIGHT;...",
        help="lay LoRAs on the model, for instance sample-ink:0.8 or my-wool.safetensors" + of_one,
    )


def _add_adapters(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--adapter", **ADAPTER)
    add_loras(group)
    add_controls(group)


def add_controls(group: argparse._ArgumentGroup) -> None:
    """Layers of a scene that say what shall be where."""
    group.add_argument(
        "--control",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "SETTINGS"),
        help="show a layer to a ControlNet or T2I-Adapter, for instance --control sample-scribble "
        "layer=sketch,show=lines; also weight=X, start=X, end=X, region=LAYER (for that region "
        "alone), and show=none|canny|soft_edges, or show=regions|ade20k without a layer; the layer "
        "is no region then",
    )


def add_steps(
    group: argparse._ArgumentGroup,
    *,
    has_scheduler: bool = True,
    seed: str = "another picture for each number",
) -> None:
    """The model, and how it takes its steps."""
    group.add_argument("--model", **MODEL, default=SAMPLE)
    add_field(group, "--seed", "seed", "N", seed)
    add_field(group, "--steps", "num_inference_steps", "N", "how many steps are taken")
    add_field(group, "--guidance-scale", "guidance_scale", "X", "how closely prompts are followed")
    add_field(
        group,
        "--clip-skip",
        "clip_skip",
        "N",
        "layers of CLIP left out at its end: 1 is what A1111 calls clip skip 2",
    )
    add_field(group, "--speed", "speed", None, "how much is left out to be faster")
    add_field(
        group,
        "--step-cache",
        "step_cache",
        "X",
        "transformers: windows that change by no more than this from step to step are not computed "
        "to the end; 0: all are",
    )
    if not has_scheduler:
        return
    add_field(
        group, "--scheduler", "scheduler", "NAME", "how steps are taken: " + _words("scheduler")
    )


def _add_canvas(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--wrap", action="store_true", help="let the left and right edge continue each other"
    )
    add_field(
        group,
        "--composition",
        "composition",
        "X",
        "how firmly the picture keeps to a small draft of the whole; 0: no draft",
    )
    add_field(
        group, "--coherence", "coherence", "X", "how firmly windows keep to the look of one; 0: off"
    )
    add_field(
        group,
        "--melt",
        "melt",
        "X",
        "paint all layers together, as one picture from their own colours (see strength in "
        "--region), and let the words of each look at its place this firmly; 0: each by itself",
    )


def _add_expert(group: argparse._ArgumentGroup) -> None:
    add_field(group, "--overlap", "overlap", None, "the upper region wins, or both are averaged")
    add_field(
        group,
        "--bootstrapping",
        "bootstrapping",
        "X",
        "the share of the steps in which a tight region sees only its own mask",
    )
    add_field(group, "--windows", "windows", None, "fixed windows that overlap, or moving ones")
    add_field(
        group, "--stride", "stride_px", "PIXELS", "from window to window; 0: what --speed says"
    )
    add_field(
        group, "--window-weighting", "window_weighting", None, "how windows fade to their edges"
    )
    add_field(group, "--fusion", "fusion", None, "what counts where windows overlap")
    add_field(
        group,
        "--framing",
        "framing",
        None,
        "what a model that asks for sizes is told: each window is a picture of its own, or a part "
        "of the canvas",
    )
    group.add_argument(
        "--anchor",
        metavar="left=X,top=Y",
        type=_point,
        default=argparse.SUPPRESS,
        help="a point in the window that --coherence follows (the middle of the picture otherwise)",
    )
    add_grounding(group)


def add_grounding(group: argparse._ArgumentGroup) -> None:
    """For how long boxes count."""
    add_field(
        group,
        "--grounding",
        "grounding",
        "X",
        "the share of the steps in which a model that reads boxes (GLIGEN) is told where regions "
        "lie",
    )


def add_field(
    group: argparse._ArgumentGroup, flag: str, field: str, metavar: str | None, meaning: str
) -> None:
    """An option for one field of a request: its limits and its default are the field's."""
    words = words_of(_owner(field), field)
    group.add_argument(
        flag,
        dest=field,
        default=argparse.SUPPRESS,
        metavar=metavar,
        help=meaning + _default(field),
        **({"choices": words} if words else {"type": value_of(field)}),
    )


def _default(field: str) -> str:
    """What holds without the option, as a part of its help."""
    value = (_FIELDS | _EXPERT_FIELDS)[field].default
    return "" if value == "" else f" ({value})"


def _owner(field: str) -> type:
    return Request if field in _FIELDS else Expert


def _words(field: str) -> str:
    return ", ".join(words_of(_owner(field), field))


def value_of(field: str, owner: type | None = None) -> Callable[[str], Any]:
    """An argparse type: a value of this field of `owner`, or of the request."""

    def convert(text: str) -> Any:
        try:
            return read_value(owner or _owner(field), field, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _loras(text: str) -> tuple[Lora, ...]:
    """An argparse type: "ink:0.8;grain"."""
    try:
        return read_loras(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _margins(text: str) -> Margins:
    """An argparse type: "left=256,right=256"."""
    margins: dict[str, int] = {}
    for part in text.split(","):
        side, _, pixels = (piece.strip() for piece in part.partition("="))
        if side not in _SIDES or side in margins or not _is_number(pixels):
            raise argparse.ArgumentTypeError(
                f"{quoted(part.strip()[:40])} is no side with its pixels; write for instance "
                "left=256,right=256 (sides: left, right, top, bottom)"
            )
        margins[side] = min(int(pixels[:9]), MAX_SIDE_PX + 1)
        if margins[side] > MAX_SIDE_PX:
            raise argparse.ArgumentTypeError(f"a side grows by {MAX_SIDE_PX} pixels at most")
    if not any(margins.values()):
        raise argparse.ArgumentTypeError("no side grows; give at least one of them some pixels")
    return Margins(**margins)


def _point(text: str) -> Point:
    """An argparse type: "left=640,top=128"; what is added on the left or top is negative."""
    place: dict[str, int] = {}
    for part in text.split(","):
        edge, _, pixels = (piece.strip() for piece in part.partition("="))
        number = pixels.removeprefix("-")
        if edge in {"left", "top"} and edge not in place and _is_number(number):
            place[edge] = int(pixels[:9])
    if len(place) != text.count(",") + 1 or len(place) != 2:
        raise argparse.ArgumentTypeError(
            f"{quoted(text[:40])} is no point; write for instance left=640,top=128"
        )
    if not all(abs(pixels) <= MAX_SIDE_PX for pixels in place.values()):
        raise argparse.ArgumentTypeError(f"{quoted(text[:40])} lies outside any canvas")
    return Point(**place)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
