"""A document on plain bytes that keeps to the port; no Krita, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from tapestry.common.task_queue import give_way
from tapestry.document.canvas import Layer, Merged, NewGroup
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.pixels import Bounds, Margins, Pixels

_numbers = count(1)

WHITE = bytes((255, 255, 255, 255))


@dataclass
class FakeLayer:
    """A layer, its painted rectangle, its RGBA bytes, and its mask: a layer whose alpha counts."""

    layer: Layer
    data: bytes
    mask: FakeLayer | None = None

    @property
    def bounds(self) -> Bounds:
        return self.layer.bounds

    def paint(self, pixels: Pixels, top: int, left: int) -> None:
        """Replace a rectangle; the layer becomes large enough for it."""
        old, new = self.bounds, Bounds(top, left, top + pixels.height, left + pixels.width)
        if old.is_empty:
            around = new
        else:
            around = Bounds(
                min(old.top, new.top),
                min(old.left, new.left),
                max(old.bottom, new.bottom),
                max(old.right, new.right),
            )
        data = bytearray()
        for y in range(around.top, around.bottom):
            row = b"".join(self.pixel(y, x) for x in range(around.left, around.right))
            if new.top <= y < new.bottom:
                start, at = (new.left - around.left) * 4, (y - top) * pixels.width * 4
                band = pixels.data[at : at + pixels.width * 4]
                row = row[:start] + band + row[start + len(band) :]
            data += row
        self.layer, self.data = replace(self.layer, bounds=around), bytes(data)

    def shown(self, y: int, x: int) -> bytes:
        """RGBA at a place of the document, under its mask."""
        red, green, blue, alpha = self.pixel(y, x)
        share = 255 if self.mask is None else self.mask.pixel(y, x)[3]
        return bytes((red, green, blue, round(alpha * share / 255)))

    def pixel(self, y: int, x: int) -> bytes:
        """RGBA at a place of the document."""
        b = self.bounds
        if not (b.top <= y < b.bottom and b.left <= x < b.right):
            return bytes(4)
        start = ((y - b.top) * b.width + x - b.left) * 4
        return self.data[start : start + 4]


class FakeCanvas:
    """An open document. `fakes` are its layers, topmost first."""

    def __init__(self, height: int, width: int, color_model: str = "RGBA") -> None:
        self.id = f"document {next(_numbers)}"
        self._height, self._width = height, width
        self._color_model = color_model
        self.is_open = True
        self.fakes: list[FakeLayer] = []
        self.notes: dict[str, str] = {}
        self.groups: dict[str, list[FakeLayer]] = {}
        self.reads = 0
        self.unsettled = 0
        self.active = ""
        self.selection_mask: tuple[Bounds, bytes] | None = None
        self.brush = (0, 0, 0)
        self.color_depth = "U8"
        self.name = "test.kra"
        self.is_modified = False
        self.late_marks: list[str] | None = None
        self.last_step_was_a_layer = False
        self.saved: list[list[str]] = []
        self.add("Background", Bounds(0, 0, height, width), WHITE)

    # --- for tests --------------------------------------------------------------------------------

    def add(self, name: str, bounds: Bounds, rgba: bytes = WHITE, **traits: object) -> str:
        """A layer on top with a filled rectangle; gives its id."""
        layer = Layer(f"layer {next(_numbers)}", name, bounds, **traits)
        self.fakes.insert(0, FakeLayer(layer, rgba * (bounds.height * bounds.width)))
        return layer.id

    def change(self, layer_id: str, **traits: object) -> None:
        """Rename, hide ... a layer."""
        fake = self._find(layer_id)
        fake.layer = replace(fake.layer, **traits)

    def turn(self) -> None:
        """Krita's loop turns: the marks that it sets late are set."""
        if self.late_marks:
            self.late_marks.clear()
            self.is_modified = self.last_step_was_a_layer = True

    def step(self) -> None:
        """The artist does something that can be undone, and that is seen in no layer's bounds."""
        self.is_modified, self.last_step_was_a_layer = True, False

    @property
    def names(self) -> list[str]:
        return [fake.layer.name for fake in self.fakes]

    # --- the port ---------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        self._check_open()
        return self._height

    @property
    def width(self) -> int:
        self._check_open()
        return self._width

    @property
    def color_model(self) -> str:
        self._check_open()
        return self._color_model

    def layers(self) -> tuple[Layer, ...]:
        self._check_open()
        return tuple(self._with_children(fake) for fake in self.fakes)

    def settle(self) -> None:
        self._check_open()

    @property
    def is_settled(self) -> bool:
        self._check_open()
        self.unsettled = max(0, self.unsettled - 1)
        return not self.unsettled

    def alpha(self, layer_id: str, bounds: Bounds) -> bytes:
        self._check_open()
        self.reads += 1
        fake = self._find(layer_id)
        if fake is None:
            return bytes(bounds.height * bounds.width)
        return b"".join(fake.shown(y, x)[3:] for y, x in _places(bounds))

    def flattened(self, bounds: Bounds) -> bytes:
        self._check_open()
        return b"".join(self._seen(y, x) for y, x in _places(bounds))

    def colors(self, layer_id: str, bounds: Bounds) -> bytes:
        self._check_open()
        fake = self._find(layer_id)
        pixels = (fake.shown(y, x) if fake else bytes(4) for y, x in _places(bounds))
        return b"".join(pixels)

    def selection(self) -> Bounds | None:
        self._check_open()
        return self.selection_mask[0] if self.selection_mask else None

    def selected(self, bounds: Bounds) -> bytes:
        self._check_open()
        if self.selection_mask is None:
            return bytes(bounds.height * bounds.width)
        b, data = self.selection_mask
        inside = lambda y, x: b.top <= y < b.bottom and b.left <= x < b.right  # noqa: E731
        return bytes(
            data[(y - b.top) * b.width + x - b.left] if inside(y, x) else 0
            for y, x in _places(bounds)
        )

    def select(self, mask: Pixels, top: int, left: int) -> None:
        self._check_open()
        at = [n for n, share in enumerate(mask.data) if share]
        rows, columns = [n // mask.width for n in at], [n % mask.width for n in at]
        inside = Bounds(min(rows), min(columns), max(rows) + 1, max(columns) + 1)
        data = bytes(mask.data[y * mask.width + x] for y, x in _places(inside))
        self.selection_mask = (inside.moved(top, left), data)

    def grow(self, margins: Margins) -> None:
        self._resize(margins, 1)

    def shrink(self, margins: Margins) -> None:
        self._resize(margins, -1)

    def scale(self, height: int, width: int) -> None:
        self._check_open()
        down, across = height / self._height, width / self._width
        self._height, self._width = height, width
        for fake in self.fakes:
            b = fake.bounds
            edges = (b.top * down, b.left * across, b.bottom * down, b.right * across)
            bounds = Bounds(*map(round, edges))
            fake.data = b"".join(
                fake.pixel(int(y / down), int(x / across)) for y, x in _places(bounds)
            )
            fake.layer = replace(fake.layer, bounds=bounds)
        self._mark()

    def set_modified(self, *, on: bool) -> None:
        self._check_open()
        self.is_modified = on

    def save(self) -> None:
        self._check_open()
        self.saved.append(self.names)

    def remove(self, layer_id: str) -> None:
        self._check_open()
        self.fakes = [fake for fake in self.fakes if fake.layer.id != layer_id]
        self._mark()

    def refresh(self) -> None:
        self._check_open()

    async def insert_group(self, name: str, drafts: list[FakeDraft], above: str = "") -> NewGroup:
        await give_way()
        self._check_open()
        self.inner = [draft.made() for draft in drafts]
        group = Layer(f"layer {next(_numbers)}", name, Bounds(0, 0, 0, 0), is_group=True)
        self.groups[group.id] = self.inner
        self._put(FakeLayer(group, b""), above)
        return NewGroup(group.id, tuple(fake.layer.id for fake in self.inner))

    def draft(self, name: str, *, masked: bool = False) -> FakeDraft:
        self._check_open()
        return FakeDraft(self, name, masked)

    def takes_paint(self, layer_id: str) -> bool:
        self._check_open()
        fake = self._find(layer_id)
        return fake is not None and not fake.layer.is_group

    def active_layer(self) -> str:
        self._check_open()
        return self.active

    def activate(self, layer_id: str) -> None:
        self._check_open()
        if self._find(layer_id):
            self.active = layer_id

    def set_visible(self, layer_id: str, *, on: bool) -> None:
        self._check_open()
        if self._find(layer_id):
            self.change(layer_id, visible=on)

    def rename(self, layer_id: str, name: str) -> None:
        self._check_open()
        if self._find(layer_id):
            self.change(layer_id, name=name)

    async def add_region(self, group: str, color: tuple[int, int, int]) -> str:
        self._check_open()
        await give_way()
        self._check_open()
        self.active = self.add("", Bounds(0, 0, 0, 0))
        self.brush = color
        return self.active

    def note(self, key: str) -> str:
        self._check_open()
        return self.notes.get(key, "")

    def keep_note(self, key: str, text: str) -> None:
        self._check_open()
        self.is_modified |= self.notes.get(key, "") != text
        self.notes[key] = text

    def _resize(self, margins: Margins, sign: int) -> None:
        self._check_open()
        self._height += sign * (margins.top + margins.bottom)
        self._width += sign * (margins.left + margins.right)
        for fake in self.fakes:
            moved = fake.bounds.moved(sign * margins.top, sign * margins.left)
            fake.layer = replace(fake.layer, bounds=moved)

    def _put(self, fake: FakeLayer, above: str) -> None:
        ids = [other.layer.id for other in self.fakes]
        self.fakes.insert(ids.index(above) if above in ids else 0, fake)
        self._mark()

    def _with_children(self, fake: FakeLayer) -> Layer:
        inner = self.groups.get(fake.layer.id)
        if inner is None:
            return fake.layer
        children = tuple(child.layer for child in inner)
        return replace(fake.layer, bounds=children[-1].bounds, children=children)

    def _mark(self) -> None:
        if self.late_marks is None:
            self.is_modified = self.last_step_was_a_layer = True
        else:
            self.late_marks.append("a layer")

    def _check_open(self) -> None:
        if not self.is_open:
            raise TapestryError(ErrorCode.BAD_REQUEST, "The document was closed.")

    def _find(self, layer_id: str) -> FakeLayer | None:
        return next((fake for fake in self.fakes if fake.layer.id == layer_id), None)

    def _seen(self, y: int, x: int) -> bytes:
        """The topmost pixel that is not transparent: enough where paint is opaque or alone."""
        shown = (fake for fake in self.fakes if fake.layer.visible)
        leaves = (leaf for fake in shown for leaf in self.groups.get(fake.layer.id, [fake]))
        pixels = (leaf.shown(y, x) for leaf in leaves)
        return next((pixel for pixel in pixels if pixel[3]), bytes(4))


@dataclass
class FakeDraft:
    """A layer that is not in its document yet."""

    canvas: FakeCanvas
    name: str
    masked: bool = False
    bands: list[tuple[Pixels, int, int]] = field(default_factory=list)
    fake: FakeLayer | None = None

    def write(self, pixels: Pixels, top: int, left: int) -> None:
        if self.fake is not None:
            self.fake.paint(pixels, top, left)
        else:
            self.bands.append((pixels, top, left))

    def write_mask(self, mask: Pixels, top: int, left: int) -> None:
        data = b"".join(bytes((0, 0, 0, share)) for share in mask.data)
        self.fake.mask.paint(Pixels(mask.height, mask.width, 4, data), top, left)

    def made(self) -> FakeLayer:
        layer = Layer(f"layer {next(_numbers)}", self.name, Bounds(0, 0, 0, 0))
        mask = FakeLayer(Layer("a mask", "mask", Bounds(0, 0, 0, 0)), b"") if self.masked else None
        self.fake = FakeLayer(layer, b"", mask)
        for band in self.bands:
            self.fake.paint(*band)
        self.bands.clear()
        return self.fake

    async def insert(self, above: str = "") -> str:
        await give_way()
        self.canvas._check_open()
        self.canvas._put(self.made(), above)
        return self.fake.layer.id

    def rename(self, name: str) -> None:
        self.fake.layer = replace(self.fake.layer, name=name)

    async def merge_into(self, layer_id: str) -> Merged | None:
        await give_way()
        fakes = self.canvas.fakes
        place = fakes.index(self.fake) + 1 if self.fake in fakes else len(fakes)
        below = fakes[place : place + 1]
        if [fake.layer.id for fake in below] != [layer_id] or below[0].layer.is_group:
            return None
        (lower,) = below
        merged = FakeLayer(replace(self.fake.layer, name=lower.layer.name), self.fake.data)
        fakes[place - 1 : place + 1] = [merged]

        def take_back() -> None:
            self.canvas.fakes[self.canvas.fakes.index(merged)] = lower

        return Merged(merged.layer.id, take_back)


class FakeHost:
    """A program with documents, the last one in front.

    data_folder  of all fakes; the tests of this folder give each test its own
    """

    data_folder = Path("nowhere")
    version = "a fake"

    def __init__(self, *canvases: FakeCanvas) -> None:
        self.canvases = list(canvases)
        self.settings: dict[str, str] = {}
        self.is_asking = False

    def open_canvases(self) -> list[FakeCanvas]:
        return [canvas for canvas in self.canvases if canvas.is_open]

    def watch_saving(self, before, after) -> None:
        self.before_saving, self.after_saving = before, after

    def scaled(self, pixels: Pixels, height: int, width: int) -> Pixels:
        data = b"".join(
            pixels.data[4 * at : 4 * at + 4]
            for y in range(height)
            for at in (
                y * pixels.height // height * pixels.width + x * pixels.width // width
                for x in range(width)
            )
        )
        return Pixels(height, width, 4, data)

    def active_canvas(self) -> FakeCanvas | None:
        return next((canvas for canvas in reversed(self.canvases) if canvas.is_open), None)

    def create_canvas(self, height: int, width: int, name: str) -> FakeCanvas:
        canvas = FakeCanvas(height, width)
        self.canvases.append(canvas)
        return canvas

    def read_setting(self, key: str) -> str:
        return self.settings.get(key, "")

    def write_setting(self, key: str, value: str) -> None:
        self.settings[key] = value


def _places(bounds: Bounds) -> list[tuple[int, int]]:
    rows, columns = range(bounds.top, bounds.bottom), range(bounds.left, bounds.right)
    return [(y, x) for y in rows for x in columns]
