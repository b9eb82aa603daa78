"""What makes a request sensible as a whole, in sentences for an artist; used by both sides."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

from .adapters import MAPS
from .errors import ErrorCode, TapestryError
from .layer_names import plain_name
from .limits import (
    LEAST_ENLARGED_PX,
    MAX_CANVAS_PX,
    MAX_CONTROLS,
    MAX_FACTOR,
    MAX_NAMES,
    MAX_PROMPT_CHARACTERS,
    MAX_REGIONS,
    MAX_SIDE_PX,
)
from .messages import Control, Edit, PixelsRef, Region, Request
from .pixels import Bounds, Point
from .sentences import Sentence, quoted

LEAST_EXAMPLES = 2
"""A single picture teaches itself, with all that is in it by chance."""

_NO_WORD = re.compile(r"[^\w\s',;/&+|-]")
_TWO_WORDS = re.compile(r"[,;/&+|]|\b(?:and|und)\b", re.IGNORECASE)


def check_canvas(height: int, width: int) -> None:
    """Raises TapestryError when a canvas of this many pixels is more than Tapestry paints."""
    if height * width > MAX_CANVAS_PX or max(height, width) > MAX_SIDE_PX:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "A canvas of {width} x {height} pixels is too large.", width=width, height=height
            ),
            Sentence(
                "Tapestry paints up to {megapixels} megapixels and {side} pixels a side: "
                "scale the document down, or extend it by less.",
                megapixels=MAX_CANVAS_PX // 2**20,
                side=MAX_SIDE_PX,
            ),
        )


def upscaled_size(height: int, width: int, factor: float) -> tuple[int, int]:
    """The height and width of a picture that becomes larger.

    Raises TapestryError where there is none of that size, with the largest factor that there is.
    """
    if not 1 <= factor <= MAX_FACTOR:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "A picture becomes 1 to {most} times as large, not {factor} times.",
                most=f"{MAX_FACTOR:.0f}",
                factor=f"{factor:g}",
            ),
            "Choose a factor in between, or enlarge the result again.",
        )
    if min(height, width) < LEAST_ENLARGED_PX:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "A picture of {width} x {height} pixels is too small to become larger.",
                width=width,
                height=height,
            ),
            Sentence(
                "Choose one, or select a part, of at least {least} pixels a side.",
                least=LEAST_ENLARGED_PX,
            ),
        )
    rows, columns = round(height * factor), round(width * factor)
    if rows * columns > MAX_CANVAS_PX or max(rows, columns) > MAX_SIDE_PX:
        most = min(math.sqrt(MAX_CANVAS_PX / (height * width)), MAX_SIDE_PX / max(height, width))
        most = math.floor(100 * most) / 100
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "A picture of {width} x {height} pixels is too large.", width=columns, height=rows
            ),
            Sentence("Choose a factor of {most} at most, or a part of it.", most=f"{most:g}")
            if most > 1
            else "Choose a part of it: as a whole it is as large as a picture can be.",
        )
    return rows, columns


def check_region_count(count: int) -> None:
    """Raises TapestryError when there are more regions than one picture can hold."""
    if count > MAX_REGIONS:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "There are {count} regions; Tapestry paints up to {most} at once.",
                count=count,
                most=MAX_REGIONS,
            ),
            Sentence(
                "Hide or merge {count} layers, or put several into a group: a group counts "
                "as one region.",
                count=count - MAX_REGIONS,
            ),
        )


def check_prompt(prompt: str, of_what: Sentence) -> None:
    """Raises TapestryError when a prompt is longer than any model reads, or is no text."""
    if not prompt.isascii() and any("\ud800" <= sign <= "\udfff" for sign in prompt):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The prompt of {what} has signs that are no text in this terminal's encoding.",
                what=of_what,
            ),
            "Write it in UTF-8, for instance with LC_ALL=C.UTF-8 before the command.",
        )
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "The prompt of {what} has {count} characters.", what=of_what, count=len(prompt)
            ),
            Sentence("Shorten it to {count} characters at most.", count=MAX_PROMPT_CHARACTERS),
        )


def _check_prompts(request: Request) -> None:
    """Raises TapestryError when one of the whole picture's prompts is too long, or no text."""
    check_prompt(request.prompt, Sentence("the background"))
    check_prompt(request.negative_prompt, Sentence("what to avoid"))
    check_prompt(request.style, Sentence("the style"))


