"""What is wrong with an OpenRaster file, in sentences for an artist."""

from tapestry_protocol.errors import ErrorCode, TapestryError

_SAVE_AGAIN = "Open it in Krita and export it again as OpenRaster (.ora)."


def damaged(what: str) -> TapestryError:
    """The file is not an OpenRaster picture, or no longer one."""
    return TapestryError(
        ErrorCode.BAD_REQUEST, f"This is not a sound OpenRaster file: {what}.", _SAVE_AGAIN
    )


def too_large(what: str) -> TapestryError:
    """Opening the file would take more memory or time than any honest picture does."""
    return TapestryError(
        ErrorCode.TOO_LARGE,
        f"This OpenRaster file is too large: {what}.",
        "Scale the document down, or merge layers, and export it again.",
    )
