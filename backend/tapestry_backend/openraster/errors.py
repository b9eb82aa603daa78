"""What is wrong with an OpenRaster file, or a picture, in sentences for an artist."""

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_CANVAS_PX, MAX_SIDE_PX

_SAVE_AGAIN = "Open it in Krita and export it again as OpenRaster (.ora)."


def damaged(what: str, advice: str = _SAVE_AGAIN) -> TapestryError:
    """The file is not an OpenRaster picture, or no longer one."""
    return TapestryError(
        ErrorCode.BAD_REQUEST, f"This is not a sound OpenRaster file: {what}.", advice
    )


def too_large(what: str) -> TapestryError:
    """Opening the file would take more memory or time than any honest picture does."""
    return TapestryError(
        ErrorCode.TOO_LARGE,
        f"This OpenRaster file is too large: {what}.",
        "Scale the document down, merge layers, or cut off what lies outside of the canvas "
        "(Image > Trim to Image Size in Krita), then export it again.",
    )


def damaged_picture(what: str, problem: str) -> TapestryError:
    """A picture, in a file of its own or inside another one, is none."""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"{what} {problem}.",
        "Save it as PNG once more, in the program that it comes from.",
    )


def too_many_pixels(what: str, height: int, width: int) -> TapestryError:
    """A picture is larger than any that Tapestry paints."""
    return TapestryError(
        ErrorCode.TOO_LARGE,
        f"{what} is too large: it has {width} x {height} pixels.",
        f"Scale it down to {MAX_CANVAS_PX // 2**20} megapixels, and {MAX_SIDE_PX} pixels a side, "
        "at most.",
    )
