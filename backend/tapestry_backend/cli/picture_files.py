"""Pictures and masks that a command is given, as a request refers to them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import open_file
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.messages import Request, Selection
from tapestry_protocol.pixels import Pixels, PixelsRef
from tapestry_protocol.sentences import quoted

from ..openraster.document import Document
from ..openraster.limits import MAX_FILE_BYTES
from ..openraster.selection import Selected, has_layer, mask_in, select_layer
from ..outputs import check_not_source

PICTURE_OR_SCENE = "Give the path of a picture (.png) or of a scene (.ora)."


def mask_of(path: str, request: Request) -> Selected:
    """What is white in a picture file as large as the request's canvas.

    Raises TapestryError when it is no such file.
    """
    if not path.lower().endswith(".png"):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"There is no layer {quoted(path[:40])}.",
            "Give the name of a layer, or a mask as a .png file.",
        )
    data = picture_data(Path(path), "Give the name of a layer, or the path of a mask.")
    return mask_in(data, Path(path).name, request.height, request.width)


def layer_or_mask(name_or_path: str, document: Document | None, request: Request) -> Selected:
    """What is painted on a scene's layer of that name, or else white in the picture of that path.

    Raises TapestryError when there is neither.
    """
    name = plain_name(name_or_path)
    if document is not None and has_layer(document, name):
        return select_layer(document, name)
    return mask_of(name_or_path, request)


def check_mask_kept(mask: str | None, outputs: Iterable[Path]) -> None:
    """Raises TapestryError where a result would be written over the file that says where."""
    if mask and mask.lower().endswith(".png"):
        check_not_source(Path(mask), outputs, "says where something is painted")


def picture_data(path: Path, advice: str) -> bytes:
    """The bytes of a file; raises TapestryError with this advice when it cannot be read."""
    try:
        with open_file(path) as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error, advice) from error


def selection_of(selected: Selected, blobs: dict[str, bytes]) -> Selection:
    """A mask as a request's selection; its pixels go to the blobs."""
    return Selection(selected.bounds, kept(selected.mask[..., None], blobs))


def kept(array: np.ndarray, blobs: dict[str, bytes]) -> PixelsRef:
    """A picture uint8 [H, W, C] as a request refers to it; its bytes go to the blobs."""
    height, width, channels = array.shape
    pixels = Pixels(height, width, channels, array.tobytes())
    blobs[pixels.sha256] = pixels.data
    return PixelsRef.of(pixels)


def unreadable(path: Path, error: OSError, advice: str) -> TapestryError:
    """What is wrong with a file that cannot be read."""
    sentence = f"{quoted(path)} cannot be read ({error.strerror})."
    return TapestryError(ErrorCode.BAD_REQUEST, sentence, advice)
