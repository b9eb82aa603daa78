"""A finished picture as a message with its pixels, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tapestry_protocol.layered import Layered, LayerPicture
from tapestry_protocol.limits import MAX_REPORT_CHARACTERS
from tapestry_protocol.messages import Message, PixelsRef, Request, Result
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.sentences import as_sentence, sentence_from_json

from ..tasks.events import Finished, LayeredPicture, RegionPicture
from .channel import Delivery

_MAX_REPORT_ENTRY_CHARACTERS = 10_000
"""When a report is too long to travel, entries longer than this stay behind."""


def result_of(job_id: str, request: Request, finished: Finished) -> Delivery:
    """What is to be sent of the end of a job."""
    result = Result(
        job_id,
        PixelsRef.of(finished.pixels),
        finished.bounds,
        request.seed,
        report_text(finished.report),
        layered=_reference(finished.layered) if finished.layered else None,
    )
    beside = finished.layered.all_pixels if finished.layered else ()
    return with_pixels(result, finished.pixels, *beside)


def finished_of(result: Result, pixels: Mapping[str, bytes]) -> Finished:
    """The end of a job as it was before it was sent; its report may lack what was `left_out`.

    pixels: all that the result refers to, by their SHA-256
    """
    report = json.loads(result.report)
    report["notices"] = [sentence_from_json(each) for each in report.get("notices", ())]
    return Finished(
        _pixels(result.pixels, pixels),
        result.bounds,
        report,
        None if result.layered is None else _layered(result.layered, pixels),
    )


def with_pixels(message: Message, *pixels: Pixels) -> Delivery:
    """A message, and the pixels that it refers to."""
    return Delivery(message, {each.sha256: each.data for each in pixels})


def report_text(report: Mapping[str, Any]) -> str:
    """The report as JSON that fits into a message: rather a shorter report than a lost picture."""
    if "notices" in report:
        report = {**report, "notices": [as_sentence(each).to_json() for each in report["notices"]]}
    text = json.dumps(report)
    if len(text) <= MAX_REPORT_CHARACTERS:
        return text
    short: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in report.items():
        if not _is_long(value):
            short[name] = value
        elif isinstance(value, Mapping):
            short[name] = {inner: part for inner, part in value.items() if not _is_long(part)}
            left_out += [f"{name}.{inner}" for inner in value.keys() - short[name].keys()]
        else:
            left_out.append(name)
    return json.dumps({**short, "left_out": sorted(left_out)})


def _is_long(value: Any) -> bool:
    return len(json.dumps(value)) > _MAX_REPORT_ENTRY_CHARACTERS


def _reference(layered: LayeredPicture) -> Layered:
    layers = (
        LayerPicture(
            layer.region, layer.bounds, PixelsRef.of(layer.pixels), PixelsRef.of(layer.mask)
        )
        for layer in layered.layers
    )
    return Layered(PixelsRef.of(layered.base), tuple(layers))


def _layered(layered: Layered, pixels: Mapping[str, bytes]) -> LayeredPicture:
    layers = (
        RegionPicture(
            layer.region, layer.bounds, _pixels(layer.pixels, pixels), _pixels(layer.mask, pixels)
        )
        for layer in layered.layers
    )
    return LayeredPicture(_pixels(layered.base, pixels), tuple(layers))


def _pixels(reference: PixelsRef, pixels: Mapping[str, bytes]) -> Pixels:
    return Pixels(reference.height, reference.width, reference.channels, pixels[reference.sha256])