def check_contents(request: Request) -> None:
    """Raises TapestryError when its size, a prompt or a region is impossible, whatever the task."""
    margins = request.margins
    check_canvas(
        request.height + margins.top + margins.bottom,
        request.width + margins.left + margins.right,
    )
    check_region_count(len(request.regions))
    _check_prompts(request)
    for region in request.regions:
        _check_region(region)
    _check_controls(request.all_controls)


def check_request(request: Request) -> None:
    """Raises TapestryError when the request cannot become a picture, before any work is done."""
    check_contents(request)
    margins = request.margins
    if request.live and (request.task != "generate" or request.layered):
        raise _bad("Only a whole picture, as one layer, is painted live.")
    if request.melt:
        _check_melting(request)
    if request.step_cache:
        _check_step_cache(request)
    _TASKS[request.task](request)
    if request.task != "extend" and (not margins.is_zero or request.under_px):
        raise _bad("Only an extension takes margins.", 'Choose "extend", or leave them out.')
    if request.task not in {"extend", "fill"} and request.harmonise:
        raise _bad(
            "Only what is filled or extended is harmonised with what is there.",
            'Set "Harmonise" to 0.',
        )
    expert = request.expert
    if expert.fusion == "factors" and expert.windows == "shift":
        raise _bad(
            "Only fixed windows have overlaps that can be taken off.",
            'Choose windows "overlap", or fusion "mean".',
        )
    if expert.anchor is not None and not _is_painted(request, expert.anchor):
        raise _bad("The anchor of the coherence lies outside the canvas.", "Choose a point on it.")


def _check_melting(request: Request) -> None:
    advice = 'Set "Melt together" to 0.'
    if request.task != "generate":
        raise _bad("Layers melt together only where a whole picture is generated.", advice)
    if request.live:
        raise _bad("Layers that melt together are not painted live.", advice)


def _check_step_cache(request: Request) -> None:
    advice = 'Set "Step cache" to 0.'
    instructs = request.edit is not None and request.edit.method == "instruct"
    if request.task not in {"generate", "extend", "refine", "fill"} and not instructs:
        raise _bad(
            "The step cache is for pictures that are generated, extended, refined or filled, or "
            "follow an instruction.",
            advice,
        )
    if request.expert.windows == "shift":
        raise _bad(
            "Windows that move show something else at every step: nothing of them is remembered.",
            'Choose windows "overlap", or set "Step cache" to 0.',
        )


def _is_painted(request: Request, point: Point) -> bool:
    margins = request.margins
    down, right = point.top + margins.top, point.left + margins.left
    return (
        0 <= down < request.height + margins.top + margins.bottom
        and 0 <= right < request.width + margins.left + margins.right
    )


def _check_region(region: Region) -> None:
    name = region.prompt[:20]
    check_prompt(region.prompt, Sentence("the region {name}", name=quoted(name)))
    check_prompt(
        region.negative_prompt or "",
        Sentence("what to avoid in the region {name}", name=quoted(name)),
    )
    if not _fills(region.mask, region.bounds, channels=1):
        raise _bad(Sentence("The mask of {name} does not fill its bounds.", name=quoted(name)))
    if region.paint is not None and not _fills(region.paint, region.bounds, channels=4):
        raise _bad(Sentence("The paint of {name} does not fill its bounds.", name=quoted(name)))
    if region.strength < 1 and region.paint is None:
        raise _bad(
            Sentence(
                "The region {name} shall keep its paint, but its paint was not sent.",
                name=quoted(name),
            ),
            "Set its strength to 1, or send the layer's own colours along.",
        )


