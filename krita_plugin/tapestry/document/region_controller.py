"""The docker's model of regions: name, set, choose, add, show."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any

from ..common.error_boundary import guarded
from ..common.task_queue import Loop, Task
from .adapter_reading import keep_adapters_name
from .canvas import Canvas, Host
from .reading import document_regions
from .region_overlay import color_of, insert_region_overlay, overlay_layers
from .region_settings import REGIONS_NOTE, DocumentRegions, RegionSettings
from .scene_watcher import SceneWatcher

_KRITA_ACTIVATES_S = 0.2
"""A new layer becomes the active one in a later turn of Krita's own."""


class RegionController:
    """Changes the regions of the document in front; `SceneWatcher` reads them."""

    def __init__(
        self, host: Host, loop: Loop, watch: SceneWatcher, failed: Callable[[Exception], None]
    ) -> None:
        self._host = host
        self._loop = loop
        self._watch = watch
        self._failed = failed
        self._showing_overlay: Task | None = None
        self._adding: Task | None = None
        self._begun = ""

    def report(self, error: Exception) -> None:
        """Tell the artist what went wrong."""
        self._failed(error)

    def settings(self, layer_id: str) -> RegionSettings:
        """What is set for a region, as it was seen last."""
        found = (row.settings for row in self._watch.scene.rows if row.id == layer_id)
        return next(found, RegionSettings())

    @guarded
    def set(self, layer_id: str, **values: Any) -> None:
        """Set fields of a region's settings; the document keeps them."""
        canvas = self._host.active_canvas()
        if canvas is None:
            return
        stored, name = document_regions(canvas), self._name(layer_id)
        settings = replace(stored.settings(layer_id, name), **values)
        self._keep(canvas, stored.with_settings(layer_id, name, settings))

    @guarded
    def rename(self, layer_id: str, prompt: str) -> None:
        """Give the layer the prompt as its name."""
        canvas = self._host.active_canvas()
        if canvas is None:
            return
        canvas.rename(layer_id, prompt)
        keep_adapters_name(canvas, layer_id, prompt)
        stored = document_regions(canvas)
        renamed = stored.with_name(layer_id, prompt)
        if renamed != stored:
            self._keep(canvas, renamed)

    @guarded
    def activate(self, layer_id: str) -> None:
        """Make the region's layer the one that the artist works on."""
        canvas = self._host.active_canvas()
        if canvas is not None:
            canvas.activate(layer_id)
            self._watch.look()

    @guarded
    def choose_group(self, group_id: str) -> None:
        """Let the layers of this group count; "": those of the whole document."""
        canvas = self._host.active_canvas()
        if canvas is None:
            return
        names = {group.id: group.name for group in self._watch.scene.groups}
        stored = document_regions(canvas)
        self._keep(canvas, replace(stored, group=group_id, group_name=names.get(group_id, "")))

    @guarded
    def new_region(self) -> None:
        """A layer to paint on, in front of all others, whose prompt is to be written next."""
        canvas = self._host.active_canvas()
        if canvas is None or self._adding is not None:
            return
        group, color = self._watch.scene.group, color_of(len(self._watch.scene.rows))

        def finished(layer_id: str) -> None:
            self._adding, self._begun = None, layer_id
            self._watch.look()

        def failed(error: Exception) -> None:
            self._adding = None
            self._failed(error)

        async def adding() -> str:
            with self._watch.resting():
                return await canvas.add_region(group, color)

        self._adding = Task(self._loop, adding(), finished, failed)

    def take_begun(self, layer_ids: Container[str]) -> str:
        """The new region whose prompt is to be written, once, as soon as it is among these."""
        begun = self._begun if self._begun in layer_ids else ""
        self._begun = "" if begun else self._begun
        return begun

    @guarded
    def toggle_overlay(self) -> None:
        """Show the canvas in the colours of its regions, or as it is."""
        canvas = self._host.active_canvas()
        if canvas is None or self._showing_overlay is not None:
            return
        if self.hide_overlay():
            self._watch.look()
            return
        active = canvas.active_layer()

        def finished(_layer_id: str) -> None:
            self._showing_overlay = None
            self._watch.look()
            self._loop.call_later(_KRITA_ACTIVATES_S, lambda: self._activate_again(canvas, active))

        def failed(error: Exception) -> None:
            self._showing_overlay = None
            self._failed(error)

        async def showing() -> str:
            with self._watch.resting():
                return await insert_region_overlay(canvas, self._watch.scene.rows)

        self._showing_overlay = Task(self._loop, showing(), finished, failed)

    @guarded
    def _activate_again(self, canvas: Canvas, layer_id: str) -> None:
        """What is shown is nothing to paint on: Krita has made it the active layer meanwhile."""
        if canvas.is_open:
            canvas.activate(layer_id)

    def hide_overlay(self) -> bool:
        """Take the layer that shows regions away; whether there was one."""
        canvas = self._host.active_canvas()
        if canvas is None:
            return False
        found = overlay_layers(canvas.layers())
        for layer_id in found:
            canvas.remove(layer_id)
        return bool(found)

    def close(self) -> None:
        """Krita ends."""
        for work in (self._showing_overlay, self._adding):
            if work is not None:
                work.cancel()
        self._showing_overlay = self._adding = None

    def _name(self, layer_id: str) -> str:
        return next((row.prompt for row in self._watch.scene.rows if row.id == layer_id), "")

    def _keep(self, canvas: Canvas, stored: DocumentRegions) -> None:
        canvas.keep_note(REGIONS_NOTE, stored.to_text())
        self._watch.look()
