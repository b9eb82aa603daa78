"""A picture that is shown on the canvas and is no part of the document.

It is a layer, because Krita has no other way, under a name by which it is always known again. It
is taken out before the document is saved, and a file that got it all the same is written again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import Loop, give_way, next_turn, pause
from ..document.bands import bands
from ..document.canvas import Canvas, Host, LayerDraft
from ..document.layers import OWN_PREFIX
from ..document.settling import PATIENCE_S, drawn, settled
from .inserting import PreviewLayer, place_above
from .modified_flag import ModifiedFlagGuard

PREVIEW_NAME = f"{OWN_PREFIX}preview (not saved)"
"""In every language: a document may come from another artist."""

_ASK_AGAIN_AFTER_S = 0.05

_ACTIVATED_WITHIN_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Krita makes a new layer the active one in one of its next turns."""

_WATCHED_S = 0.5
"""How long a layer is looked for after it was last seen: Krita adds layers in turns of its own."""


@dataclass
class _Leaving:
    """A layer that has to go, and until when it is looked for."""

    canvas: Canvas
    layer_id: str
    until: float = field(default_factory=lambda: time.monotonic() + _WATCHED_S)

    @property
    def is_there(self) -> bool:
        return _has_layer(self.canvas, self.layer_id)


@dataclass(frozen=True)
class _PreviewLayer:
    """The layer that shows a picture, in its document."""

    canvas: Canvas
    draft: LayerDraft
    layer_id: str
    bounds: Bounds

    def lies_in(self, canvas: Canvas, bounds: Bounds) -> bool:
        """Whether it is in these bounds of this document, if the artist has not removed it."""
        return self.canvas.id == canvas.id and self.bounds == bounds


