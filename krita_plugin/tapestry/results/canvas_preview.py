"""A preview on the canvas that is no part of the document.

It is a layer, because Krita has no other way, with a name by which it is recognised later. It is
removed before the document is saved; a file that was saved with it is written again without.

Krita adds and removes layers in turns of its own, so that a preview passes through four states:

    nothing        `subject` is empty
    being added    `subject` is set, `_shown` is None yet
    shown          `subject` and `_shown` are set
    hidden         in `_hidden`, until Krita has removed its layer and it has not come back
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.layer_names import OWN_PREFIX
from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import Loop, give_way, next_turn, pause
from ..document.bands import bands
from ..document.canvas import Canvas, Host, LayerDraft
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
class _HiddenLayer:
    """A layer that has to be removed, and until when we look whether it is gone."""

    canvas: Canvas
    layer_id: str
    until: float = field(default_factory=lambda: time.monotonic() + _WATCHED_S)

    @property
    def is_there(self) -> bool:
        return _has_layer(self.canvas, self.layer_id)


@dataclass(frozen=True)
class _ShownLayer:
    """The layer that shows a picture, in its document."""

    canvas: Canvas
    draft: LayerDraft
    layer_id: str
    bounds: Bounds

    def lies_in(self, canvas: Canvas, bounds: Bounds) -> bool:
        """Whether it is in these bounds of this document, if the artist has not removed it."""
        return self.canvas.id == canvas.id and self.bounds == bounds


class CanvasPreview:
    """At most one preview, in one document."""

    def __init__(self, host: Host, loop: Loop) -> None:
        self._host = host
        self._loop = loop
        self._flag_guard = ModifiedFlagGuard(loop, PREVIEW_NAME)
        self._hidden: list[_HiddenLayer] = []
        self._shown: _ShownLayer | None = None
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
        """Remove the preview as soon as Krita can do it."""
        self._hide_layer()
        self._remove_hidden_until_gone()

    def hide_soon(self) -> None:
        """The same from the next turn on, so that the caller need not wait for Krita to draw."""
        self._hide_layer()
        self._loop.call_later(0, self._remove_hidden_until_gone)

    def _hide_layer(self) -> None:
        if self._shown is not None:
            self._hidden.append(_HiddenLayer(self._shown.canvas, self._shown.layer_id))
        self._forget()

    async def gone(self) -> None:
        """Wait until what was hidden is removed, for PATIENCE_S at most."""
        end = time.monotonic() + PATIENCE_S
        while not self._remove_hidden() and time.monotonic() < end:
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
        """Remove every preview, older ones too; whether there was one."""
        previews = [layer.id for layer in canvas.layers() if layer.name == PREVIEW_NAME]
        if self._shown is not None and self._shown.canvas.id == canvas.id:
            self._forget()
        for layer_id in previews:
            self._remove(canvas, layer_id)
        return bool(previews)

    def _remove_hidden_until_gone(self) -> None:
        self._remove_hidden()
        if self._hidden:
            self._loop.call_later(_ASK_AGAIN_AFTER_S, self._remove_hidden_until_gone)

    def _remove_hidden(self) -> bool:
        """Remove what is hidden where Krita is ready, and look again later; whether all are gone.

        Krita 5.1 must not be asked to remove a layer that it is still adding or drawing.
        """
        hidden, self._hidden = self._hidden, []
        are_gone = True
        for layer in hidden:
            if not layer.canvas.is_open:
                continue
            is_settled = layer.canvas.is_settled
            if not is_settled or layer.is_there:
                are_gone = False
                layer.until = time.monotonic() + _WATCHED_S
                if is_settled:
                    self._remove(layer.canvas, layer.layer_id)
            if time.monotonic() < layer.until:
                self._hidden.append(layer)
        return are_gone

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
            self._hidden.append(_HiddenLayer(canvas, layer_id))
            self._remove_hidden_until_gone()
            return None
        self._shown = _ShownLayer(canvas, draft, layer_id, bounds)
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
        """Give the artist's layer back: what is painted on the preview's would go with it."""
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
