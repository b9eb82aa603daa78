"""The record of a picture: what IPTC calls it, which regions were generated, and how it is read."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tapestry_backend.openraster.png import decode_png, encode_png, with_chunks
from tapestry_backend.provenance.record import Model, Record, source_type_of
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds

EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
ALL = "trainedAlgorithmicMedia"
PART = "compositeWithTrainedAlgorithmicMedia"


def region(prompt: str, bounds: Bounds, strength: float = 1.0) -> Region:
    """A region; its mask is of no concern here."""
    mask = PixelsRef(bounds.height, bounds.width, 1, "0" * 64)
    return Region(prompt, bounds, mask, strength=strength)


SKY, SEA = region("sky", Bounds(0, 0, 20, 64)), region("sea", Bounds(10, -8, 48, 64))


def record_of(request: Request, bounds: Bounds | None = None, **more: Any) -> Record:
    """A record of a request's picture."""
    whole = Bounds(0, 0, request.height, request.width)
    model = Model("sample", "a" * 64, {"ink": "b" * 64})
    return Record(request, model, source_type_of(request), bounds or whole, **more)


@pytest.mark.parametrize(
    ("request_", "has_own", "expected"),
    [
        (Request("generate", 48, 64, regions=(SKY, SEA)), False, ALL),
        (Request("generate", 48, 64, regions=(SKY, SEA)), True, PART),
        (Request("generate", 48, 64, regions=(region("a", Bounds(0, 0, 9, 9), 0.9),)), False, PART),
        (Request("extend", 48, 64), False, PART),
        (Request("refine", 48, 64), False, PART),
        (Request("fill", 48, 64), False, PART),
        (Request("edit", 48, 64), False, PART),
    ],
)
def test_what_was_there_before_makes_a_composite(
    request_: Request, has_own: bool, expected: str
) -> None:
    """A picture of noise and prompts alone is wholly a model's."""
    assert source_type_of(request_, has_own=has_own) == expected


def test_regions_are_named_where_they_were_generated() -> None:
    """In the picture's own places; not where they keep their paint, and not beside what is new."""
    kept = region("mine", Bounds(0, 0, 48, 64), 0.0)
    made = record_of(Request("generate", 48, 64, regions=(SKY, SEA, kept))).to_json()["generated"]
    assert made["regions"] == [
        {"prompt": "sky", "bounds": {"top": 0, "left": 0, "bottom": 20, "right": 64}},
        {"prompt": "sea", "bounds": {"top": 10, "left": 0, "bottom": 48, "right": 64}},
    ]
    grown = record_of(
        Request("extend", 48, 64, regions=(SKY, SEA)), Bounds(0, 0, 48, 16), corner=(0, 16)
    )
    assert grown.to_json()["generated"]["regions"] == [
        {"prompt": "sea", "bounds": {"top": 10, "left": 8, "bottom": 48, "right": 16}}
    ]
    larger = record_of(
        Request("generate", 48, 64, regions=(SKY,)), Bounds(0, 0, 72, 96), factor=1.5
    )
    (sky,) = larger.to_json()["generated"]["regions"]
    assert sky["bounds"] == {"top": 0, "left": 0, "bottom": 30, "right": 96}


def test_a_png_carries_it_and_keeps_its_pixels() -> None:
    """XMP for every program, and all of it for Tapestry; any prompt is sound XML."""
    prompt = 'Schnee \u2744 <b>&"quoted"\x00\x1b</b>'
    request = Request("generate", 3, 5, prompt, regions=(region(prompt, Bounds(0, 0, 3, 5)),))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    png = with_chunks(encode_png(pixels), record_of(request).chunks())

    assert (decode_png(png, "it") == pixels).all()
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        texts = dict(image.info)
    root = ET.fromstring(texts["XML:com.adobe.xmp"])  # noqa: S314  our own
    found = {element.tag: element.text for element in root.iter()}
    assert (
        found[f"{EXT}DigitalSourceType"] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{ALL}"
    )
    assert found[f"{EXT}AIPromptInformation"] == 'Schnee \u2744 <b>&"quoted"</b>'
    assert "sample" in str(found[f"{EXT}AISystemUsed"])
    assert "a" * 64 in str(found[f"{EXT}AISystemVersionUsed"])
    kept = json.loads(texts["Tapestry"])
    assert kept["model"] == {"id": "sample", "sha256": "a" * 64, "adapters": {"ink": "b" * 64}}
    assert (kept["request"]["height"], kept["request"]["width"]) == (3, 5)


def test_where_a_model_lies_is_no_ones_business() -> None:
    """A model that was named by its path is called by its name alone."""
    request = Request("generate", 8, 8, "snow", model="/home/anna/models/mine.safetensors")
    model = Model("mine.safetensors", "a" * 64, {})
    record = Record(request, model, source_type_of(request), Bounds(0, 0, 8, 8))
    assert b"anna" not in record.chunks()
    assert "anna" not in json.dumps(record.to_json())
