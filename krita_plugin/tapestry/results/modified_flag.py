"""Keeps a document from being marked as modified by a layer that is no part of it.

Krita sets the mark, and names the step that can be undone, in a later turn of its own loop. So the
mark is watched for a while and taken back, unless anything else has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..common.task_queue import Loop
from ..document.canvas import Canvas, Layer

_EVERY_S = 0.05
_TURNS = 100
"""Krita 5.1 sets the mark within 0.6 s in a document of 2048 x 2048, on a busy machine."""

_MOST_DOUBTS = 2
"""The mark may be there a turn before the step has its name; a step of the artist's has its own."""


@dataclass
class _Watched:
    """A document whose mark is watched, and all of its layers but ours."""

    canvas: Canvas
    others: tuple[Layer, ...]
    turns: int = 0
    doubts: int = 0


class ModifiedFlagGuard:
    """Layers of one name come and go without a mark."""

    def __init__(self, loop: Loop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._watched: dict[str, _Watched] = {}
        self._changing = ""

    @contextmanager
    def during(self, canvas: Canvas) -> Iterator[None]:
        """Add or remove such a layer, also in turns; a document that is marked stays it."""
        if canvas.id in self._watched:
            self._judge(self._watched[canvas.id])
        was_modified, others = canvas.is_modified, self._others(canvas)
        self._changing = canvas.id
        try:
            yield
        finally:
            self._changing = ""
        if not was_modified:
            is_first = not self._watched
            self._watched[canvas.id] = _Watched(canvas, others)
            if is_first:
                self._loop.call_later(0, self._turn)

    def mark(self, canvas: Canvas) -> None:
        """The layer becomes part of the document."""
        self._watched.pop(canvas.id, None)
        canvas.set_modified(on=True)

    def _others(self, canvas: Canvas) -> tuple[Layer, ...]:
        return tuple(layer for layer in canvas.layers() if layer.name != self._name)

    def _turn(self) -> None:
        for watched in list(self._watched.values()):
            watched.turns += 1
            if watched.canvas.id != self._changing:  # a new layer may not have its name yet
                self._judge(watched)
        if self._watched:
            self._loop.call_later(_EVERY_S, self._turn)

    def _judge(self, watched: _Watched) -> None:
        canvas = watched.canvas
        if not canvas.is_open or watched.turns > _TURNS:
            del self._watched[canvas.id]
        elif not canvas.is_modified:
            pass
        elif self._others(canvas) != watched.others or watched.doubts == _MOST_DOUBTS:
            del self._watched[canvas.id]  # the artist has changed something
        elif canvas.last_step_was_a_layer:
            canvas.set_modified(on=False)
        else:
            watched.doubts += 1