def _check_controls(controls: Sequence[Control]) -> None:
    if len(controls) > MAX_CONTROLS:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "There are {count} control pictures; Tapestry takes up to {most}.",
                count=len(controls),
                most=MAX_CONTROLS,
            ),
            Sentence("Leave {count} of them out.", count=len(controls) - MAX_CONTROLS),
        )
    for control in controls:
        _check_control(control)


def _check_control(control: Control) -> None:
    name = control.adapter[:40]
    if control.end <= control.start:
        raise _bad(
            Sentence("The control picture for {name} ends before it starts.", name=quoted(name)),
            "Choose an end above its start, both between 0 and 1.",
        )
    if control.preprocessor in MAPS:
        if control.image is not None or control.bounds is not None:
            raise _bad(
                Sentence(
                    "{name} is shown the map of the regions, and takes no picture besides.",
                    name=quoted(name),
                )
            )
        return
    if control.image is None or control.bounds is None:
        raise _bad(
            Sentence("There is no control picture for {name}.", name=quoted(name)),
            "Choose a layer with what it shall be shown.",
        )
    if not _fills(control.image, control.bounds, channels=4):
        raise _bad(
            Sentence(
                "The control picture for {name} has another size than its place.", name=quoted(name)
            ),
            "Choose a layer of this document, or a picture as large as the canvas.",
        )


def _check_generate(request: Request) -> None:
    if request.image is not None or request.selection is not None:
        raise _bad("A picture that is generated takes no image and no selection.")
    if not request.prompt.strip() and not any(r.prompt.strip() for r in request.regions):
        raise _bad(
            "There is nothing to paint.",
            "Write a background prompt, or paint on a layer and name the layer with what should "
            "be there.",
        )


def _check_extend(request: Request) -> None:
    if request.margins.is_zero:
        raise _bad("The picture is not extended.", "Choose a side and a number of pixels.")
    if request.selection is not None:
        raise _bad("An extension takes no selection.", "Remove the selection.")
    _check_image(request)


def _check_refine(request: Request) -> None:
    _check_selection(request)
    if request.strength == 0:
        raise _bad("With a strength of 0 nothing changes.", "Choose a strength above 0.")


def _check_selection(request: Request) -> None:
    _check_image(request)
    selection = request.selection
    if selection is None:
        raise _bad("Nothing is selected.", "Select what shall be painted anew.")
    if not _fills(selection.mask, selection.bounds, channels=1):
        raise _bad("The mask of the selection does not fill its bounds.")
    if selection.bounds.intersection(Bounds(0, 0, request.height, request.width)).is_empty:
        raise _bad("The selection lies outside the canvas.", "Select a part of the picture.")


def _check_upscale(request: Request) -> None:
    if request.selection is not None:
        raise _bad("A picture is enlarged as a whole.", "Remove the selection.")
    _check_image(request)
    upscaled_size(request.height, request.width, request.factor)


def _check_edit(request: Request) -> None:
    _check_image(request)
    if request.selection is not None:
        _check_selection(request)
    if request.strength == 0:
        raise _bad("With a strength of 0 nothing changes.", "Choose a strength above 0.")
    edit = request.edit
    if edit is None:
        raise _bad("It was not said how the picture is edited.", "Choose a method.")
    words = [(edit.source_prompt, request.prompt)]
    for region in request.regions:
        check_prompt(region.source_prompt or "", Sentence("what a region shows now"))
        same = region.source_prompt is None
        words.append((region.prompt if same else region.source_prompt or "", region.prompt))
    check_prompt(edit.source_prompt, Sentence("what the picture shows now"))
    if edit.method == "instruct":
        _check_instruction(edit, [wanted for _, wanted in words])
        return
    if edit.references or edit.picture_shown == "none":
        raise _bad(
            "Other pictures are shown only to a model that follows an instruction.",
            "Choose that method, or leave them out.",
        )
    if edit.method == "imagic":
        _check_learned(request, edit)
        return
    if edit.source_model or edit.cycle:
        _check_turned(request, edit)
    if edit.source_model in {"", request.model}:  # else the other model is change enough
        _check_words(edit, words)


