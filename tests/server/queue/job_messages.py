"""Requests, results and a ready queue, for tests of the queue and of the journal."""

import dataclasses
import hashlib

from tapestry_backend.server.persistence.pixel_blob import PixelBlob
from tapestry_protocol.codec import Chunk
from tapestry_protocol.layered import Layered, LayerPicture
from tapestry_protocol.messages import (
    Region,
    Request,
    Result,
)
from tapestry_protocol.pixels import Bounds
from tests.server.client import reference

ME, YOU = 1, 2


PLAIN = Request("generate", 64, 64, prompt="sky")


MASK = b"\xff" * 4


MASKED = Request(
    "generate", 64, 64, regions=(Region("sky", Bounds(0, 0, 2, 2), reference(2, 2, 1, MASK)),)
)


MASK_CHUNK = Chunk(hashlib.sha256(MASK).hexdigest(), 0, 4, MASK)


PIXELS = bytes(64 * 64 * 4)


PICTURE = PixelBlob(reference(64, 64, 4, PIXELS), PIXELS)


BLOBS = {PICTURE.sha256: PIXELS}


OWN = b"\x07" * 16


LAYERED_BLOBS = {**BLOBS, **{hashlib.sha256(data).hexdigest(): data for data in (OWN, MASK)}}


def result(job_id: str) -> Result:
    """A finished picture: PIXELS."""
    return Result(job_id, reference(64, 64, 4, PIXELS), Bounds(0, 0, 64, 64), 0, "{}")


def layered_result(job_id: str) -> Result:
    """The same with a layer and its mask; the base looks like the picture."""
    layer = LayerPicture(0, Bounds(0, 0, 2, 2), reference(2, 2, 4, OWN), reference(2, 2, 1, MASK))
    picture = result(job_id)
    return dataclasses.replace(picture, layered=Layered(picture.pixels, (layer,)))
