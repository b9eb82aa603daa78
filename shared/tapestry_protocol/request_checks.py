"""What makes a request sensible as a whole, in sentences for an artist; used by both sides."""

from __future__ import annotations

from .errors import ErrorCode, TapestryError
from .limits import MAX_CANVAS_PX, MAX_PROMPT_CHARACTERS, MAX_REGIONS, MAX_SIDE_PX
from .messages import Request


def check_canvas(height: int, width: int) -> None:
    """Raises TapestryError when a canvas of this many pixels is more than Tapestry paints."""
    if height * width > MAX_CANVAS_PX or max(height, width) > MAX_SIDE_PX:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            f"A canvas of {width} x {height} pixels is too large.",
            f"Tapestry paints up to {MAX_CANVAS_PX // 2**20} megapixels and {MAX_SIDE_PX} pixels "
            "a side: scale the document down, or extend it by less.",
        )


def check_region_count(count: int) -> None:
    """Raises TapestryError when there are more regions than one picture can hold."""
    if count > MAX_REGIONS:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            f"There are {count} regions; Tapestry paints up to {MAX_REGIONS} at once.",
            f"Hide or merge {count - MAX_REGIONS} layers, or put several into a group: "
            "a group counts as one region.",
        )


def check_prompt(prompt: str, of_what: str) -> None:
    """Raises TapestryError when a prompt is longer than any model reads."""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            f"The prompt of {of_what} has {len(prompt)} characters.",
            f"Shorten it to {MAX_PROMPT_CHARACTERS} characters at most.",
        )


def check_request(request: Request) -> None:
    """Raises TapestryError when the request cannot become a picture, before any work is done."""
    margins = request.margins
    check_canvas(
        request.height + margins.top + margins.bottom,
        request.width + margins.left + margins.right,
    )
    check_region_count(len(request.regions))
    check_prompt(request.prompt, "the background")
    check_prompt(request.negative_prompt, "what to avoid")
    for region in request.regions:
        check_prompt(region.prompt, f"the region {region.prompt[:20]!r}")
        if region.mask.channels != 1 or (region.mask.height, region.mask.width) != (
            region.bounds.height,
            region.bounds.width,
        ):
            raise _bad(f"The mask of {region.prompt!r} does not fill its bounds.")
    if request.task == "generate":
        _check_generate(request)
    else:
        _check_extend(request)


def _check_generate(request: Request) -> None:
    if not request.margins.is_zero or request.image is not None:
        raise _bad("A picture that is generated takes no margins and no image.")
    if not request.prompt.strip() and not any(r.prompt.strip() for r in request.regions):
        raise _bad(
            "There is nothing to paint.",
            "Write a background prompt, or paint on a layer and name the layer with what should "
            "be there.",
        )


def _check_extend(request: Request) -> None:
    if request.margins.is_zero:
        raise _bad("The picture is not extended.", "Choose a side and a number of pixels.")
    if request.wrap and (request.margins.left or request.margins.right):
        raise _bad(
            "A picture whose left and right edge continue each other cannot grow there.",
            "Extend it at the top or bottom, or turn wrapping off.",
        )
    image = request.image
    if image is None or image.channels != 4:
        raise _bad("Extending needs the flattened picture, RGBA.")
    if (image.height, image.width) != (request.height, request.width):
        raise _bad("The picture to extend has another size than its canvas.")


def _bad(message: str, advice: str = "") -> TapestryError:
    return TapestryError(ErrorCode.BAD_REQUEST, message, advice)
