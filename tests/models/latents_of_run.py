"""The latents that a request ends with, before they become pixels."""

from collections.abc import Generator, Mapping
from typing import Any

from torch import Tensor

from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.live import LivePasses
from tapestry_backend.tasks.run import _paint, _prepare
from tapestry_protocol.messages import Request


def prepared(request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache) -> Any:
    """The job with everything loaded and read, and nothing painted."""
    return _returned(_prepare(request, blobs, model_cache, (), LivePasses()))


def latents_of_run(request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache) -> Tensor:
    """[L, C, h, w]: a row for each layer."""
    return _returned(_paint(prepared(request, blobs, model_cache))).latents


def _returned(steps: Generator[object, None, Any]) -> Any:
    """What a generator returns, whatever it tells on its way."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
