"""A request with its pixels, and the document that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from tapestry_protocol.codec import encode
from tapestry_protocol.layer_names import OWN_PREFIX
from tapestry_protocol.messages import Request, Submit
from tapestry_protocol.pixels import Bounds, Pixels, PixelsRef

from .canvas import Canvas, Layer

Beside = Mapping[PixelsRef, Pixels]
"""The layers that came with a picture."""


NOTHING: Beside = MappingProxyType({})


@dataclass(frozen=True)
class Order:
    """A request with its pixels by SHA-256, and the name of the layer for the picture.

    document   the whole document in coordinates of the request, which may be about a part of it;
               None: it is about the whole
    adapters   the adapters of the picture and its regions, as `DocumentAdapters.to_text` wrote it
    new_document   whether the picture becomes a document of its own
    judged     "recognise": the ids of the layers that the regions are, where they are layers
    """

    request: Request
    blobs: Mapping[str, bytes] = field(repr=False)
    layer_name: str
    document: Bounds | None = None
    adapters: str = field(default="", repr=False)
    new_document: bool = False
    judged: tuple[str, ...] = ()

    @property
    def whole(self) -> Bounds:
        """The whole document in coordinates of the request."""
        return self.document or Bounds(0, 0, self.request.height, self.request.width)

    @property
    def is_map(self) -> bool:
        """Whether what comes is no picture, but where one shows what words name."""
        return self.request.edit is not None and self.request.edit.map_only

    def with_seed(self, seed: int) -> Order:
        """The same with another seed, also in the layer's name."""
        stem = self.layer_name.removesuffix(f"(seed {self.request.seed})")
        name = f"{stem}(seed {seed})"
        return replace(self, request=replace(self.request, seed=seed), layer_name=name)


@dataclass(frozen=True)
class DocumentState:
    """What must be the same about a document for a finished picture to be put there at once."""

    size: tuple[int, int]
    color_space: tuple[str, str]
    layers: frozenset[str]

    @classmethod
    def of(cls, canvas: Canvas) -> DocumentState:
        """How the document is now."""
        ids = frozenset(
            layer.id for layer in canvas.layers() if not layer.name.startswith(OWN_PREFIX)
        )
        space = (canvas.color_model, canvas.color_depth)
        return cls((canvas.height, canvas.width), space, ids)

    def is_still_that_of(self, canvas: Canvas) -> bool:
        """Whether size, colours and all those layers are what they were."""
        if not canvas.is_open:
            return False
        now = DocumentState.of(canvas)
        same = (now.size, now.color_space) == (self.size, self.color_space)
        return same and self.layers <= {layer.id for layer in all_layers(canvas.layers())}


def all_layers(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """The layers and everything inside them."""
    for layer in layers:
        yield layer
        yield from all_layers(layer.children)


def asked_for(request: Request) -> Mapping[str, Any]:
    """The request as JSON that `HistoryEntry.request` reads."""
    return json.loads(encode(Submit("x", request)))["request"]
