"""Jobs, journal writer and disk without a socket: what a restart brings back, and what fails."""

import asyncio
import errno
import hashlib
import itertools
from concurrent.futures import Future
from pathlib import Path

import pytest

from tapestry_backend.server.persistence import journal_writer as scribe_module
from tapestry_backend.server.persistence.disk import Disk
from tapestry_backend.server.persistence.journal_writer import JournalWriter
from tapestry_backend.server.persistence.persist import Persist
from tapestry_backend.server.queue.effects import Effect, Send, Start
from tapestry_backend.server.queue.job import MAX_TRIES
from tapestry_backend.server.queue.jobs import Jobs
from tapestry_protocol.assembly import Assembly
from tapestry_protocol.codec import decode_chunk
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Need,
    Request,
    Result,
    Resume,
    Submit,
)
from tapestry_protocol.request_checks import check_request
from tests.server.failing_disk import FailingDisk
from tests.server.queue.job_messages import (
    BLOBS,
    LAYERED_BLOBS,
    MASK,
    MASK_CHUNK,
    MASKED,
    ME,
    OWN,
    PIXELS,
    PLAIN,
    layered_result,
    result,
)


class House:
    """A server without socket and worker: jobs, and a journal writer that keeps them."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.complaints: list[OSError] = []
        self.writer = JournalWriter(folder, self.complaints.append, disk)
        self.jobs = Jobs(check_request)
        self.perform(self.jobs.bring_back(self.writer.open(), self.writer.store))
        self.jobs.hear(Backend("ready", "CPU"))

    def perform(self, effects: list[Effect]) -> list[Effect]:
        """What is left to do when everything has been written down."""
        for future in [self.writer.keep(e) for e in effects if isinstance(e, Persist)]:
            future.result(timeout=30)
        return [effect for effect in effects if not isinstance(effect, Persist)]

    def receive(self, message: Message) -> list[Effect]:
        return self.perform(self.jobs.receive(ME, message))

    def submit(self, job_id: str = "a", request: Request = MASKED) -> list[Effect]:
        """Submit, and send the mask."""
        effects = self.receive(Submit(job_id, request))
        if any(isinstance(e, Send) and isinstance(e.message, Need) for e in effects):
            effects = self.perform(self.jobs.add_chunk(MASK_CHUNK))
        return effects

    def finish(self, job_id: str = "a") -> list[Effect]:
        """The worker has painted it."""
        return self.perform(self.jobs.hear(result(job_id), BLOBS))

    def resume(self, job_id: str = "a") -> list[Effect]:
        return self.receive(Resume((job_id,)))

    def close(self) -> None:
        self.writer.close()


def pixels_of(effects: list[Effect]) -> bytes:
    """The picture of the one result, as it travels."""
    (tell,) = (e for e in effects if isinstance(e, Send) and isinstance(e.message, Result))
    assembly = Assembly(tell.picture.sha256, tell.picture.size_bytes)
    for frame in tell.picture.frames():
        pixels = assembly.add(decode_chunk(frame))
    return pixels


def files(folder: Path) -> set[str]:
    """The blobs that the store holds."""
    return {path.name for path in (folder / "blobs").glob("*")}


def test_a_queued_job_survives_its_server(tmp_path: Path) -> None:
    """With its pixels; it waits until its client is there again."""
    house = House(tmp_path)
    house.submit()
    house.close()
    house = House(tmp_path)
    assert not house.jobs._slots.jobs
    (accepted, start) = house.resume()
    assert isinstance(accepted.message, Accepted)
    assert start == Start("a", MASKED, {MASK_CHUNK.sha256: MASK})
    house.finish()
    house.close()


def test_a_result_survives_its_server(tmp_path: Path) -> None:
    """From the file, whole; delivered, it is gone from the disk, and its id is remembered."""
    house = House(tmp_path)
    house.submit()
    sent = house.finish()
    assert sent[0].picture.data is None
    house.close()
    house = House(tmp_path)
    assert pixels_of(house.resume()) == PIXELS
    house.receive(Acknowledge("a"))
    assert files(tmp_path) == set()
    for _ in range(2):
        (tell,) = house.submit()
        assert tell.message.code is ErrorCode.DELIVERED
        house.close()
        house = House(tmp_path)
    house.close()


def test_layers_survive_with_their_picture(tmp_path: Path) -> None:
    """All of them travel again after a restart, and are freed together."""
    house = House(tmp_path)
    house.submit()
    (sent,) = house.perform(house.jobs.hear(layered_result("a"), LAYERED_BLOBS))
    assert sent.picture.bytes_in_memory == 0
    house.close()
    house = House(tmp_path)
    (sent,) = house.resume()
    chunks = [decode_chunk(frame) for frame in sent.picture.frames()]
    assert {chunk.sha256: chunk.data for chunk in chunks} == LAYERED_BLOBS
    house.receive(Acknowledge("a"))
    assert files(tmp_path) == set()
    house.close()


@pytest.mark.parametrize("damaged", [PIXELS, OWN])
def test_a_layer_that_is_damaged_is_painted_again(tmp_path: Path, damaged: bytes) -> None:
    """So is its picture: they belong together."""
    house = House(tmp_path)
    house.submit()
    house.perform(house.jobs.hear(layered_result("a"), LAYERED_BLOBS))
    house.close()
    (tmp_path / "blobs" / hashlib.sha256(damaged).hexdigest()).write_bytes(b"x" * len(damaged))
    house = House(tmp_path)
    _, start = house.resume()
    assert isinstance(start, Start)
    house.close()


def test_a_damaged_picture_is_painted_again(tmp_path: Path) -> None:
    """It is not what its name says, so the job has not ended."""
    house = House(tmp_path)
    house.submit()
    house.finish()
    house.close()
    (picture,) = (tmp_path / "blobs").iterdir()
    picture.write_bytes(b"x" * len(PIXELS))
    house = House(tmp_path)
    (need,) = house.resume()
    assert isinstance(need.message, Need)
    house.close()


def test_a_damaged_picture_that_is_painted_again_is_whole(tmp_path: Path) -> None:
    """Although a file of its name and size lies there already."""
    house = House(tmp_path)
    house.submit()
    house.finish()
    house.close()
    (picture,) = (tmp_path / "blobs").iterdir()
    house = House(tmp_path)
    picture.write_bytes(b"x" * len(PIXELS))
    house.jobs.lose_picture(ME, "a")
    house.close()
    picture.write_bytes(b"x" * len(PIXELS))
    house = House(tmp_path)
    house.submit()
    assert pixels_of(house.finish()) == PIXELS
    assert picture.read_bytes() == PIXELS
    house.close()


def test_a_picture_that_spoils_while_it_waits_is_never_sent(tmp_path: Path) -> None:
    """The job is let go: who submits it again has it painted again."""
    house = House(tmp_path)
    house.submit()
    house.finish()
    (picture,) = (tmp_path / "blobs").iterdir()
    picture.write_bytes(b"x" * len(PIXELS))
    (sent,) = house.resume()
    with pytest.raises(OSError, match="damaged"):
        next(sent.picture.frames())
    (tell,) = house.perform(house.jobs.lose_picture(ME, "a"))
    assert (tell.client, tell.message.code) == (ME, ErrorCode.UNKNOWN_JOB)
    assert files(tmp_path) == set()
    assert house.jobs.lose_picture(ME, "a") == []
    house.submit()
    assert pixels_of(house.finish()) == PIXELS
    house.close()


def test_a_cancel_survives_the_server(tmp_path: Path) -> None:
    """The artist has said no: it does not begin again."""
    house = House(tmp_path)
    house.submit()
    house.receive(Cancel("a"))
    house.close()
    house = House(tmp_path)
    (tell,) = house.resume()
    assert isinstance(tell.message, Cancelled)
    house.close()


def test_a_job_that_takes_the_server_with_it_fails(tmp_path: Path) -> None:
    """After three times."""
    house = House(tmp_path)
    house.submit(request=PLAIN)
    for _ in range(MAX_TRIES):
        house.close()
        house = House(tmp_path)
        sent = house.resume()
    assert isinstance(sent[0].message, Failed)
    assert sent[0].message.code is ErrorCode.WORKER_LOST
    house.close()


def test_jobs_nobody_asks_for_make_room(tmp_path: Path) -> None:
    """An earlier server's queue does not keep this one busy."""
    house = House(tmp_path)
    for number in range(65):  # one runs, 64 wait
        house.submit(str(number), PLAIN)
    house.close()
    house = House(tmp_path)
    (accepted, _) = house.submit("new", PLAIN)
    assert accepted.message.ahead == 0
    house.close()


