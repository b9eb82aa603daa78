"""How every task begins: its model is loaded, and what it needs of it is encoded next."""

from __future__ import annotations

from collections.abc import Generator

from tapestry_protocol.messages import Request

from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from .events import Progressed
from .report import Stopwatch


def load_model(
    request: Request, model_cache: ModelCache, watch: Stopwatch
) -> Generator[Progressed, None, Denoiser]:
    """The request's model, set up for it; raises TapestryError as `ModelCache.load` does."""
    yield Progressed("loading")
    with watch.stage("load"):
        model = model_cache.load(request.model)
    model.clip_skip = request.clip_skip
    yield Progressed("encoding")
    return model
