"""Conversations with a running server over its socket; the worker is the scripted one."""

import dataclasses
import hashlib
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.limits import MAX_FRAME_BYTES, MAX_TEXT_FRAME_BYTES
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Hello,
    Message,
    Need,
    Progress,
    Region,
    Remark,
    Request,
    Result,
    Resume,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Bounds, Margins
from tests.server.client import Client, Connect, Server, reference, running_server

SLOW = {"steps": 400, "pause_s": 0.05}


def scripted(**script: object) -> Request:
    """A request that makes the scripted worker do this."""
    return Request("generate", 4, 4, prompt=json.dumps(script))


def last(client: Client, *types: type[Message]) -> Any:
    """The first message of these types, with nothing left waiting before it."""
    return client.until(*types)[-1]


def test_hello_brings_welcome_and_the_state_of_the_worker(server: Server, connect: Connect) -> None:
    """Version, models, and whether one can start."""
    client = connect(server)
    welcome, backend = client.receive().message, client.receive().message
    assert isinstance(welcome, Welcome)
    assert (welcome.protocol, welcome.version) == (PROTOCOL_VERSION, VERSION)
    assert [model.id for model in welcome.models] == ["sample", "sample-edit"]
    assert isinstance(backend, Backend)


def test_a_client_is_told_the_state_of_the_worker_as_it_is_then(
    server: Server, connect: Connect
) -> None:
    """Not as it was when the connection began: a worker is ready, or busy, a moment later."""
    late, client = connect(server, greet=False), connect(server)
    client.submit("busy", scripted(**SLOW))
    client.until(Progress)
    late.send(Hello(PROTOCOL_VERSION, VERSION))
    assert last(late, Backend).state == "busy"
    client.send(Cancel("busy"))
    assert isinstance(last(client, Cancelled, Result, Failed), Cancelled)


@pytest.mark.promise("R15")
@pytest.mark.parametrize("protocol", [5, PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1])
def test_another_protocol_is_told_what_to_update(
    server: Server, protocol: int, connect: Connect
) -> None:
    """Old plugin, new backend, and the other way round: a sentence, then the end."""
    client = connect(server, greet=False)
    client.send(Hello(protocol, "9.9.9"))
    failed = client.receive().message
    assert isinstance(failed, Failed)
    assert failed.code is ErrorCode.VERSION
    assert ("plugin" if protocol < PROTOCOL_VERSION else "backend") in failed.advice
    has_values = protocol >= 6  # sentences travel with theirs since this version
    assert bool(failed.message.values) == bool(failed.advice.values) == has_values
    with pytest.raises(ConnectionClosed):
        client.receive()


NONSENSE = {
    "not JSON": "hello?",
    "unknown kind": '{"kind": "nonsense"}',
    "a server's message": '{"kind": "cancelled", "job_id": "a"}',
    "hello again": '{"kind": "hello", "protocol": 1, "version": "1"}',
    "too long a text": " " * (MAX_TEXT_FRAME_BYTES + 1),
    "no chunk": b"nonsense",
    "chunk beyond its blob": struct.pack(">32sQQ", bytes(32), 5, 5) + b"x",
}


