"""A first scene for new users: three layers, whose names are prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sin

from tapestry_protocol.pixels import Pixels

from ..common.task_queue import Loop, Task, next_turn
from ..i18n.notices import Notice, notice_of
from ..i18n.translation import tr
from .canvas import Host

HEIGHT, WIDTH = 256, 384
_WAVES = [148 + 5 * sin(x / 29) + 2 * sin(x / 7) for x in range(WIDTH)]
"""The row of the shore in each column."""
_TOP, _WALL, _FOOT = 44, 58, 214
"""Rows of the tower: its battlements, its wall, and where it ends."""
_LEFT, _RIGHT = 236, 292
_MERLON_PX = 11

RowPainter = Callable[[int], Iterable[bool]]


class Example:
    """Opens the scene, and says what to do with it."""

    def __init__(self, host: Host, loop: Loop, said: Callable[[Notice], None]) -> None:
        self._host, self._loop, self._said = host, loop, said
        self._work: Task | None = None

    def open(self) -> None:
        """A new document, over a few turns of Krita's loop."""
        self._work = Task(self._loop, self._paint(), self._said, lambda e: self._said(notice_of(e)))

    async def _paint(self) -> Notice:
        canvas = self._host.create_canvas(HEIGHT, WIDTH, tr("Tapestry example"))
        await next_turn()
        for prompt, color, row in _LAYERS:
            draft = canvas.draft(prompt)
            draft.write(_painted(color, row), 0, 0)
            await next_turn()
            await draft.insert()
        canvas.refresh()
        return Notice(
            tr("Three painted layers: a name says what is there, the paint says where."),
            tr("Press Generate. Then paint on a layer, or rename it, and press it again."),
            is_error=False,
        )


def _painted(color: tuple[int, int, int], row: RowPainter) -> Pixels:
    paint, nothing = bytes((*color, 255)), bytes(4)
    rows = (b"".join(paint if on else nothing for on in row(y)) for y in range(HEIGHT))
    return Pixels(HEIGHT, WIDTH, 4, b"".join(rows))


def _sky(y: int) -> Iterable[bool]:
    return [y < wave for wave in _WAVES]


def _sea(y: int) -> Iterable[bool]:
    return [y >= wave for wave in _WAVES]


def _tower(y: int) -> Iterable[bool]:
    """Wider at its foot."""
    if _TOP <= y < _WALL:
        return [_LEFT <= x < _RIGHT and (x - _LEFT) // _MERLON_PX % 2 == 0 for x in range(WIDTH)]
    wider = (y - _TOP) // 24
    is_wall = _WALL <= y < _FOOT
    return [is_wall and _LEFT - wider <= x < _RIGHT + wider for x in range(WIDTH)]


_LAYERS: tuple[tuple[str, tuple[int, int, int], RowPainter], ...] = (
    ("sunset sky", (232, 140, 84), _sky),
    ("ocean waves", (46, 104, 148), _sea),
    ("red bricks", (160, 66, 52), _tower),
)
"""Lowest first. The demonstration model was trained with these words."""