def test_a_journal_is_written_anew_before_it_is_long(tmp_path: Path, monkeypatch) -> None:
    """What has been delivered takes a line; what has not is all there."""
    monkeypatch.setattr(scribe_module, "_COMPACT_BEYOND_BYTES", 20_000)
    house = House(tmp_path)
    house.submit("kept")
    house.finish("kept")
    for number in range(100):
        house.submit(str(number))
        house.finish(str(number))
        house.receive(Acknowledge(str(number)))
    house.close()
    assert (tmp_path / "journal").stat().st_size < 40_000
    house = House(tmp_path)
    assert pixels_of(house.resume("kept")) == PIXELS
    assert house.submit("99")[0].message.code is ErrorCode.DELIVERED
    assert len(files(tmp_path)) == 1
    house.close()


def test_blobs_that_two_jobs_share_stay_for_the_second(tmp_path: Path) -> None:
    """Also when one is done with them in the same moment as the other begins."""
    house = House(tmp_path)
    house.submit("a")
    ending = house.jobs.hear(result("a"), BLOBS)
    beginning = house.jobs.receive(ME, Submit("b", MASKED))
    beginning += house.jobs.add_chunk(MASK_CHUNK)
    house.perform([*ending, *house.jobs.receive(ME, Acknowledge("a")), *beginning])
    assert files(tmp_path) == {MASK_CHUNK.sha256}
    house.close()


