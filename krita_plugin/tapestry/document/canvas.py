"""The port: what the plugin needs of Krita and of an open document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tapestry_protocol.pixels import Bounds, Margins, Pixels


@dataclass(frozen=True)
class Layer:
    """A layer or group as it is in the document right now.

    id          stays the same for as long as the layer lives, also when it is renamed or moved
    bounds      of what is painted, in pixels of the document; may reach beyond the canvas
    has_pixels  paint, vector, fill, file and clone layers and groups; not filters and masks
    blending    as Krita calls it: "normal", "erase", "multiply", ...
    inherits_alpha  it is seen only where there is something below it
    passes_through  a group whose layers lie among those around it; not part of `Canvas.alpha`
    children    topmost first
    """

    id: str
    name: str
    bounds: Bounds
    visible: bool = True
    opacity: int = 255
    has_pixels: bool = True
    is_group: bool = False
    blending: str = "normal"
    inherits_alpha: bool = False
    passes_through: bool = False
    children: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Merged:
    """A layer that another one was painted into.

    layer_id   it has a new one
    take_back  puts the layer back as it was
    """

    layer_id: str
    take_back: Callable[[], None]


class LayerDraft(Protocol):
    """A new layer that is not in the document yet.

    What takes Krita turns of its own loop is a coroutine.
    """

    def write(self, pixels: Pixels, top: int, left: int) -> None:
        """Paint RGBA pixels (8 bits, sRGB, straight alpha) with their corner at (top, left)."""
        ...

    def write_mask(self, mask: Pixels, top: int, left: int) -> None:
        """Say how much of the layer shows: 1 channel, with its corner at (top, left).

        For a draft that was begun as a masked one: of anything else nothing shows.
        """
        ...

    async def insert(self, above: str = "") -> str:
        """Put the layer into the document, as one step that can be undone; gives its id.

        It lies right above this layer of the document; on top of all others where there is none.
        What is written from then on is seen after `refresh`, and is no step that can be undone.
        """
        ...

    def rename(self, name: str) -> None:
        """Give it another name."""
        ...

    async def merge_into(self, layer_id: str) -> Merged | None:
        """Paint it into the layer right above which it was inserted, as one more step of undo.

        None when it does not lie right above that layer any more, or the layer takes no paint.
        """
        ...


@dataclass(frozen=True)
class NewGroup:
    """The ids of a new group and of the layers in it, topmost first."""

    id: str
    layers: tuple[str, ...]


class Canvas(Protocol):
    """An open document."""

    @property
    def id(self) -> str:
        """Tells this document from all others that are open."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the document still exists; nothing else may be called when it does not."""
        ...

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def color_model(self) -> str:
        """As Krita calls it: "RGBA", "GRAYA", "CMYKA", "LABA", ..."""
        ...

    @property
    def color_depth(self) -> str:
        """As Krita calls it: "U8", "U16", "F16" or "F32"."""
        ...

    @property
    def name(self) -> str:
        """What the artist calls the document; its file's name where it has one."""
        ...

    @property
    def is_modified(self) -> bool:
        """Whether it differs from its file."""
        ...

    def set_modified(self, *, on: bool) -> None:
        """Say whether it differs from its file."""
        ...

    @property
    def last_step_was_a_layer(self) -> bool:
        """Whether one undo would take a new layer out, or put a removed one back."""
        ...

    def save(self) -> None:
        """Write its file again."""
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

    def select(self, mask: Pixels, top: int, left: int) -> None:
        """Select this (1 channel, 255 = fully) with its corner at (top, left), and nothing else."""
        ...

    def grow(self, margins: Margins) -> None:
        """Make the canvas larger, as one step that can be undone; no pixel is changed."""
        ...

    def shrink(self, margins: Margins) -> None:
        """Take back what `grow` did, as one step that can be undone; no pixel is changed."""
        ...

    def scale(self, height: int, width: int) -> None:
        """Make the canvas and all layers larger or smaller, as one step that can be undone.

        It has its new size when it is settled.
        """
        ...

    def draft(self, name: str, *, masked: bool = False) -> LayerDraft:
        """Begin a new layer; a masked one shows through a mask which the artist can paint on."""
        ...

    async def insert_group(
        self, name: str, drafts: Sequence[LayerDraft], above: str = ""
    ) -> NewGroup:
        """Put drafts, topmost first, into the document as a group: one step that can be undone.

        They may be written to from then on, as after `LayerDraft.insert`.
        """
        ...

    def takes_paint(self, layer_id: str) -> bool:
        """Whether it is a paint layer that is not locked."""
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

    def set_visible(self, layer_id: str, *, on: bool) -> None:
        """Show or hide a layer, seen after `refresh`; nothing happens where it is gone."""
        ...

    def remove(self, layer_id: str) -> None:
        """Take a layer out of the document; nothing happens where it is gone."""
        ...

    async def add_region(self, group: str, color: tuple[int, int, int]) -> str:
        """An empty paint layer without a name, on top (of this group, if there is one); its id.

        It becomes the active layer, and the brush takes this RGB colour.
        """
        ...

    def refresh(self) -> None:
        """Show what was written into layers of the document, as soon as there is time."""
        ...

    def note(self, key: str) -> str:
        """What was kept with the document under this key; empty when nothing was."""
        ...

    def keep_note(self, key: str, text: str) -> None:
        """Keep a text with the document, also in its file; another text is a modification."""
        ...


class Host(Protocol):
    """The program that holds the documents."""

    def active_canvas(self) -> Canvas | None:
        """The document in front, if there is one."""
        ...

    @property
    def is_asking(self) -> bool:
        """Whether a menu or a dialog is open."""
        ...

    def open_canvases(self) -> Sequence[Canvas]:
        """All documents that are open."""
        ...

    def watch_saving(
        self, before: Callable[[], None], after: Callable[[Canvas | None], None]
    ) -> None:
        """Call `before` when the artist is about to save, and `after` when a file was written.

        `after` takes the document; None when it was written to another file than its own.
        """
        ...

    def scaled(self, pixels: Pixels, height: int, width: int) -> Pixels:
        """RGBA pixels, smoothly scaled."""
        ...

    @property
    def version(self) -> str:
        """The program's name and version."""
        ...

    @property
    def data_folder(self) -> Path:
        """The user's folder for what Tapestry keeps; need not exist yet."""
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
