"""The port: what the plugin needs of Krita and of an open document; no Qt, no krita."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tapestry_protocol.pixels import Bounds, Margins, Pixels


@dataclass(frozen=True)
class Layer:
    """A layer or group as it is in the document right now.

    id          stays the same for as long as the layer lives, also when it is renamed or moved
    bounds      of what is painted, in pixels of the document; may reach beyond the canvas
    has_pixels  paint, vector, fill, file and clone layers and groups; not filters and masks
    children    topmost first
    """

    id: str
    name: str
    bounds: Bounds
    visible: bool = True
    opacity: int = 255
    has_pixels: bool = True
    is_group: bool = False
    children: tuple[Layer, ...] = ()


class LayerDraft(Protocol):
    """A new layer that is not in the document yet."""

    def write(self, pixels: Pixels, top: int, left: int) -> None:
        """Paint RGBA pixels (8 bits, sRGB, straight alpha) with their corner at (top, left)."""
        ...

    def insert(self) -> str:
        """Put the layer on top of all others, as one step that can be undone; gives its id."""
        ...


class Canvas(Protocol):
    """An open document."""

    @property
    def id(self) -> str:
        """Tells this document from all others that are open."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the document still exists; nothing else may be asked when it does not."""
        ...

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def color_model(self) -> str:
        """As Krita calls it: "RGBA", "GRAYA", "CMYKA", "LABA", ..."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The layer tree, topmost first."""
        ...

    def settle(self) -> None:
        """Wait until what was painted so far is in the pixels."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether what was painted so far is in the pixels; asks, and does not wait."""
        ...

    def alpha(self, layer_id: str, bounds: Bounds) -> bytes:
        """How much of each pixel the layer covers: height x width bytes, 255 = fully.

        Transparency masks count, the layer's own opacity does not. 0 where the layer is gone.
        """
        ...

    def flattened(self, bounds: Bounds) -> bytes:
        """The visible picture as RGBA, 8 bits, sRGB, straight alpha; within the canvas only."""
        ...

    def colors(self, layer_id: str, bounds: Bounds) -> bytes:
        """The layer's own pixels as RGBA, 8 bits, sRGB, straight alpha; 0 where it is gone."""
        ...

    def selection(self) -> Bounds | None:
        """What surrounds all that is selected, within the canvas; None: nothing is."""
        ...

    def selected(self, bounds: Bounds) -> bytes:
        """How much of each pixel is selected: height x width bytes, 255 = fully."""
        ...

    def grow(self, margins: Margins) -> None:
        """Make the canvas larger, as one step that can be undone; no pixel is changed."""
        ...

    def draft(self, name: str) -> LayerDraft:
        """Begin a new layer."""
        ...

    def active_layer(self) -> str:
        """The id of the layer that the artist works on; empty when there is none."""
        ...

    def activate(self, layer_id: str) -> None:
        """Make a layer the one that the artist works on; nothing happens where it is gone."""
        ...

    def rename(self, layer_id: str, name: str) -> None:
        """Give a layer another name; nothing happens where it is gone."""
        ...

    def remove(self, layer_id: str) -> None:
        """Take a layer out of the document; nothing happens where it is gone."""
        ...

    def add_region(self, group: str, color: tuple[int, int, int]) -> str:
        """An empty paint layer without a name, on top (of this group, if there is one); its id.

        It becomes the active layer, and the brush takes this RGB colour.
        """
        ...

    def note(self, key: str) -> str:
        """What was kept with the document under this key; empty when nothing was."""
        ...

    def keep_note(self, key: str, text: str) -> None:
        """Keep a text with the document, also in its file."""
        ...


class Host(Protocol):
    """The program that holds the documents."""

    def active_canvas(self) -> Canvas | None:
        """The document in front, if there is one."""
        ...

    def create_canvas(self, height: int, width: int, name: str) -> Canvas:
        """Open a new RGBA document of 8 bits and show it."""
        ...

    def read_setting(self, key: str) -> str:
        """A setting of this user; empty when it was never written."""
        ...

    def write_setting(self, key: str, value: str) -> None:
        """Keep a setting for this user."""
        ...
