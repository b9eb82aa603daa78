"""One worker process: its life, its jobs, and its death; real processes, without torch."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tapestry_backend.workers.channel import Delivery, frames_of, pack
from tapestry_backend.workers.supervisor import WorkerSupervisor, pixels_of
from tapestry_protocol.errors import ErrorCode, ProtocolError
from tapestry_protocol.layered import Layered, LayerPicture
from tapestry_protocol.messages import (
    Backend,
    Cancelled,
    Failed,
    Message,
    PixelsRef,
    Preview,
    Progress,
    Request,
    Result,
    Run,
)
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.workers.scripted_requests import SCRIPTED, scripted

Heard = tuple[Any, Mapping[str, bytes]]


class Ear:
    """Hears a supervisor, and waits for what it says."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()

    def hear(self, message: Message, pixels: Mapping[str, bytes]) -> None:
        self._heard.put_nowait((message, pixels))

    async def until(self, *awaited: type[Message] | Message) -> list[Heard]:
        """Everything up to the first message that is, or is one of, these."""
        types = tuple(one for one in awaited if isinstance(one, type))
        heard = []
        while True:
            heard.append(await self._heard.get())
            message = heard[-1][0]
            if isinstance(message, types) or message in awaited:
                return heard


READY = Backend("ready", "script")


def drive(
    scenario: Callable[[WorkerSupervisor, Ear], Awaitable[None]],
    *arguments: str,
    log_file: Path | None = None,
) -> None:
    """Run a scenario against a supervisor with a scripted worker."""

    async def main() -> None:
        ear = Ear()
        supervisor = WorkerSupervisor([*SCRIPTED, *arguments], ear.hear, log_file)
        running = asyncio.create_task(supervisor.keep_running())
        try:
            await scenario(supervisor, ear)
        finally:
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(main())


def worker_pid() -> int:
    """Our one child that is a scripted worker."""
    children = psutil.Process().children()
    (pid,) = (child.pid for child in children if child.cmdline()[: len(SCRIPTED)] == SCRIPTED)
    return pid


def test_a_worker_says_what_it_does() -> None:
    """Starting, loading, ready: in this order."""

    async def scenario(_: WorkerSupervisor, ear: Ear) -> None:
        heard = [message for message, _ in await ear.until(READY)]
        assert heard == [Backend("starting"), Backend("loading"), READY]

    drive(scenario)


def test_a_job_tells_of_every_step_and_ends_with_a_picture() -> None:
    """Progress 1 to n in order, a preview, the result with its pixels."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(steps=5), {})
        heard = await ear.until(Result)
        steps = [m.step for m, _ in heard if isinstance(m, Progress) and m.stage == "denoising"]
        assert steps == [1, 2, 3, 4, 5]
        assert any(isinstance(message, Preview) for message, _ in heard)
        assert heard[0][0] == Backend("busy", "script")
        result, pixels = heard[-1]
        assert isinstance(result, Result)
        assert pixels == {result.pixels.sha256: bytes(4 * 4 * 4)}
        await ear.until(READY)

    drive(scenario)


def test_previews_are_few(tmp_path: Path) -> None:
    """Many quick steps make many progress messages and few previews: no more are made than sent."""
    clock = tmp_path / "clock"

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(steps=100, clock=str(clock)), {})
        heard = [message for message, _ in await ear.until(Result)]
        assert sum(isinstance(message, Progress) for message in heard) == 101
        sent = sum(isinstance(message, Preview) for message in heard)
        assert sent < 20
        assert clock.read_text(encoding="utf-8").count("preview") == sent

    drive(scenario)


def test_the_last_step_has_no_preview() -> None:
    """The picture itself comes next, and would wait for it in Krita."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(steps=1), {})
        heard = [message for message, _ in await ear.until(Result)]
        assert not any(isinstance(message, Preview) for message in heard)

    drive(scenario)


def test_pixels_reach_the_worker_and_come_back() -> None:
    """A picture of several chunks goes through both pipes unchanged."""
    image = Pixels(1024, 1024, 4, os.urandom(4 * 1024 * 1024))

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        request = Request(
            "extend",
            image.height,
            image.width,
            prompt=json.dumps({}),
            margins=Margins(left=8),
            image=PixelsRef.of(image),
        )
        supervisor.start_job("a", request, {image.sha256: image.data})
        _, pixels = (await ear.until(Result))[-1]
        assert pixels == {image.sha256: image.data}

    drive(scenario)


def test_layers_come_with_their_picture() -> None:
    """Base, region and mask, each under its name."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", replace(scripted(), layered=True), {})
        result, pixels = (await ear.until(Result))[-1]
        assert isinstance(result, Result)
        (layer,) = result.layered.layers
        assert result.layered.fits(result.pixels)
        parts = (result.pixels, result.layered.base, layer.pixels, layer.mask)
        assert {len(pixels[part.sha256]) for part in parts} == {64, 16, 4}
        assert set(pixels) == {part.sha256 for part in parts}

    drive(scenario)


def test_a_result_without_its_layers_is_out_of_step() -> None:
    """The server must not keep half of a picture."""
    picture, mask = Pixels(1, 1, 4, b"1234"), Pixels(1, 1, 1, b"1")
    base = PixelsRef.of(picture)
    layer = LayerPicture(0, Bounds(0, 0, 1, 1), base, PixelsRef.of(mask))
    result = Result("a", base, layer.bounds, 0, "{}", layered=Layered(base, (layer,)))
    blobs = {picture.sha256: picture.data, mask.sha256: mask.data}
    assert pixels_of(Delivery(result, blobs)) == blobs
    with pytest.raises(ProtocolError, match="without its pixels"):
        pixels_of(Delivery(result, {picture.sha256: picture.data}))


def test_a_cancel_takes_effect_at_the_next_step() -> None:
    """A long job that is cancelled ends as cancelled, and the next one runs."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(steps=400, pause_s=0.05), {})
        await ear.until(Progress)
        supervisor.cancel_job("a")
        heard = await ear.until(Cancelled, Result)
        assert heard[-1][0] == Cancelled("a")
        supervisor.start_job("b", scripted(), {})
        assert (await ear.until(Result, Cancelled))[-1][0].job_id == "b"

    drive(scenario)


