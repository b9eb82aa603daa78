"""Follows the document in front: its regions, how they look, which one is active.

Krita has no signal for paint on a layer or for a new name, so layer trees are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import Loop, Task, Value, Work
from ..i18n.translation import tr
from .adapter_settings import ADAPTERS_NOTE
from .badges import Badge, badges
from .canvas import Canvas, Host, Layer
from .judging import Judgement
from .layers import DocumentScene
from .reading import scene_of
from .region_overlay import overlay_layers
from .region_settings import REGIONS_NOTE
from .samples import MaskSample, mask_sample, picture_sample

_PICTURE_EVERY = 4
"""The small picture is renewed with every fourth poll."""


@dataclass(frozen=True)
class Seen:
    """All that can be seen of a document without reading pixels."""

    canvas_id: str
    height: int
    width: int
    layers: tuple[Layer, ...]
    regions: str
    adapters: str
    active: str


class SceneWatcher:
    """What the list of regions shows.

    scene_changed      is called when the list, its settings or the active layer are others
    thumbnail_changed  is called with the id of a layer whose mask is another one; with an empty id
                       when it is the picture
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
        self.scene = DocumentScene(remarks=(tr("No document is open."),))
        self.badges: Mapping[str, Badge] = {}
        self.judged: Mapping[str, Judgement] = {}
        self.picture: Pixels | None = None
        self.has_document = False
        self._host = host
        self._loop = loop
        self._scene_changed = scene_changed
        self._thumbnail_changed = thumbnail_changed
        self._failed = failed
        self._seen: Seen | None = None
        self._samples: dict[str, MaskSample] = {}
        self._turn = 0
        self._resting = 0
        self._is_looking = False
        self._work: Task | None = None

    @property
    def is_resting(self) -> bool:
        """Whether something else reads or changes the document."""
        return self._resting > 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the document; (0, 0) where there is none."""
        return (self._seen.height, self._seen.width) if self._seen else (0, 0)

    @property
    def active(self) -> str:
        """The id of the layer that the artist works on."""
        return self._seen.active if self._seen else ""

    @property
    def has_overlay(self) -> bool:
        """Whether the document shows its regions in colours."""
        return bool(self._seen and overlay_layers(self._seen.layers))

    def thumbnail(self, layer_id: str) -> Pixels | None:
        """A small copy of the layer's mask, as it was read last."""
        sample = self._samples.get(layer_id)
        return sample.thumbnail if sample else None

    def look(self) -> None:
        """Compare the document with what was seen last; the rest happens in later turns."""
        if self._work is not None or self.is_resting or self._is_looking:
            return
        self._is_looking = True
        try:
            self._look()
        finally:
            self._is_looking = False

    def _look(self) -> None:
        canvas = self._host.active_canvas()
        self.has_document = canvas is not None
        if canvas is None:
            self._forget()
            return
        seen = Seen(
            canvas.id,
            canvas.height,
            canvas.width,
            canvas.layers(),
            canvas.note(REGIONS_NOTE),
            canvas.note(ADAPTERS_NOTE),
            canvas.active_layer(),
        )
        if self.is_resting:  # since Krita's event loop has turned, which it may do when it is asked
            return
        if seen != self._seen:
            self._begin(canvas, self._read(canvas), lambda scene: self._show(seen, scene))
        else:
            self._begin(canvas, self._renew(canvas), lambda _: None)

    def rest(self) -> None:
        """Leave the document to one more who reads it for a picture, or puts one into it."""
        self._resting += 1
        self.stop()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Rest for a while."""
        self.rest()
        try:
            yield None
        finally:
            self.wake()

    def wake(self) -> None:
        """One of them is done; after the last one it is looked again, when it is time to."""
        self._resting = max(0, self._resting - 1)

    def stop(self) -> None:
        """End whatever is going on."""
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def _forget(self) -> None:
        if self._seen is not None:
            self._seen, self.picture = None, None
            self._replace(DocumentScene(remarks=(tr("No document is open."),)))

    async def _read(self, canvas: Canvas) -> DocumentScene:
        scene = await scene_of(canvas)
        if scene.regions or scene.remarks:
            return scene
        return replace(
            scene,
            remarks=(
                tr(
                    "No regions yet: paint on a layer and name the layer with what should be there."
                ),
            ),
        )

    def _show(self, seen: Seen, scene: DocumentScene) -> None:
        before, self._seen = self._seen, seen
        if before is None or before.canvas_id != seen.canvas_id:
            self.picture = None
        now = (seen.height, seen.width, seen.active, bool(overlay_layers(seen.layers)))
        then = before and (
            *(before.height, before.width, before.active),
            bool(overlay_layers(before.layers)),
        )
        if scene != self.scene or now != then:
            self._replace(scene)

    def _replace(self, scene: DocumentScene) -> None:
        self.scene = scene
        ids = {row.id for row in scene.rows}
        self._samples = {key: kept for key, kept in self._samples.items() if key in ids}
        self._judge()
        self._scene_changed()

    async def _renew(self, canvas: Canvas) -> None:
        """Masks that are missing; else one, in turn, because paint does not show in the tree."""
        ids = [region.id for region in self.scene.regions]
        missing = [layer_id for layer_id in ids if layer_id not in self._samples]
        self._turn += 1
        for layer_id in missing or ids[self._turn % max(1, len(ids)) :][:1]:
            sample = await mask_sample(canvas, layer_id, self.scene.around)
            if self._samples.get(layer_id) != sample:
                self._samples[layer_id] = sample
                self._judge()
                self._thumbnail_changed(layer_id)
        if self.picture is None or self._turn % _PICTURE_EVERY == 0:
            picture = await picture_sample(canvas)
            if picture != self.picture:
                self.picture = picture
                self._thumbnail_changed("")

    def note_judged(self, judged: Mapping[str, Judgement]) -> None:
        """What was found out about the picture, by layer; none once there is another picture."""
        if judged != self.judged:
            self.judged = judged
            self._judge()
            self._scene_changed()

    def _judge(self) -> None:
        found = badges(self.scene.rows, self._samples, Bounds(0, 0, *self.size))
        for row in self.scene.rows:
            judged = self.judged.get(row.id)
            if judged is None or found[row.id] or judged.prompt != row.prompt:
                continue
            found[row.id] = "" if judged.shows else "unlike"
        self.badges = found

    def _begin(
        self,
        canvas: Canvas,
        work: Work[Value],
        then: Callable[[Value], None],
    ) -> None:
        def finished(value: Value) -> None:
            self._work = None
            then(value)

        def failed(error: Exception) -> None:
            self._work = None
            if canvas.is_open:  # a document may be closed at any time, the next look will see it
                self._failed(error)

        self._work = Task(self._loop, work, finished, failed)