class CanvasPreview:
    """At most one picture, in one document.

    Nothing is shown; or a layer is being added, and only the subject is known; or it is there.
    """

    def __init__(self, host: Host, loop: Loop) -> None:
        self._host = host
        self._loop = loop
        self._flag_guard = ModifiedFlagGuard(loop, PREVIEW_NAME)
        self._leaving: list[_Leaving] = []
        self._shown: _PreviewLayer | None = None
        self.subject = ""
        """What is shown: the id of a job or of an entry of the history; empty when nothing is."""

    async def show(
        self,
        subject: str,
        canvas: Canvas,
        pixels: Pixels,
        bounds: Bounds,
        sources: tuple[str, ...] = (),
    ) -> None:
        """Show RGBA pixels within the bounds, scaled to them; whatever was shown before goes."""
        draft = await self._layer_for(subject, canvas, bounds, sources)
        if draft is None:
            return
        await next_turn()
        for band in bands(bounds):
            if self.subject != subject or not canvas.is_open:
                return  # hidden meanwhile, or something else is shown
            draft.write(self._part(pixels, bounds, band), band.top, band.left)
            await give_way()
        if self.subject == subject and canvas.is_open:
            await drawn(canvas)

    def hide(self) -> None:
        """Take it out, as soon as Krita is ready for it."""
        self._leave()
        self._sweep()

    def hide_soon(self) -> None:
        """The same in the next turn: what is told meanwhile does not wait for Krita to draw."""
        self._leave()
        self._loop.call_later(0, self._sweep)

    def _leave(self) -> None:
        if self._shown is not None:
            self._leaving.append(_Leaving(self._shown.canvas, self._shown.layer_id))
        self._forget()

    async def gone(self) -> None:
        """Wait until what was hidden is out, though not for ever."""
        end = time.monotonic() + PATIENCE_S
        while not self._take_out() and time.monotonic() < end:
            await pause()

    def release(self, canvas: Canvas, bounds: Bounds) -> PreviewLayer | None:
        """The layer, to become part of the document; None when it is not there in these bounds."""
        shown = self._shown
        if shown is None or not shown.lies_in(canvas, bounds):
            self.hide()
            return None
        self._forget()
        if not _has_layer(canvas, shown.layer_id):
            return None  # the artist has taken it out
        self._flag_guard.mark(canvas)
        return PreviewLayer(shown.layer_id, shown.draft)

    def clean(self, canvas: Canvas) -> bool:
        """Take out every such layer, also of other days; whether there was one."""
        found = [layer.id for layer in canvas.layers() if layer.name == PREVIEW_NAME]
        if self._shown is not None and self._shown.canvas.id == canvas.id:
            self._forget()
        for layer_id in found:
            self._remove(canvas, layer_id)
        return bool(found)

    def _sweep(self) -> None:
        self._take_out()
        if self._leaving:
            self._loop.call_later(_ASK_AGAIN_AFTER_S, self._sweep)

    def _take_out(self) -> bool:
        """Whether all are out. What was taken out is looked for once more: it might not have gone.

        Krita 5.1 must not be asked to remove a layer that it is still adding or drawing.
        """
        leaving, self._leaving = self._leaving, []
        are_out = True
        for layer in leaving:
            if not layer.canvas.is_open:
                continue
            is_settled = layer.canvas.is_settled
            if not is_settled or layer.is_there:
                are_out = False
                layer.until = time.monotonic() + _WATCHED_S
                if is_settled:
                    self._remove(layer.canvas, layer.layer_id)
            if time.monotonic() < layer.until:
                self._leaving.append(layer)
        return are_out

    def _remove(self, canvas: Canvas, layer_id: str) -> None:
        with self._flag_guard.during(canvas):
            canvas.remove(layer_id)

    async def _layer_for(
        self, subject: str, canvas: Canvas, bounds: Bounds, sources: tuple[str, ...]
    ) -> LayerDraft | None:
        """The layer to write into; the one that is there, if it is in these bounds.

        None when it is hidden, or the document is closed, meanwhile.
        """
        shown = self._shown
        if shown and shown.lies_in(canvas, bounds) and _has_layer(canvas, shown.layer_id):
            self.subject = subject
            return shown.draft
        self.hide()
        self.subject = subject  # hiding it while Krita is waited for takes this back
        draft = canvas.draft(PREVIEW_NAME)
        layer_id = await self._add_layer(subject, canvas, draft, place_above(canvas, sources))
        if layer_id is None:
            return None
        if self.subject != subject:  # hidden while Krita was adding it
            self._leaving.append(_Leaving(canvas, layer_id))
            self._sweep()
            return None
        self._shown = _PreviewLayer(canvas, draft, layer_id, bounds)
        return draft

    async def _add_layer(
        self, subject: str, canvas: Canvas, draft: LayerDraft, above: str
    ) -> str | None:
        """The id of the new layer; None when there is none to be added any more."""
        await give_way()
        await settled(canvas)
        await next_turn()
        if self.subject != subject or not canvas.is_open:
            return None
        active = canvas.active_layer()
        try:
            with self._flag_guard.during(canvas):
                layer_id = await draft.insert(above)
        except TapestryError:
            if canvas.is_open:
                raise
            return None
        for delay_s in _ACTIVATED_WITHIN_S:
            give_back = partial(self._activate_again, canvas, active, layer_id)
            self._loop.call_later(delay_s, give_back)
        return layer_id

    @staticmethod
    def _activate_again(canvas: Canvas, active: str, shown: str) -> None:
        """What the artist paints meanwhile would go with the preview; they may choose another."""
        if canvas.is_open and canvas.active_layer() == shown:
            canvas.activate(active)

    def _part(self, pixels: Pixels, bounds: Bounds, band: Bounds) -> Pixels:
        top = (band.top - bounds.top) * pixels.height // bounds.height
        end = (band.bottom - bounds.top) * pixels.height
        bottom = max(top + 1, -(-end // bounds.height))
        row_bytes = pixels.width * 4
        part = Pixels(
            bottom - top, pixels.width, 4, pixels.data[top * row_bytes : bottom * row_bytes]
        )
        if (part.height, part.width) == (band.height, band.width):
            return part
        return self._host.scaled(part, band.height, band.width)

    def _forget(self) -> None:
        self._shown, self.subject = None, ""


def _has_layer(canvas: Canvas, layer_id: str) -> bool:
    return layer_id in {layer.id for layer in canvas.layers()}
