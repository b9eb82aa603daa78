"""Pictures painted by workers without a server: each request has one end, whatever happens."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.server.paint_queue import Heard, PaintQueue
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import Failed, PixelsRef, Region, Request, Result
from tapestry_protocol.pixels import Bounds, Pixels
from tests.chaos.processes import picture_of, scripted
from tests.server.serve import SCRIPTED_WORKER

MASK = Pixels(4, 4, 1, b"\xff" * 16)


@pytest.fixture
def queue(catalogue: Catalogue, tmp_path: Path) -> Iterator[PaintQueue]:
    """A queue with a scripted worker, and two more for devices like its own."""
    command = [sys.executable, str(SCRIPTED_WORKER), "siblings"]
    with PaintQueue(catalogue, command, (), tmp_path / "log") as queue:
        yield queue


def ends_of(queue: PaintQueue, count: int) -> dict[str, Heard]:
    """The next ends that are heard."""
    ends: dict[str, Heard] = {}
    while len(ends) < count:
        heard = queue.hear()
        if isinstance(heard.message, Result | Failed):
            assert heard.message.job_id not in ends
            ends[heard.message.job_id] = heard
    return ends


def test_each_request_has_its_own_picture(queue: PaintQueue) -> None:
    """However many workers there are; masks come along."""
    for number in range(20):
        queue.put(str(number), scripted(number, pause_s=0.01), {})
    for job_id, heard in ends_of(queue, 20).items():
        assert isinstance(heard.message, Result)
        picture = picture_of(scripted(int(job_id)))
        assert heard.pixels == {heard.message.pixels.sha256: picture}
        assert heard.node == ""
    region = Region("water", Bounds(0, 0, 4, 4), PixelsRef.of(MASK))
    request = Request("generate", 4, 4, prompt="{}", regions=(region,))
    queue.put("masked", request, {MASK.sha256: MASK.data})
    (heard,) = ends_of(queue, 1).values()
    assert isinstance(heard.message, Result)
    assert heard.message.report == f'{{"masks": [{16 * 255}]}}'


def test_what_fails_takes_no_other_along(queue: PaintQueue) -> None:
    """A worker that dies with its picture is replaced, and tries it again, but not for ever."""
    queue.put("crash", scripted(1, at=2, do="crash"), {})
    queue.put("raise", scripted(2, at=2, do="raise"), {})
    queue.put("wrong", Request("generate", 4, 4, prompt="{}", model="not here"), {})
    for number in range(6):
        queue.put(str(number), scripted(number), {})
    ends = ends_of(queue, 9)
    codes = {name: heard.message.code for name, heard in ends.items() if _has_failed(heard)}
    assert codes == {
        "crash": ErrorCode.WORKER_LOST,
        "raise": ErrorCode.INTERNAL,
        "wrong": ErrorCode.MODEL_NOT_FOUND,
    }


def _has_failed(heard: Heard) -> bool:
    return isinstance(heard.message, Failed)


def test_it_ends_while_workers_paint(catalogue: Catalogue, tmp_path: Path) -> None:
    """As Ctrl-C has it."""
    command = [sys.executable, str(SCRIPTED_WORKER)]
    with PaintQueue(catalogue, command, (), tmp_path / "log") as queue:
        queue.put("long", scripted(steps=10_000, pause_s=0.05), {})
        queue.hear()
