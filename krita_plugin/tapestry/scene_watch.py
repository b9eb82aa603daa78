"""Follows the document in front: its regions, their thumbnails, which are on; no widgets.

The layer tree is compared, not observed: Krita tells nobody when a layer is painted on or renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Pixels

from .canvas import Canvas, Host, Layer
from .layers import Scene
from .reading import check_color_model, scene_of, thumbnail
from .turns import Loop, Value, Work

_NO_DOCUMENT = "No document is open."
_NO_REGIONS = "No regions yet: paint on a layer and name the layer with what should be there."


class SceneWatch:
    """What the list of regions shows.

    scene_changed      is called when the list is another one
    thumbnail_changed  is called with the id of a layer whose thumbnail is new
    failed             takes what went wrong
    """

    def __init__(
        self,
        host: Host,
        loop: Loop,
        scene_changed: Callable[[], None],
        thumbnail_changed: Callable[[str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.scene = Scene(remarks=(_NO_DOCUMENT,))
        self.thumbnails: dict[str, Pixels] = {}
        self.off: set[str] = set()
        self.has_document = False
        self._host = host
        self._loop = loop
        self._scene_changed = scene_changed
        self._thumbnail_changed = thumbnail_changed
        self._failed = failed
        self._seen: tuple[str, int, int, tuple[Layer, ...]] | None = None
        self._turn = 0
        self._work: Work | None = None

    def look(self) -> None:
        """Compare the document with what was seen last; the rest happens in later turns."""
        if self._work is not None:
            return
        canvas = self._host.active_canvas()
        self.has_document = canvas is not None
        if canvas is None:
            self._forget()
            return
        seen = (canvas.id, canvas.height, canvas.width, canvas.layers())
        if seen != self._seen:
            self._begin(canvas, self._read(canvas), lambda scene: self._show(seen, scene))
        elif self.scene.regions:
            self._begin(canvas, self._thumbnails(canvas), lambda _: None)

    def stop(self) -> None:
        """End whatever is going on."""
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def set_on(self, layer_id: str, *, on: bool) -> None:
        """Let a layer be a region, or not."""
        if on:
            self.off.discard(layer_id)
        else:
            self.off.add(layer_id)

    def _forget(self) -> None:
        if self._seen is not None:
            self._seen = None
            self._replace(Scene(remarks=(_NO_DOCUMENT,)))

    def _read(self, canvas: Canvas) -> Generator[None, None, Scene]:
        try:
            check_color_model(canvas)
        except TapestryError as error:
            return Scene(remarks=(str(error),))
        scene = yield from scene_of(canvas)
        if scene.regions:
            return scene
        return Scene((), scene.background_prompt, scene.remarks or (_NO_REGIONS,))

    def _show(self, seen: tuple[str, int, int, tuple[Layer, ...]], scene: Scene) -> None:
        self._seen = seen
        if scene != self.scene:
            self._replace(scene)

    def _replace(self, scene: Scene) -> None:
        self.scene = scene
        ids = {region.id for region in scene.regions}
        self.thumbnails = {key: kept for key, kept in self.thumbnails.items() if key in ids}
        self._scene_changed()

    def _thumbnails(self, canvas: Canvas) -> Generator[None, None, None]:
        """Those that are missing; else one, in turn, because paint does not show in the tree."""
        ids = [region.id for region in self.scene.regions]
        missing = [layer_id for layer_id in ids if layer_id not in self.thumbnails]
        self._turn += 1
        for layer_id in missing or [ids[self._turn % len(ids)]]:
            self._keep(layer_id, (yield from thumbnail(canvas, layer_id)))

    def _keep(self, layer_id: str, small: Pixels) -> None:
        if self.thumbnails.get(layer_id) != small:
            self.thumbnails[layer_id] = small
            self._thumbnail_changed(layer_id)

    def _begin(
        self, canvas: Canvas, pieces: Generator[None, None, Value], then: Callable[[Value], None]
    ) -> None:
        def finished(value: Value) -> None:
            self._work = None
            then(value)

        def failed(error: Exception) -> None:
            self._work = None
            if canvas.is_open:  # a document may be closed at any time, the next look will see it
                self._failed(error)

        self._work = Work(self._loop, pieces, finished, failed)