def test_whoever_waits_may_go(tmp_path: Path) -> None:
    """A client that vanishes while its job is written leaves the journal whole."""

    async def wait_and_go(future: Future[None]) -> None:
        waiting = asyncio.ensure_future(asyncio.wrap_future(future))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    house = House(tmp_path)
    (keep,) = (
        e
        for e in house.jobs.receive(ME, Submit("a", PLAIN))
        if isinstance(e, Persist) and e.is_urgent
    )
    asyncio.run(wait_and_go(house.writer.keep(keep)))
    assert pixels_of(house.finish()) == PIXELS
    house.close()


@pytest.mark.promise("R8")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_costs_the_journal_alone(tmp_path: Path, code: int, measured) -> None:
    """At whichever write: the picture comes, one remark is sent, the next start works."""
    for after in itertools.count():
        folder = tmp_path / str(after)
        disk = FailingDisk(after, code)
        house = House(folder, disk)
        house.submit()
        assert pixels_of(house.finish()) == PIXELS
        house.receive(Acknowledge("a"))
        house.close()
        again = House(folder)
        again.submit("next")
        assert pixels_of(again.finish("next")) == PIXELS
        assert not again.complaints
        again.close()
        if disk.left >= 0:
            assert not house.complaints
            break
        assert [complaint.errno for complaint in house.complaints] == [code]
    assert after > 15
    measured(f"{errno.errorcode[code]} at each of {after} writes: {after} of {after} pictures")


@pytest.mark.promise("R9")
def test_a_damaged_journal_never_stops_the_start(tmp_path: Path, measured) -> None:
    """Cut at every byte: the jobs before the cut are there, and the next one works."""
    house = House(tmp_path)
    for job_id in ("a", "b", "c"):
        house.submit(job_id, PLAIN)
    house.close()
    data = (tmp_path / "journal").read_bytes()
    known_before = 0
    for cut in range(0, len(data), 7):
        (tmp_path / "journal").write_bytes(data[:cut])
        house = House(tmp_path)
        known = len(house.jobs._jobs)
        assert known >= known_before
        known_before = known
        house.close()
    assert known_before >= 2
    measured(f"{len(data) // 7} starts from a journal cut short: {len(data) // 7} of them good")
