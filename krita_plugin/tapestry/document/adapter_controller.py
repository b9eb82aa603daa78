"""The docker's model of adapters: what the artist lays on the picture and its regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tapestry_protocol.adapters import MAPS, AdapterInfo
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_CONTROLS, MAX_LORAS

from ..common.error_boundary import guarded
from ..i18n.translation import tr
from .adapter_reading import document_adapters
from .adapter_settings import (
    ADAPTERS_NOTE,
    PICTURE,
    AdapterSettings,
    DocumentAdapters,
    fitting,
    newly_laid,
)
from .canvas import Canvas, Host
from .order import all_layers
from .scene_watcher import SceneWatcher


class AdapterController:
    """All of it works on the document in front, and on the list of the backend.

    known   what the backend has
    family  of the model that is chosen
    failed  takes what went wrong
    """

    def __init__(
        self,
        host: Host,
        watch: SceneWatcher,
        family: Callable[[], str],
        failed: Callable[[Exception], None],
    ) -> None:
        self.known: Sequence[AdapterInfo] = ()
        self._host = host
        self._watch = watch
        self._family = family
        self._failed = failed

    def report(self, error: Exception) -> None:
        """Tell the artist what went wrong."""
        self._failed(error)

    @property
    def offered(self) -> list[AdapterInfo]:
        """What can be laid on the model that is chosen."""
        return fitting(self.known, self._family())

    def laid(self, layer_id: str) -> tuple[AdapterSettings, ...]:
        """What lies on a region, or on the picture, as it was seen last."""
        return self._watch.scene.adapters.of(layer_id, self._name(layer_id))

    @guarded
    def add(self, layer_id: str, info: AdapterInfo) -> None:
        """Lay another one on a region, or on the picture."""
        canvas = self._host.active_canvas()
        if canvas is None:
            return
        stored = document_adapters(canvas)
        laid = stored.of(layer_id, self._name(layer_id))
        rows = {row.id: row.prompt for row in self._watch.scene.rows}
        _check_number(stored.only(rows), laid, info)
        self._keep(canvas, stored.having(layer_id, self._name(layer_id), [*laid, newly_laid(info)]))

    @guarded
    def set(self, layer_id: str, place: int, **values: Any) -> None:
        """Set fields of the one at this place."""
        self._replace(layer_id, place, lambda one: [replace(one, **values)])

    @guarded
    def remove(self, layer_id: str, place: int) -> None:
        """Take the one at this place away."""
        self._replace(layer_id, place, lambda _: [])

    @guarded
    def choose_layer(self, layer_id: str, place: int, shown: str) -> None:
        """Show the one at this place another layer."""
        names = {picture.id: picture.name for picture in self._watch.scene.pictures}
        self._replace(
            layer_id,
            place,
            lambda one: [
                replace(
                    one,
                    layer=shown,
                    layer_name=names.get(shown, ""),
                    show="none" if one.show in MAPS else one.show,
                )
            ],
        )

    @guarded
    def bring_back(self, text: str) -> None:
        """Lay on what lay on an earlier picture, as `DocumentAdapters.to_text` wrote it.

        Adapters whose layer is missing are left out, with a notice.
        """
        canvas = self._host.active_canvas()
        if canvas is None or not text:
            return
        layers = canvas.layers()
        here = {PICTURE, *(layer.id for layer in all_layers(layers))}
        stored, gone = document_adapters(canvas), []
        for layer_id, entry in DocumentAdapters.from_text(text).entries.items():
            if layer_id not in here:
                continue
            gone += [one for one in entry.laid if one.layer and not one.find(layers)]
            stored = stored.having(layer_id, entry.name, [o for o in entry.laid if o not in gone])
        self._keep(canvas, stored)
        if gone:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The layer \u201c{layer}\u201d for {adapter} is not here any more.").format(
                    layer=gone[0].layer_name, adapter=gone[0].adapter
                ),
                tr("All else is set again; add what is missing with another layer."),
            )

    @guarded
    def lay_on_picture(self, laid: Sequence[AdapterSettings]) -> None:
        """Lay these on the picture, and nothing else.

        Where the layer that one was shown is not here, its row waits for another.
        """
        canvas = self._host.active_canvas()
        if canvas is None:
            return
        layers = canvas.layers()
        here = [
            replace(one, layer="", layer_name="") if one.layer and one.find(layers) is None else one
            for one in laid
        ]
        self._keep(canvas, document_adapters(canvas).having(PICTURE, "", here))

    def _replace(
        self, layer_id: str, place: int, change: Callable[[AdapterSettings], list[AdapterSettings]]
    ) -> None:
        canvas = self._host.active_canvas()
        if canvas is None:
            return
        stored, name = document_adapters(canvas), self._name(layer_id)
        laid = list(stored.of(layer_id, name))
        if place < len(laid):
            laid[place : place + 1] = change(laid[place])
            self._keep(canvas, stored.having(layer_id, name, laid))

    def _name(self, layer_id: str) -> str:
        return next((row.prompt for row in self._watch.scene.rows if row.id == layer_id), "")

    def _keep(self, canvas: Canvas, stored: DocumentAdapters) -> None:
        canvas.keep_note(ADAPTERS_NOTE, stored.to_text())
        self._watch.look()


def _check_number(
    stored: DocumentAdapters, laid: Sequence[AdapterSettings], info: AdapterInfo
) -> None:
    """Raises TapestryError where a request takes no more of this kind."""
    if info.kind == "lora":
        full = sum(one.kind == "lora" for one in laid) >= MAX_LORAS
        sentence = tr("There are {count} LoRAs already; no more fit.").format(count=MAX_LORAS)
    else:
        everything = [one for entry in stored.entries.values() for one in entry.laid]
        full = sum(one.kind != "lora" for one in everything) >= MAX_CONTROLS
        sentence = tr("There are {count} control pictures already; no more fit.").format(
            count=MAX_CONTROLS
        )
    if full:
        raise TapestryError(ErrorCode.TOO_LARGE, sentence, tr("Remove one of them first."))
