"""What a slow client is spared, and what it is not."""

import asyncio
from typing import Any

from tapestry_backend.server.connections.outbox import (
    COALESCE_BEYOND,
    MOST_WAITING,
    Outbox,
    OutgoingMessage,
)
from tapestry_backend.server.persistence.pixel_blob import PixelBlob
from tapestry_protocol.messages import Accepted, Backend, Message, Preview, Progress
from tests.server.client import reference


def drain(outbox: Outbox) -> list[Message]:
    """Everything that waits."""

    async def take_all() -> list[Message]:
        return [(await outbox.take()).message for _ in range(len(outbox))]

    return asyncio.run(take_all())


def preview(job_id: str, data: bytes) -> Preview:
    """A preview of one pixel."""
    return Preview(job_id, reference(1, 1, 4, data))


def put(outbox: Outbox, message: Any, data: bytes | None = None) -> None:
    """Add a message, and the pixels it refers to."""
    outbox.put(OutgoingMessage(message, PixelBlob(message.pixels, data) if data else None))


def progress(job_id: str, step: int) -> Progress:
    """A step that is done."""
    return Progress(job_id, "denoising", step, 400)


def test_messages_leave_in_order_and_with_their_pixels() -> None:
    """The pixels travel with the message that refers to them."""
    outbox = Outbox()
    put(outbox, Accepted("a", 0))
    put(outbox, preview("a", b"1234"), b"1234")
    deliveries = [asyncio.run(outbox.take()) for _ in range(2)]
    assert [delivery.message.kind for delivery in deliveries] == ["accepted", "preview"]
    assert deliveries[1].picture.data == b"1234"


def test_only_the_latest_preview_of_a_job_waits() -> None:
    """Older ones are out of date; those of other jobs are not."""
    outbox = Outbox()
    for data in (b"1111", b"2222"):
        put(outbox, preview("a", data), data)
        put(outbox, preview("b", data), data)
    assert drain(outbox) == [preview("a", b"2222"), preview("b", b"2222")]


def test_every_step_is_told_to_a_client_that_keeps_up() -> None:
    """A few messages behind is not slow."""
    outbox = Outbox()
    steps = [progress("a", step) for step in range(COALESCE_BEYOND)]
    for message in steps:
        put(outbox, message)
    assert drain(outbox) == steps


def test_a_slow_client_gets_the_latest_step() -> None:
    """Progress and states replace their elders; everything else stays."""
    outbox = Outbox()
    for number in range(COALESCE_BEYOND):
        put(outbox, Accepted(str(number), number))
    for step in range(300):
        put(outbox, progress("a", step))
        put(outbox, Backend("busy"))
        put(outbox, Backend("ready"))
    messages = drain(outbox)
    assert len(messages) == COALESCE_BEYOND + 2
    assert messages[-2:] == [progress("a", 299), Backend("ready")]


def test_a_client_far_behind_is_not_listened_to() -> None:
    """There is room again when it has read some."""

    async def fill_and_drain() -> None:
        outbox = Outbox()
        for number in range(MOST_WAITING):
            put(outbox, Accepted("a", number))
        waiting = asyncio.create_task(outbox.wait_for_room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await outbox.take()
        await waiting

    asyncio.run(fill_and_drain())


def test_taking_waits_for_something_to_take() -> None:
    """A message that comes later wakes the coroutine that waits."""

    async def take_and_put() -> None:
        outbox = Outbox()
        taking = asyncio.create_task(outbox.take())
        await asyncio.sleep(0)
        put(outbox, Accepted("a", 0))
        assert (await taking).message == Accepted("a", 0)

    asyncio.run(take_and_put())
