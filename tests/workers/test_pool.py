"""Several worker processes at once: who they are, what they do, and that none stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tapestry_backend.workers.pool import Pool, real_worker_command
from tapestry_protocol.messages import Backend, Cancelled, Failed, Message, Progress, Result
from tests.workers.scripted_requests import SCRIPTED, scripted

LONG = {"steps": 400, "pause_s": 0.05}


class Ears:
    """Hears a pool: what each worker has said."""

    def __init__(self) -> None:
        self.said: dict[int, list[Any]] = {}
        self._something = asyncio.Event()

    def hear(self, worker: int, message: Message, _pixels: Mapping[str, bytes]) -> None:
        self.said.setdefault(worker, []).append(message)
        self._something.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._something.clear()
            await self._something.wait()

    async def until_ready(self, *workers: int) -> None:
        """All of these say that they are."""
        await self.until(lambda: all(self._state(worker) == "ready" for worker in workers))

    def _state(self, worker: int) -> str:
        states = [m.state for m in self.said.get(worker, []) if isinstance(m, Backend)]
        return states[-1] if states else ""

    def has(self, worker: int, kind: type[Any], job_id: str) -> bool:
        """Whether a worker has said this about a job."""
        said = self.said.get(worker, [])
        return any(isinstance(m, kind) and m.job_id == job_id for m in said)


def drive(
    scenario: Callable[[Pool, Ears], Awaitable[None]], *arguments: str, devices: Sequence[str] = ()
) -> None:
    """Run a scenario against a pool of scripted workers; all of them are gone in the end."""

    async def main() -> None:
        ears = Ears()
        pool = Pool([*SCRIPTED, *arguments], ears.hear, devices=devices)
        running = asyncio.create_task(pool.keep_running())
        try:
            await scenario(pool, ears)
        finally:
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(main())
    assert not workers()


def workers() -> dict[str, int]:
    """Our children that are scripted workers: device and process."""
    found = {}
    for child in psutil.Process().children():
        command = child.cmdline()
        if command[: len(SCRIPTED)] == SCRIPTED:
            device = [part for part in command if part.startswith("--device=")]
            found[device[0].removeprefix("--device=") if device else ""] = child.pid
    return found


def test_there_is_one_worker_where_nothing_is_named() -> None:
    """It takes what it finds best."""

    async def scenario(_: Pool, ears: Ears) -> None:
        await ears.until_ready(0)
        assert list(workers()) == [""]

    drive(scenario)


def test_each_device_has_a_worker_and_all_paint_at_once() -> None:
    """Two jobs are under way before either has ended; a cancel stops its own."""

    async def scenario(pool: Pool, ears: Ears) -> None:
        await ears.until_ready(0, 1)
        assert ears.said[0][-1] == Backend("ready", "a")
        assert ears.said[1][-1] == Backend("ready", "b")
        pool.start_job(0, "first", scripted(**LONG), {})
        pool.start_job(1, "second", scripted(**LONG), {})
        await ears.until(lambda: ears.has(0, Progress, "first") and ears.has(1, Progress, "second"))
        pool.cancel_job(1, "second")
        await ears.until(lambda: ears.has(1, Cancelled, "second"))
        assert not ears.has(0, Cancelled, "first")

    drive(scenario, devices=("a", "b"))


def test_the_first_worker_brings_one_for_each_device_like_its_own() -> None:
    """Once: started again, or told by a twin, it brings no more."""

    async def scenario(_: Pool, ears: Ears) -> None:
        await ears.until_ready(0, 1, 2)
        names = {"", "script:1", "script:2"}
        assert workers().keys() == names
        os.kill(workers()[""], signal.SIGKILL)
        await ears.until(lambda: Backend("lost") in ears.said[0])
        await ears.until_ready(0)
        assert workers().keys() == names
        assert ears.said.keys() == {0, 1, 2}

    drive(scenario, "siblings")


def test_a_worker_that_dies_does_not_disturb_the_others() -> None:
    """It alone is started again; the other goes on with its picture."""

    async def scenario(pool: Pool, ears: Ears) -> None:
        await ears.until_ready(0, 1)
        pool.start_job(0, "first", scripted(steps=40, pause_s=0.02), {})
        await ears.until(lambda: ears.has(0, Progress, "first"))
        os.kill(workers()["b"], signal.SIGKILL)
        await ears.until(lambda: Backend("lost") in ears.said[1])
        await ears.until(lambda: ears.has(0, Result, "first"))
        await ears.until_ready(1)
        assert Backend("lost") not in ears.said[0]

    drive(scenario, devices=("a", "b"))


def test_a_worker_takes_no_module_from_where_it_was_started(tmp_path: Path) -> None:
    """A scene may lie in a foreign folder."""
    theirs = tmp_path / "torch.py"
    theirs.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    command = real_worker_command([])
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run(command, cwd=tmp_path, env=paths, stdin=subprocess.DEVNULL, check=True)
    assert not (tmp_path / "ran").exists()


def test_a_real_worker_says_why_it_cannot_start() -> None:
    """Of a card that is not there, before it is lost."""
    said: list[Message] = []

    async def main() -> None:
        pool = Pool(real_worker_command([]), lambda _, message, __: said.append(message), None, "?")
        running = asyncio.create_task(pool.keep_running())
        while Backend("lost") not in said:  # noqa: ASYNC110  its pipes are heard meanwhile
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())
    (why,) = (message for message in said if isinstance(message, Failed))
    assert why.job_id == ""
    assert "no device “?”" in why.message