def _check_words(edit: Edit, words: Sequence[tuple[str, str]]) -> None:
    """Raises TapestryError where what is there and what it becomes, by region, say no change."""
    if not any(wanted.strip() for _, wanted in words):
        raise _bad("It was not said what the picture shall become.", "Write what it shall become.")
    changed = [(now.strip(), wanted.strip()) for now, wanted in words if not is_same(now, wanted)]
    if not changed:
        raise _bad(
            "The words for what is there and for what it shall become are the same.",
            "Write what the picture shows now, and what it shall become; or rename a layer.",
        )
    if any(not wanted for _, wanted in changed):
        raise _bad("It was not said what the picture shall become.", "Write what it shall become.")
    if edit.method == "p2p" and any(not now for now, _ in changed):
        raise _bad(
            "To keep the shapes, Tapestry must know what the picture shows now.",
            "Write what it shows now, or choose another method.",
        )


def is_same(now: str, wanted: str) -> bool:
    """Whether prompts, or layers' names, are the same words, however spaced and capitalised."""
    one, other = (plain_name(words).casefold().split() for words in (now, wanted))
    return one == other


def _check_turned(request: Request, edit: Edit) -> None:
    if edit.method != "ddib" or edit.map_only:
        raise _bad(
            'Only the method "ddib" turns a picture from one model to another, and back.',
            "Choose it, or leave the other model and the way back out.",
        )
    if edit.source_model and request.strength < 1:
        raise _bad("Two models have nothing but pure noise in common.", "Choose a strength of 1.")


def _check_learned(request: Request, edit: Edit) -> None:
    if not request.prompt.strip():
        raise _bad("It was not said what the picture shall become.", "Write what it shall become.")
    if request.regions:
        raise _bad(
            "The model learns a picture as a whole, without regions.", "Select where it may change."
        )
    if edit.map_only:
        raise _bad("What is learned names no place that could be looked for.")


def _check_instruction(edit: Edit, instructions: Sequence[str]) -> None:
    if not any(instruction.strip() for instruction in instructions):
        raise _bad("There is no instruction.", "Write what shall change.")
    if edit.map_only:
        raise _bad("An instruction names no place that could be looked for.")
    if edit.picture_shown == "none" and not edit.references:
        raise _bad(
            "The model would be shown no picture at all.",
            "Choose a reference, or let it be shown the picture.",
        )
    for reference in edit.references:
        if reference.channels != 4:
            raise _bad("A reference needs its transparency: RGBA.")
        check_canvas(reference.height, reference.width)


def check_references(name: str, most: int, edit: Edit) -> None:
    """Raises TapestryError where a model is to be shown more pictures than it sees at once.

    most: of the model; 0: none beside what it paints.
    """
    own = {"both": 2, "none": 0}.get(edit.picture_shown, 1)
    count = own + len(edit.references)
    if edit.references and not most:
        raise _bad(
            Sentence("The model {name} is shown no other pictures.", name=quoted(name)),
            "Leave the references out, or choose a model that is (FLUX.1 Kontext, FLUX.2 Klein, "
            "Qwen-Image-Edit).",
        )
    if most and count > most:
        raise _bad(
            Sentence(
                "The model {name} is shown {most} pictures at once, not {count}.",
                name=quoted(name),
                most=most,
                count=count,
            ),
            "Leave some out: of the picture itself each window may be shown its own part, the "
            "whole, both, or nothing beside a reference.",
        )


def _check_recognise(request: Request) -> None:
    _check_image(request)
    if not request.regions:
        raise _bad("There is no region to look at.", "Paint on a layer, and name it.")
    for name in request.names:
        check_prompt(name, Sentence("a name to compare"))


