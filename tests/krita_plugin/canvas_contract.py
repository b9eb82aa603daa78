"""What every canvas keeps to; runs against the fake in pytest, and against Krita inside Krita.

Plain asserts and nothing beyond the standard library and the plugin: Krita's Python has no pytest.
"""

from collections.abc import Callable
from typing import TypeVar

from tapestry.common.task_queue import Work, run_on
from tapestry.document.canvas import Canvas, Host
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds, Margins, Pixels

Value = TypeVar("Value")

RED, HALF_GREEN = bytes((200, 10, 20, 255)), bytes((10, 200, 20, 128))
GREEN, BLUE = bytes((10, 200, 20, 255)), bytes((10, 20, 200, 255))


class CanvasContract:
    """The clauses; a subclass says how a document is made."""

    host: Host

    def open_canvas(self, height: int, width: int) -> Canvas:
        """A new document with one opaque white layer called Background, in front."""
        raise NotImplementedError

    def paint(self, canvas: Canvas, name: str, bounds: Bounds, rgba: bytes) -> str:
        """A new layer on top with a filled rectangle; gives its id."""
        draft = canvas.draft(name)
        draft.write(_filled(bounds.height, bounds.width, rgba), bounds.top, bounds.left)
        layer_id = done(canvas, draft.insert())
        canvas.settle()
        return layer_id

    def close(self, canvas: Canvas) -> None:
        """Close the document without asking."""
        raise NotImplementedError

    def hide(self, canvas: Canvas, layer_id: str) -> None:
        """Make a layer invisible."""
        raise NotImplementedError

    def test_canvas_knows_its_size_and_colors(self) -> None:
        """Height and width are not confused; a new document is RGBA."""
        canvas = self.open_canvas(30, 50)
        assert (canvas.height, canvas.width, canvas.color_model) == (30, 50, "RGBA")
        assert canvas.is_open

    def test_canvas_in_front_is_the_one_that_was_opened(self) -> None:
        """Two documents have two ids, and the same document always has the same."""
        first, second = self.open_canvas(8, 8), self.open_canvas(8, 8)
        active = self.host.active_canvas()
        assert active is not None
        assert active.id == second.id != first.id

    def test_layers_are_listed_topmost_first(self) -> None:
        """With name, bounds and visibility."""
        canvas = self.open_canvas(30, 50)
        self.paint(canvas, "lower", Bounds(2, 4, 12, 24), RED)
        upper = self.paint(canvas, "upper", Bounds(0, 0, 5, 5), RED)
        self.hide(canvas, upper)
        layers = canvas.layers()
        assert [layer.name for layer in layers] == ["upper", "lower", "Background"]
        assert [layer.visible for layer in layers] == [False, True, True]
        assert layers[1].bounds == Bounds(2, 4, 12, 24)
        assert all(layer.has_pixels and not layer.is_group for layer in layers)

    def test_alpha_is_what_was_painted(self) -> None:
        """Also where the asked rectangle reaches beyond the paint, and the paint beyond it."""
        canvas = self.open_canvas(30, 50)
        layer = self.paint(canvas, "half", Bounds(2, 4, 12, 24), HALF_GREEN)
        above, rows = bytes(3), bytes((0, 128, 128)) * 2
        assert canvas.alpha(layer, Bounds(1, 3, 4, 6)) == above + rows
        assert canvas.alpha(layer, Bounds(5, 5, 5, 9)) == b""

    def test_alpha_reaches_beyond_the_canvas(self) -> None:
        """A layer may be painted outside; an extension wants to know."""
        canvas = self.open_canvas(20, 20)
        layer = self.paint(canvas, "outside", Bounds(10, 10, 30, 40), RED)
        assert canvas.alpha(layer, Bounds(25, 35, 26, 37)) == b"\xff\xff"

    def test_a_layer_that_is_gone_covers_nothing(self) -> None:
        """It may be deleted while its document is read."""
        canvas = self.open_canvas(20, 20)
        gone = "{00000000-0000-4000-8000-000000000000}"
        assert canvas.alpha(gone, Bounds(0, 0, 2, 3)) == bytes(6)

    def test_flattened_is_what_one_sees(self) -> None:
        """Hidden layers are not seen; the order of colours is RGBA."""
        canvas = self.open_canvas(20, 20)
        self.paint(canvas, "red", Bounds(0, 0, 10, 20), RED)
        self.hide(canvas, self.paint(canvas, "hidden", Bounds(0, 0, 20, 20), HALF_GREEN))
        canvas.settle()
        white = bytes((255, 255, 255, 255))
        assert canvas.flattened(Bounds(9, 3, 11, 5)) == RED * 2 + white * 2

    def test_drafts_come_back_bit_for_bit(self) -> None:
        """What is written is what is there, also where it is half transparent."""
        canvas = self.open_canvas(16, 16)
        for layer in canvas.layers():
            self.hide(canvas, layer.id)
        data = bytes(
            channel
            for number in range(256)
            for channel in (number, 255 - number, number // 2, 255 if number % 3 else 128)
        )
        draft = canvas.draft("Tapestry: all colours")
        for top in (0, 8):
            rows = data[top * 64 : (top + 8) * 64]
            draft.write(Pixels(8, 16, 4, rows), top, 0)
        layer_id = done(canvas, draft.insert())
        canvas.settle()
        assert canvas.flattened(Bounds(0, 0, 16, 16)) == data
        assert canvas.layers()[0].id == layer_id
        assert canvas.layers()[0].name == "Tapestry: all colours"

    def test_growing_moves_what_is_there(self) -> None:
        """The old pixels lie further down and right, unchanged."""
        canvas = self.open_canvas(20, 30)
        self.paint(canvas, "red", Bounds(0, 0, 20, 30), RED)
        canvas.grow(Margins(top=4, left=8, bottom=2, right=1))
        canvas.settle()
        assert (canvas.height, canvas.width) == (26, 39)
        assert canvas.layers()[0].bounds == Bounds(4, 8, 24, 38)
        assert canvas.flattened(Bounds(4, 8, 24, 38)) == RED * 600

    def test_the_active_layer_is_the_one_that_was_activated(self) -> None:
        """One that is gone changes nothing."""
        canvas = self.open_canvas(20, 20)
        lower = self.paint(canvas, "lower", Bounds(0, 0, 5, 5), RED)
        self.paint(canvas, "upper", Bounds(0, 0, 5, 5), RED)
        canvas.activate(lower)
        assert canvas.active_layer() == lower
        canvas.activate("{00000000-0000-4000-8000-000000000000}")
        assert canvas.active_layer() == lower

    def test_layers_are_renamed_and_removed(self) -> None:
        """By their ids; ids that are gone change nothing."""
        canvas = self.open_canvas(20, 20)
        layer = self.paint(canvas, "sky", Bounds(0, 0, 5, 5), RED)
        canvas.rename(layer, "night \U0001f319")
        assert canvas.layers()[0].name == "night \U0001f319"
        canvas.remove(layer)
        canvas.remove(layer)
        canvas.rename(layer, "gone")
        assert [found.name for found in canvas.layers()] == ["Background"]

    def test_colors_are_the_layers_own(self) -> None:
        """RGBA with straight alpha, whatever lies above; nothing where the layer is gone."""
        canvas = self.open_canvas(20, 20)
        layer = self.paint(canvas, "half", Bounds(2, 2, 8, 8), HALF_GREEN)
        self.paint(canvas, "above", Bounds(0, 0, 20, 20), RED)
        assert canvas.colors(layer, Bounds(1, 2, 3, 4)) == bytes(8) + HALF_GREEN * 2
        gone = "{00000000-0000-4000-8000-000000000000}"
        assert canvas.colors(gone, Bounds(0, 0, 1, 2)) == bytes(8)

    def test_a_new_region_is_an_empty_layer_on_top(self) -> None:
        """Without a name."""
        canvas = self.open_canvas(20, 20)
        layer = done(canvas, canvas.add_region("", (250, 120, 10)))
        top = canvas.layers()[0]
        assert (top.id, top.name, top.bounds.is_empty) == (layer, "", True)

    def test_a_canvas_that_was_waited_for_is_settled(self) -> None:
        """It is not painted on."""
        canvas = self.open_canvas(20, 20)
        self.paint(canvas, "sky", Bounds(0, 0, 5, 5), RED)
        canvas.settle()
        assert canvas.is_settled

    def test_nothing_is_selected_at_first(self) -> None:
        """A new document has no selection."""
        canvas = self.open_canvas(20, 20)
        assert canvas.selection() is None
        assert canvas.selected(Bounds(0, 0, 2, 2)) == bytes(4)

    def test_what_is_selected_can_be_said(self) -> None:
        """What was selected before is it no longer."""
        canvas = self.open_canvas(20, 30)
        for top, mask in ((0, b"\xff" * 8), (2, bytes((0, 255, 128, 0)) * 2)):
            canvas.select(Pixels(2, 4, 1, mask), top, 5)
            canvas.settle()
        assert canvas.selection() == Bounds(2, 6, 4, 8)
        assert canvas.selected(Bounds(1, 5, 3, 9)) == bytes((0, 0, 0, 0, 0, 255, 128, 0))

    def test_a_hidden_layer_is_not_part_of_the_picture(self) -> None:
        """It still has its paint; one that is gone changes nothing."""
        canvas = self.open_canvas(8, 8)
        layer = self.paint(canvas, "red", Bounds(0, 0, 8, 8), RED)
        seen = []
        for on in (False, True):
            canvas.set_visible(layer, on=on)
            canvas.refresh()
            canvas.settle()
            assert canvas.layers()[0].visible is on
            assert canvas.alpha(layer, Bounds(0, 0, 1, 2)) == bytes((255, 255))
            seen.append(canvas.flattened(Bounds(0, 0, 1, 1)))
        assert seen == [bytes((255,)) * 4, RED]
        canvas.remove(layer)
        canvas.set_visible(layer, on=True)

    def test_shrinking_takes_growing_back(self) -> None:
        """Every layer lies where it was, with all its pixels."""
        canvas = self.open_canvas(20, 30)
        self.paint(canvas, "red", Bounds(0, 0, 20, 30), RED)
        margins = Margins(top=4, left=8, bottom=2, right=1)
        canvas.grow(margins)
        canvas.settle()
        canvas.shrink(margins)
        canvas.settle()
        assert (canvas.height, canvas.width) == (20, 30)
        assert canvas.layers()[0].bounds == Bounds(0, 0, 20, 30)
        assert canvas.flattened(Bounds(0, 0, 20, 30)) == RED * 600

    def test_scaling_takes_all_layers_along(self) -> None:
        """Each keeps its id, its name, and its place in the picture; and back."""
        canvas = self.open_canvas(20, 30)
        layer = self.paint(canvas, "red", Bounds(4, 6, 12, 20), RED)
        canvas.scale(40, 60)
        canvas.settle()
        assert (canvas.height, canvas.width) == (40, 60)
        assert canvas.layers()[0].id == layer
        assert [found.name for found in canvas.layers()] == ["red", "Background"]
        assert canvas.flattened(Bounds(12, 16, 20, 36)) == RED * 160
        assert canvas.flattened(Bounds(36, 0, 40, 60)) == bytes((255,)) * (4 * 4 * 60)
        canvas.scale(20, 30)
        canvas.settle()
        assert (canvas.height, canvas.width) == (20, 30)
        assert canvas.flattened(Bounds(6, 8, 10, 18)) == RED * 40

    def test_a_draft_can_be_inserted_above_a_layer(self) -> None:
        """Below those above it; on top where there is no such layer."""
        canvas = self.open_canvas(20, 20)
        lower = self.paint(canvas, "lower", Bounds(0, 0, 5, 5), RED)
        self.paint(canvas, "upper", Bounds(0, 0, 5, 5), RED)
        for name, above in (("between", lower), ("top", "")):
            draft = canvas.draft(name)
            draft.write(_filled(5, 5, RED), 0, 0)
            done(canvas, draft.insert(above))
        names = [layer.name for layer in canvas.layers()]
        assert names == ["top", "upper", "between", "lower", "Background"]

    def test_an_empty_draft_can_be_inserted_above_a_layer(self) -> None:
        """Also above a group, not into it; under its own name."""
        canvas = self.open_canvas(20, 20)
        lower = self.paint(canvas, "lower", Bounds(0, 0, 5, 5), RED)
        group = done(canvas, canvas.insert_group("all", [canvas.draft("inside")]))
        self.paint(canvas, "upper", Bounds(0, 0, 5, 5), RED)
        ids = {
            name: done(canvas, canvas.draft(name).insert(above))
            for name, above in (("on lower", lower), ("on all", group.id), ("top", ""))
        }
        layers = canvas.layers()
        names = ["top", "upper", "on all", "all", "on lower", "lower", "Background"]
        assert [layer.name for layer in layers] == names
        assert {layer.name: layer.id for layer in layers if layer.name in ids} == ids

    def test_a_draft_can_be_painted_and_renamed_when_it_is_inserted(self) -> None:
        """What is written then is seen after `refresh`."""
        canvas = self.open_canvas(20, 20)
        draft = canvas.draft("empty")
        done(canvas, draft.insert())
        draft.write(_filled(10, 20, RED), 0, 0)
        draft.rename("filled")
        canvas.refresh()
        canvas.settle()
        assert canvas.is_settled
        assert canvas.flattened(Bounds(9, 0, 10, 20)) == RED * 20
        assert canvas.layers()[0].name == "filled"

    def test_a_layer_can_be_removed(self) -> None:
        """Once: nothing happens the second time."""
        canvas = self.open_canvas(20, 20)
        layer = self.paint(canvas, "red", Bounds(0, 0, 20, 20), RED)
        for _ in range(2):
            canvas.remove(layer)
            canvas.settle()
        assert [layer.name for layer in canvas.layers()] == ["Background"]

    def test_drafts_become_a_group(self) -> None:
        """Topmost first, above the layer that was named."""
        canvas = self.open_canvas(20, 20)
        lower = self.paint(canvas, "lower", Bounds(0, 0, 5, 5), RED)
        self.paint(canvas, "upper", Bounds(0, 0, 5, 5), RED)
        drafts = [canvas.draft(name) for name in ("a", "b")]
        drafts[0].write(_filled(4, 4, RED), 0, 0)
        group = done(canvas, canvas.insert_group("all", drafts, lower))
        drafts[1].write(_filled(6, 20, RED), 0, 0)
        canvas.refresh()
        canvas.settle()
        layers = canvas.layers()
        assert [layer.name for layer in layers] == ["upper", "all", "lower", "Background"]
        assert layers[1].id == group.id
        assert layers[1].is_group
        assert [child.name for child in layers[1].children] == ["a", "b"]
        assert tuple(child.id for child in layers[1].children) == group.layers
        shown = [child.bounds for child in layers[1].children]
        assert shown == [Bounds(0, 0, 4, 4), Bounds(0, 0, 6, 20)]

    def test_a_masked_draft_shows_through_its_mask(self) -> None:
        """Of what no mask was written for, nothing; masks are no layers of the port."""
        canvas = self.open_canvas(20, 20)
        drafts = [canvas.draft("a", masked=True), canvas.draft("b", masked=True), canvas.draft("c")]
        done(canvas, canvas.insert_group("all", drafts))
        for draft, colour in zip(drafts, (RED, GREEN, BLUE), strict=True):
            draft.write(_filled(20, 20, colour), 0, 0)
        drafts[0].write_mask(Pixels(2, 4, 1, bytes((255, 0, 0, 255)) * 2), 0, 0)
        drafts[0].write_mask(Pixels(2, 4, 1, bytes((0, 0, 255, 255)) * 2), 2, 0)
        drafts[1].write_mask(Pixels(4, 2, 1, bytes((255,)) * 8), 0, 0)
        canvas.refresh()
        canvas.settle()
        assert canvas.flattened(Bounds(1, 0, 2, 5)) == RED + GREEN + BLUE + RED + BLUE
        assert canvas.flattened(Bounds(2, 0, 3, 5)) == GREEN * 2 + RED * 2 + BLUE
        (group, _) = canvas.layers()
        assert [child.name for child in group.children] == ["a", "b", "c"]
        assert not any(child.children for child in group.children)

    def test_a_draft_can_be_merged_into_a_layer_and_out_of_it(self) -> None:
        """The layer keeps its name and its place."""
        canvas = self.open_canvas(20, 20)
        lower = self.paint(canvas, "lower", Bounds(0, 0, 5, 5), HALF_GREEN)
        self.paint(canvas, "upper", Bounds(19, 19, 20, 20), HALF_GREEN)
        assert canvas.takes_paint(lower)
        draft = canvas.draft("picture")
        done(canvas, draft.insert(lower))
        draft.write(_filled(10, 20, RED), 0, 0)
        merged = done(canvas, draft.merge_into(lower))
        canvas.settle()
        layers = canvas.layers()
        assert [layer.name for layer in layers] == ["upper", "lower", "Background"]
        assert layers[1].id == merged.layer_id
        assert canvas.flattened(Bounds(9, 0, 10, 19)) == RED * 19
        merged.take_back()
        canvas.settle()
        layers = canvas.layers()
        assert [layer.name for layer in layers] == ["upper", "lower", "Background"]
        assert layers[1].bounds == Bounds(0, 0, 5, 5)

    def test_what_takes_no_paint_is_known(self) -> None:
        """A group; what is gone."""
        canvas = self.open_canvas(20, 20)
        group = done(canvas, canvas.insert_group("all", [canvas.draft("a")]))
        gone = "{00000000-0000-4000-8000-000000000000}"
        assert [canvas.takes_paint(layer) for layer in (group.id, gone, "")] == [False] * 3

    def test_a_draft_is_merged_into_its_neighbour_alone(self) -> None:
        """Not into a layer further down, nor when it is gone itself."""
        canvas = self.open_canvas(20, 20)
        lower = self.paint(canvas, "lower", Bounds(0, 0, 5, 5), RED)
        upper = self.paint(canvas, "upper", Bounds(0, 0, 5, 5), RED)
        draft = canvas.draft("picture")
        own = done(canvas, draft.insert(upper))
        assert done(canvas, draft.merge_into(lower)) is None
        canvas.remove(own)
        assert done(canvas, draft.merge_into(upper)) is None
        assert [layer.name for layer in canvas.layers()] == ["upper", "lower", "Background"]

    def test_a_canvas_knows_whether_it_is_modified(self) -> None:
        """As it was set last."""
        canvas = self.open_canvas(8, 8)
        for on in (True, False):
            canvas.set_modified(on=on)
            assert canvas.is_modified == on
        assert canvas.name
        assert canvas.color_depth == "U8"

    def test_pixels_are_scaled(self) -> None:
        """To the size that was asked for, exactly."""
        scaled = self.host.scaled(_filled(3, 5, RED), 7, 2)
        assert scaled == _filled(7, 2, RED)

    def test_host_lists_what_is_open(self) -> None:
        """A closed one is not among it."""
        first, second = self.open_canvas(8, 8), self.open_canvas(8, 8)
        self.close(first)
        ids = [canvas.id for canvas in self.host.open_canvases()]
        assert second.id in ids
        assert first.id not in ids

    def test_notes_stay_with_the_document(self) -> None:
        """One that was never kept is empty."""
        canvas = self.open_canvas(8, 8)
        assert canvas.note("tapestry_test") == ""
        canvas.keep_note("tapestry_test", '["\u00e4", 1]')
        assert canvas.note("tapestry_test") == '["\u00e4", 1]'
        other = self.open_canvas(8, 8)
        assert other.note("tapestry_test") == ""

    def test_another_note_is_a_modification(self) -> None:
        """The same one again is none."""
        canvas = self.open_canvas(8, 8)
        for text, is_another in (("[1]", True), ("[1]", False), ("[2]", True)):
            canvas.set_modified(on=False)
            canvas.keep_note("tapestry_test", text)
            assert canvas.is_modified == is_another

    def test_a_closed_canvas_says_so(self) -> None:
        """Anything else that is asked of it raises a sentence."""
        canvas = self.open_canvas(8, 8)
        self.close(canvas)
        assert not canvas.is_open
        assert "closed" in _refusal(canvas.layers)

    def test_host_opens_canvases(self) -> None:
        """For a picture whose document is gone."""
        canvas = self.host.create_canvas(12, 20, "Tapestry: rescued")
        assert (canvas.height, canvas.width, canvas.color_model) == (12, 20, "RGBA")
        assert self.host.active_canvas().id == canvas.id

    def test_host_keeps_settings(self) -> None:
        """One that was never written is empty."""
        assert self.host.read_setting("contract_test_never") == ""
        self.host.write_setting("contract_test", "42")
        assert self.host.read_setting("contract_test") == "42"


def done(canvas: Canvas, work: Work[Value]) -> Value:
    """What comes of it, when the document was waited for wherever the work waits."""
    while True:
        try:
            run_on(work)
        except StopIteration as stop:
            return stop.value
        canvas.settle()


def _refusal(action: Callable[[], object]) -> str:
    try:
        action()
    except TapestryError as error:
        return error.message
    return "it was done"


def clauses() -> list[str]:
    """The names of all clauses, for callers without pytest."""
    return [name for name in dir(CanvasContract) if name.startswith("test_")]


def _filled(height: int, width: int, rgba: bytes) -> Pixels:
    return Pixels(height, width, 4, rgba * (height * width))