def test_a_cancel_that_comes_too_late_harms_nobody() -> None:
    """A cancel for a job that has ended is ignored."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(), {})
        await ear.until(Result)
        supervisor.cancel_job("a")
        supervisor.start_job("b", scripted(), {})
        assert (await ear.until(Result, Cancelled))[-1][0].job_id == "b"

    drive(scenario)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("raise", ErrorCode.INTERNAL),
        ("stop", ErrorCode.INTERNAL),
        ("memory", ErrorCode.OUT_OF_MEMORY),
    ],
)
def test_a_task_that_fails_leaves_the_worker_alive(how: str, code: ErrorCode) -> None:
    """The job fails with a code, the same worker runs the next one."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(at=2, do=how), {})
        failure, _ = (await ear.until(Failed))[-1]
        assert isinstance(failure, Failed)
        assert failure.code is code
        await ear.until(READY)
        supervisor.start_job("b", scripted(), {})
        heard = [message for message, _ in await ear.until(Result)]
        assert not any(isinstance(m, Backend) and m.state == "lost" for m in heard)

    drive(scenario)


def test_the_log_has_the_traceback_and_no_prompt(tmp_path: Path) -> None:
    """Where it went wrong is written down; what the artist wrote is not."""
    log_file = tmp_path / "log"

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(at=2, do="raise", secret="my garden"), {})
        await ear.until(Failed)
        await ear.until(READY)

    drive(scenario, log_file=log_file)
    log = log_file.read_text(encoding="utf-8")
    assert "scripted_worker.py" in log
    assert "ValueError" in log
    assert "garden" not in log


def test_stray_prints_do_not_disturb_the_pipe(tmp_path: Path) -> None:
    """Whatever a library prints goes to the log, by sys.stdout or by the descriptor."""
    log_file = tmp_path / "log"

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        supervisor.start_job("a", scripted(at=2, do="print"), {})
        await ear.until(Result)
        await ear.until(READY)

    drive(scenario, log_file=log_file)
    log = log_file.read_text(encoding="utf-8")
    assert "a stray line" in log
    assert "and some bytes" in log


@pytest.mark.parametrize("death", ["kill", "crash", "lose the card"])
def test_a_worker_that_dies_is_started_again(death: str) -> None:
    """Killed, crashed, or without its card: lost, starting, ready, and the next job works."""

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        script = {"steps": 400, "pause_s": 0.05} if death == "kill" else {"at": 3, "do": death}
        supervisor.start_job("a", scripted(**script), {})
        await ear.until(Progress)
        if death == "kill":
            os.kill(worker_pid(), signal.SIGKILL)
        heard = [message for message, _ in await ear.until(READY)]
        states = [message.state for message in heard if isinstance(message, Backend)]
        assert states == ["lost", "starting", "loading", "ready"]
        supervisor.start_job("b", scripted(), {})
        assert (await ear.until(Result))[-1][0].job_id == "b"

    drive(scenario)


def test_a_worker_that_cannot_start_is_reported() -> None:
    """One that dies before it is ready is lost each time, and tried again."""

    async def scenario(_: WorkerSupervisor, ear: Ear) -> None:
        for _attempt in range(2):
            heard = [message for message, _ in await ear.until(Backend("lost"))]
            assert heard == [Backend("starting"), Backend("loading"), Backend("lost")]

    drive(scenario, "dead")


def test_a_command_that_is_none_is_reported() -> None:
    """A program that does not exist is a lost worker, not a crash of the server."""

    async def main() -> None:
        ear = Ear()
        supervisor = WorkerSupervisor(["/nonexistent/worker"], ear.hear)
        running = asyncio.create_task(supervisor.keep_running())
        await ear.until(Backend("lost"))
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())


def test_a_worker_that_talks_nonsense_is_replaced() -> None:
    """Bytes that are no frame end the worker, not the server."""
    command = [sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(600)"]

    async def main() -> None:
        ear = Ear()
        supervisor = WorkerSupervisor(command, ear.hear)
        running = asyncio.create_task(supervisor.keep_running())
        await ear.until(Backend("lost"))
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())


def test_a_worker_goes_with_its_server() -> None:
    """At the end of its pipe a worker ends at once, even in the middle of a step."""
    with subprocess.Popen(SCRIPTED, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        for frame in frames_of(Delivery(Run("a", scripted(pause_s=500)))):
            worker.stdin.write(pack(frame))
        worker.stdin.flush()
        read = b""
        while b"busy" not in read:
            read += os.read(worker.stdout.fileno(), 65536)
        worker.stdin.close()
        assert worker.wait() == 0


def test_no_worker_stays_behind() -> None:
    """Stopping the supervisor ends the worker's process, also one that is stuck."""
    pids = []

    async def scenario(supervisor: WorkerSupervisor, ear: Ear) -> None:
        await ear.until(READY)
        pids.append(worker_pid())
        supervisor.start_job("a", scripted(steps=400, pause_s=0.05), {})
        await ear.until(Progress)
        os.kill(pids[0], signal.SIGSTOP)

    drive(scenario)
    assert not Path(f"/proc/{pids[0]}").exists()