def names_to_compare(names: Iterable[str]) -> tuple[str, ...]:
    """Those that differ, without empty ones; raises TapestryError for too few or too many."""
    chosen = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    advice = Sentence("Give 2 to {most}.", most=MAX_NAMES)
    if not chosen:
        raise _bad("There are no names to compare.", advice)
    if len(chosen) == 1:
        raise _bad(
            Sentence("There is nothing to compare {name} with.", name=quoted(chosen[0][:40])),
            advice,
        )
    if len(chosen) > MAX_NAMES:
        raise _bad(Sentence("{count} names are too many to compare.", count=len(chosen)), advice)
    return chosen


def check_follows(name: str, *, is_instructed: bool, follows: bool, nothing_else: bool) -> None:
    """Raises TapestryError where a model gets an instruction and follows none, or the other way.

    nothing_else: whether it can do nothing without one.
    """
    if is_instructed and not follows:
        raise _bad(
            Sentence("The model {name} follows no instructions.", name=quoted(name)),
            "Choose one that was made for it (sample-edit, InstructPix2Pix, FLUX.1 Kontext, "
            "FLUX.2 Klein, Qwen-Image-Edit), or another method.",
        )
    if nothing_else and not is_instructed:
        raise _bad(
            Sentence("The model {name} only follows instructions.", name=quoted(name)),
            'Give it an instruction with "Edit", or choose another model.',
        )


def _check_teach(request: Request) -> None:
    teach = request.teach
    if teach is None or request.regions or request.image is not None:
        raise _bad("A model is taught from examples alone.", "Choose layers that show one thing.")
    check_taught_word(teach.word, teach.like)
    check_prompt(teach.like, Sentence("what it is like"))
    different = {example.sha256 for example in teach.examples}
    if len(different) < min(LEAST_EXAMPLES, len(teach.examples)):
        raise _bad(
            "The examples are all the same picture.",
            "Choose 3 to 5 layers or pictures that show the same thing in different ways.",
        )
    if len(different) < LEAST_EXAMPLES:
        raise _bad(
            Sentence(
                "One example is not enough: it shows all of itself, and not what {word} is.",
                word=quoted(teach.word),
            )
            if teach.examples
            else "There is no example with some paint.",
            "Choose 3 to 5 layers or pictures that show the same thing in different ways.",
        )
    for example in teach.examples:
        if example.channels != 4:
            raise _bad("An example needs its transparency: RGBA.")
        check_canvas(example.height, example.width)


def check_taught_word(word: str, like: str) -> None:
    """Raises TapestryError where this is no word that a model could be taught."""
    said = word.strip()
    advice = "Choose a short name of its own, such as \u201cmy wool\u201d."
    if not said:
        raise _bad("The word that shall be taught is missing.", advice)
    if not any(sign.isalnum() for sign in said) or _NO_WORD.search(said):
        raise _bad(Sentence("{word} is no word that can be taught.", word=quoted(word)), advice)
    if _TWO_WORDS.search(said):
        raise _bad(
            Sentence("{word} names two things.", word=quoted(said)),
            "Teach them one after the other, each with examples of its own.",
        )
    if is_same(word, like):
        raise _bad(
            Sentence(
                "{word} is what the model shall take it from, and a new word.", word=quoted(said)
            ),
            advice,
        )


def _check_image(request: Request) -> None:
    image = request.image
    if image is None or image.channels != 4:
        raise _bad("Painting on from a picture needs the flattened picture, RGBA.")
    if (image.height, image.width) != (request.height, request.width):
        raise _bad("The picture to paint on from has another size than its canvas.")


def _fills(pixels: PixelsRef, bounds: Bounds, *, channels: int) -> bool:
    return (pixels.height, pixels.width, pixels.channels) == (bounds.height, bounds.width, channels)


def _bad(message: str, advice: str = "") -> TapestryError:
    return TapestryError(ErrorCode.BAD_REQUEST, message, advice)


_TASKS: dict[str, Callable[[Request], None]] = {
    "generate": _check_generate,
    "extend": _check_extend,
    "refine": _check_refine,
    "fill": _check_selection,
    "upscale": _check_upscale,
    "edit": _check_edit,
    "recognise": _check_recognise,
    "teach": _check_teach,
}
"""What each task asks for."""
