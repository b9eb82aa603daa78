"""What is wrong with an OpenRaster file, in sentences for an artist."""

from tapestry_protocol.errors import ErrorCode, TapestryError

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