@pytest.mark.parametrize("frame", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_answered_with_a_protocol_error(
    server: Server, frame: str | bytes, connect: Connect
) -> None:
    """And with the end of the connection; others are not disturbed."""
    other, client = connect(server), connect(server)
    client.until(Backend)
    client.socket.send(frame)
    failed = client.until(Failed)[-1]
    assert failed.code is ErrorCode.PROTOCOL
    with pytest.raises(ConnectionClosed):
        client.receive()
    other.submit("undisturbed", scripted())
    assert last(other, Result, Failed).job_id == "undisturbed"
    other.send(Acknowledge("undisturbed"))


def test_a_first_message_must_be_a_hello(server: Server, connect: Connect) -> None:
    """Nothing else is listened to before."""
    client = connect(server, greet=False)
    client.send(Submit("a", scripted()))
    assert client.receive().message.code is ErrorCode.PROTOCOL


def test_a_frame_beyond_the_limit_ends_the_connection(server: Server, connect: Connect) -> None:
    """The websocket itself refuses it, before we hold it in memory."""
    client = connect(server)
    client.until(Backend)
    client.socket.send(b"x" * (MAX_FRAME_BYTES + 1))
    with pytest.raises(ConnectionClosed) as closed:
        client.receive()
    assert closed.value.rcvd.code == 1009


def test_compression_is_off(server: Server, connect: Connect) -> None:
    """Also for a client that offers it: no bombs, no wasted time on pixels."""
    client = connect(server)
    assert "Sec-WebSocket-Extensions" not in client.socket.response.headers


def test_a_job_goes_from_submit_to_result(server: Server, connect: Connect) -> None:
    """Accepted, every step, and pixels of the right size with their report."""
    client = connect(server)
    client.submit("whole", scripted(steps=7))
    messages = client.until(Accepted)
    steps = []
    while not isinstance(messages[-1], Result):
        delivery = client.receive()
        messages.append(delivery.message)
        if isinstance(delivery.message, Progress) and delivery.message.stage == "denoising":
            steps.append(delivery.message.step)
    assert steps == list(range(1, 8))
    (pixels,) = delivery.blobs.values()
    assert len(pixels) == 4 * 4 * 4
    assert json.loads(messages[-1].report) == {"masks": []}
    client.send(Acknowledge("whole"))


def test_pixels_go_there_and_back(server: Server, connect: Connect) -> None:
    """A picture of several chunks and a mask; only what is missing is asked for."""
    picture, mask = os.urandom(1024 * 1024 * 4), b"\xff" * 20
    request = Request(
        "extend",
        1024,
        1024,
        prompt="{}",
        image=reference(1024, 1024, 4, picture),
        margins=Margins(left=8),
        regions=(Region("sea", Bounds(0, 0, 4, 5), reference(4, 5, 1, mask)),),
    )
    client = connect(server)
    client.submit("pixels", request, picture, mask)
    while not isinstance((delivery := client.receive()).message, Result | Failed):
        pass
    assert list(delivery.blobs.values()) == [picture]
    assert json.loads(delivery.message.report) == {"masks": [255 * 20]}
    client.send(Acknowledge("pixels"))


def test_a_job_is_cancelled_in_the_middle(server: Server, connect: Connect) -> None:
    """And the next one runs."""
    client = connect(server)
    client.submit("long", scripted(**SLOW))
    client.until(Progress)
    client.send(Cancel("long"))
    assert isinstance(last(client, Cancelled, Result, Failed), Cancelled)
    client.submit("next", scripted())
    assert last(client, Cancelled, Result, Failed).job_id == "next"
    client.send(Acknowledge("next"))


def test_a_lost_connection_loses_nothing(server: Server, connect: Connect) -> None:
    """The job runs on; the client that resumes it gets the rest, or the result if it has ended."""
    client = connect(server)
    client.submit("kept", scripted(steps=40, pause_s=0.02))
    client.until(Progress)
    client.socket.socket.close()
    client = connect(server)
    client.send(Resume(("kept",)))
    assert isinstance(last(client, Progress, Result, Failed), Progress)
    client.close()
    client = connect(server)
    client.submit("behind", scripted())
    assert last(client, Result, Failed).job_id == "behind"
    client.send(Resume(("kept", "behind", "never")))
    ends = [last(client, Result, Failed) for _ in range(3)]
    assert [end.job_id for end in ends] == ["kept", "behind", "never"]
    assert [end.kind for end in ends] == ["result", "result", "failed"]
    assert ends[2].code is ErrorCode.UNKNOWN_JOB
    client.send(Acknowledge("kept"))
    client.send(Resume(("kept",)))
    assert last(client, Result, Failed).code is ErrorCode.DELIVERED


def test_the_same_submit_five_times_runs_once(server: Server, connect: Connect) -> None:
    """Before and after its end, and from a new connection: one run, one and the same answer."""
    request = scripted(steps=20, pause_s=0.02)
    client = connect(server)
    for _ in range(3):
        client.send(Submit("once", request))
    result = last(client, Result, Failed)
    client = connect(server)
    for _ in range(2):
        client.send(Submit("once", request))
        assert last(client, Result, Failed) == result
    assert server.log.count("job once starts") == 1
    client.send(Submit("once", dataclasses.replace(request, seed=1)))
    assert last(client, Failed, Result).code is ErrorCode.CONFLICT
    client.send(Acknowledge("once"))


def test_everybody_hears_of_their_own_jobs_only(server: Server, connect: Connect) -> None:
    """Two windows of Krita do not see each other's pictures."""
    mine, yours = connect(server), connect(server)
    mine.submit("mine", scripted(steps=10))
    yours.submit("yours", scripted(steps=10))
    for client, name in ((mine, "mine"), (yours, "yours")):
        messages = client.until(Result, Failed)
        assert {m.job_id for m in messages if hasattr(m, "job_id")} == {name}
        client.send(Acknowledge(name))


def test_a_request_that_cannot_be_painted_is_refused(server: Server, connect: Connect) -> None:
    """Each with a sentence; the connection goes on."""
    client = connect(server)
    for job_id, request, code in (
        ("empty", Request("generate", 64, 64), ErrorCode.BAD_REQUEST),
        ("huge", Request("generate", 20_000, 20_000, "sky"), ErrorCode.TOO_LARGE),
        ("model", Request("generate", 64, 64, "sky", model="none"), ErrorCode.MODEL_NOT_FOUND),
        ("path", Request("generate", 64, 64, "sky", model="/etc"), ErrorCode.MODEL_NOT_FOUND),
    ):
        client.submit(job_id, request)
        failed = last(client, Failed, Accepted)
        assert (failed.job_id, failed.code) == (job_id, code)
        assert failed.message


def test_a_failing_task_is_one_sentence(server: Server, connect: Connect) -> None:
    """No traceback and no prompt; the next job runs."""
    client = connect(server)
    client.submit("broken", scripted(at=2, do="raise"))
    failed = last(client, Failed, Result)
    assert failed.code is ErrorCode.INTERNAL
    assert "Traceback" not in failed.message + failed.advice
    assert "cannot paint" not in failed.message + failed.advice
    client.submit("fine", scripted())
    assert isinstance(last(client, Failed, Result), Result)


def test_a_client_that_does_not_read_harms_nobody(server: Server, connect: Connect) -> None:
    """Its results wait, others' jobs run."""
    deaf, other = connect(server), connect(server)
    picture = os.urandom(2048 * 2048 * 4)
    request = Request(
        "extend",
        2048,
        2048,
        prompt="{}",
        image=reference(2048, 2048, 4, picture),
        margins=Margins(left=8),
    )
    deaf.submit("unread", request, picture)
    other.submit("read", scripted(steps=50))
    assert last(other, Result, Failed).job_id == "read"
    assert last(deaf, Result, Failed).job_id == "unread"
    for client, job_id in ((deaf, "unread"), (other, "read")):
        client.send(Acknowledge(job_id))


def test_a_job_that_kills_every_worker_fails(own_server: Server, connect: Connect) -> None:
    """After three of them, with a sentence; the next job works."""
    client = connect(own_server)
    client.submit("deadly", scripted(at=2, do="crash"))
    failed = last(client, Failed, Result)
    assert (failed.job_id, failed.code) == ("deadly", ErrorCode.WORKER_LOST)
    assert "3 times" in failed.message
    assert failed.advice
    assert own_server.log.count("job deadly starts") == 3
    client.submit("next", scripted())
    assert last(client, Failed, Result).job_id == "next"


@pytest.mark.promise("R8")
def test_a_full_disk_is_said_once(tmp_path: Path, connect: Connect) -> None:
    """A remark says what it means, and every picture comes."""
    with running_server(tmp_path, "--scripted", "--failing-disk", "8") as server:
        client = connect(server)
        remarks = []
        for job_id in ("a", "b", "c"):
            client.submit(job_id, scripted())
            messages = client.until(Result, Failed)
            remarks += [message for message in messages if isinstance(message, Remark)]
            assert messages[-1].job_id == job_id
            assert isinstance(messages[-1], Result)
            client.send(Acknowledge(job_id))
        assert [remark.message for remark in remarks] == [
            "Tapestry cannot write down its work (No space left on device)."
        ]
        assert "make room" in remarks[0].advice


def test_a_second_server_leaves_the_journal_of_the_first_alone(
    own_server: Server, tmp_path: Path, connect: Connect
) -> None:
    """It works without one, and says so."""
    (tmp_path / "second").mkdir()
    with running_server(
        tmp_path / "second", "--scripted", "--journal", str(tmp_path / "journal")
    ) as server:
        client = connect(server)
        assert "another backend" in last(client, Remark).message
        client.submit("a", scripted())
        assert isinstance(last(client, Result, Failed), Result)


def test_a_wrong_blob_is_found(own_server: Server, connect: Connect) -> None:
    """Bytes that are not what their SHA-256 says never reach a picture."""
    mask = b"\xff" * 20
    region = Region("sea", Bounds(0, 0, 4, 5), reference(4, 5, 1, mask))
    request = dataclasses.replace(scripted(), regions=(region,))
    client = connect(own_server)
    client.send(Submit("a", request))
    client.until(Need)
    header = struct.pack(">32sQQ", bytes.fromhex(region.mask.sha256), 0, 20)
    client.socket.send(header + b"\x00" * 20)
    assert last(client, Failed).code is ErrorCode.PROTOCOL
    client = connect(own_server)
    client.submit("a", request, mask)
    assert json.loads(last(client, Result, Failed).report) == {"masks": [255 * 20]}


def test_without_a_worker_nobody_waits_for_ever(tmp_path: Path, connect: Connect) -> None:
    """A worker that cannot start: the state is shown, and a job fails with a sentence."""
    with running_server(tmp_path, "--scripted", "dead") as server:
        client = connect(server)
        client.submit("a", scripted())
        failed = last(client, Failed, Result)
        assert failed.code is ErrorCode.WORKER_LOST
        assert "doctor" in failed.advice


def test_a_silent_client_is_dropped(own_server: Server, connect: Connect) -> None:
    """A connection without a hello ends by itself."""
    client = connect(own_server, greet=False)
    began = time.monotonic()
    with pytest.raises(ConnectionClosed):
        client.receive()
    assert time.monotonic() - began > 4


def test_a_picture_that_is_damaged_on_disk_is_painted_again(
    tmp_path: Path, connect: Connect
) -> None:
    """The client hears that it is lost, submits the job again, and has it whole."""
    with running_server(tmp_path) as server:
        client = connect(server)
        client.submit("spoilt", scripted())
        last(client, Result)
        client.close()
        (blob,) = tmp_path.rglob("blobs/*")
        blob.write_bytes(bytes(len(blob.read_bytes())))
        client = connect(server)
        client.send(Resume(("spoilt",)))
        assert last(client, Failed).code is ErrorCode.UNKNOWN_JOB
        client.submit("spoilt", scripted())
        result = last(client, Result)
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == result.pixels.sha256
