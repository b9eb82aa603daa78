"""A file with what differs from another model: of a bundled one that was taught to follow words.

Its tensors are called as in the other model, with "unet." or "text_encoder." before. The first
layer of the U-Net takes more channels and is there as it is; of all others there is the difference,
of matrices in four bits: two numbers in a byte, with a scale for each row (`SCALE`).
"""

from __future__ import annotations

from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .left_out import unreadable
from .safetensors_header import BrokenFileError, Header, check_regular, read_header

FIRST_LAYER = "unet.conv_in."
SCALE = ".scale"
"""How the name of a matrix' scales ends, after its own."""
NETWORKS = ("unet", "text_encoder")

_MAX_BYTES = 64 * 2**20
"""The one that is bundled has five million."""


def check_difference(path: Path, channels: int) -> None:
    """Raises TapestryError when this is no such file, for a first layer of so many channels."""
    try:
        check_regular(path, _MAX_BYTES)
        _check(read_header(path), channels)
    except OSError as error:
        raise unreadable(path, error) from error
    except BrokenFileError as error:
        raise broken_difference(path, error.problem) from error


def _check(header: Header, channels: int) -> None:
    shape = header.shapes.get(f"{FIRST_LAYER}weight", ())
    if len(shape) != 4 or shape[1] != channels:
        raise BrokenFileError(
            Sentence("its first layer does not take {count} channels", count=channels)
        )
    for name in header.shapes:
        if name.partition(".")[0] not in NETWORKS:
            raise BrokenFileError(Sentence("{name} belongs to no layer", name=quoted(name[:60])))


def broken_difference(path: Path, problem: str) -> TapestryError:
    """What an artist reads about a damaged one."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{path} does not hold what a model differs by ({problem}).",
            path=quoted(path),
            problem=problem,
        ),
        "It came with Tapestry: install Tapestry anew.",
    )
