"""Many clients, slow clients, and thousands of jobs."""

import asyncio
import json
import statistics
import threading
import time
from pathlib import Path

import pytest

from tapestry_protocol.messages import Acknowledge, Result, Resume
from tests.chaos.crowd import Member, join
from tests.chaos.processes import memory_mib, scripted
from tests.server.client import Client, Server, running_server

LARGE_SIDE = 1024  # 4 MiB
LATENCY_JOB = {"steps": 10, "pause_s": 0.01}


@pytest.mark.promise("R12")
def test_every_job_of_a_crowd_is_painted_once(tmp_path: Path, request, tries, measured) -> None:
    """Every job exactly once, in fair turns, a bounded queue, and a loop that is never held."""
    clients, each = tries(10, 50), tries(5, 20)
    lag_file = tmp_path / "lag.json"
    with running_server(tmp_path, "--scripted", "--lag-file", str(lag_file)) as server:
        members = asyncio.run(_crowd(server, clients, each))
        server.process.terminate()
        server.process.wait()
    results = [count for member in members for count in member.results.values()]
    assert results == [1] * (clients * each)
    log = server.log
    assert log.count(" starts") == clients * each
    unfairness = max(_spread(members, each))
    lag = json.loads(lag_file.read_text())
    refusals = sum(member.refusals for member in members)
    if request.config.getoption("--chaos-full"):
        assert refusals > 0
        assert lag["held_p99_ms"] < 20
    measured(
        f"{clients} clients with {each} jobs: {len(results)} exactly once; while all were busy, "
        f"nobody was more than {unfairness} jobs ahead; {refusals} times busy; "
        f"event-loop lag p99 {lag['p99_ms']:.1f} ms, of which its own work "
        f"{lag['held_p99_ms']:.1f} ms"
    )


async def _crowd(server: Server, clients: int, each: int) -> list[Member]:
    members = [await join(server) for _ in range(clients)]
    async with asyncio.TaskGroup() as group:
        for number, member in enumerate(members):
            jobs = {f"{number}-{job}": scripted(number, steps=2) for job in range(each)}
            group.create_task(member.play(jobs, at_once=2))
    for member in members:
        await member.socket.close()
    return members


def _spread(members: list[Member], each: int) -> list[int]:
    """How far the first was ahead of the last, each time that a job ended, while all had jobs."""
    first_done = min(member.ended_at[-1] for member in members)
    moments = sorted(at for member in members for at in member.ended_at if at <= first_done)
    spread = []
    for moment in moments:
        done = [sum(at <= moment for at in member.ended_at) for member in members]
        spread.append(max(done) - min(done))
    assert max(spread) <= each
    return spread


def _latency_s(client: Client, name: str, count: int) -> float:
    """The median time from a submit to its picture."""
    seconds = []
    for number in range(count):
        began = time.monotonic()
        client.submit(f"{name}-{number}", scripted(1, **LATENCY_JOB))
        client.until_end()
        seconds.append(time.monotonic() - began)
        client.send(Acknowledge(f"{name}-{number}"))
    return statistics.median(seconds)


@pytest.mark.promise("R11")
def test_a_slow_client(tmp_path: Path, request, tries, measured) -> None:
    """It reads nothing while its pictures pile up on the disk; no other client waits for it."""
    pictures, count = tries(12, 48), tries(5, 40)
    with running_server(tmp_path, "--scripted") as server:
        good, slow = Client(server), Client(server)
        _paint_large(good, "warm", 2)
        before_s = _latency_s(good, "before", count)
        before_mib = memory_mib(server.process.pid)
        peak = _MemoryPeak(server.process.pid)
        for number in range(pictures):
            slow.submit(f"slow-{number}", scripted(number, LARGE_SIDE, steps=1))
        while server.log.count("ended") < 2 + count + pictures:
            time.sleep(0.05)
        after_s = _latency_s(good, "after", count)
        growth_mib = max(peak.stop() - before_mib, 0)
        slow.close()  # it has been silent for so long that the server may have let it go
        slow = Client(server)
        slow.send(Resume(tuple(f"slow-{number}" for number in range(pictures))))
        for _ in range(pictures):
            assert len(next(iter(slow.until_delivery(Result).blobs.values()))) == 4 * LARGE_SIDE**2
        for client in (good, slow):
            client.close()
    ratio = after_s / before_s
    assert growth_mib < 64
    if request.config.getoption("--chaos-full"):
        assert ratio < 1.2
    measured(
        f"{4 * pictures} MiB waited for it: {growth_mib:.0f} MiB more memory at most; "
        f"others' latency {1000 * before_s:.0f} ms before, {1000 * after_s:.0f} ms beside it"
    )


@pytest.mark.promise("R14")
def test_hours_of_work(tmp_path: Path, tries, measured) -> None:
    """Thousands of jobs: the memory of server and worker stays what it is."""
    count = tries(300, 2000)
    with running_server(tmp_path, "--scripted") as server:
        client, worker = Client(server), None
        samples: list[tuple[int, float, float]] = []
        for number in range(count):
            client.submit(str(number), scripted(number, 64, steps=2))
            client.until_end()
            client.send(Acknowledge(str(number)))
            worker = worker or server.worker_pid()
            if number >= count // 2 and number % 10 == 0:
                memory = memory_mib(server.process.pid), memory_mib(worker)
                samples.append((number, *memory))
        while list((tmp_path / "journal" / "blobs").iterdir()):
            time.sleep(0.01)  # the last acknowledgement is on its way
        journal_bytes = (tmp_path / "journal" / "journal").stat().st_size
        client.close()
    slopes = [1000 * _slope([(s[0], s[which]) for s in samples]) for which in (1, 2)]
    assert max(slopes) < 4, samples[:: len(samples) // 20]
    measured(
        f"{count} jobs: {slopes[0]:+.2f} MiB per 1,000 jobs in the server, {slopes[1]:+.2f} in the "
        f"worker; the journal has {journal_bytes // 1024} KiB, the store nothing"
    )


def _slope(points: list[tuple[int, float]]) -> float:
    xs, ys = zip(*points, strict=True)
    return statistics.linear_regression(xs, ys).slope


def _paint_large(client: Client, name: str, count: int) -> None:
    for number in range(count):
        client.submit(f"{name}-{number}", scripted(number, LARGE_SIDE, steps=1))
        client.until_end()
        client.send(Acknowledge(f"{name}-{number}"))


class _MemoryPeak(threading.Thread):
    """Watches the memory of a process."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._end = threading.Event()
        self._peak_mib = 0.0
        self.start()

    def run(self) -> None:
        while not self._end.wait(0.02):
            self._peak_mib = max(self._peak_mib, memory_mib(self._pid))

    def stop(self) -> float:
        self._end.set()
        self.join()
        return self._peak_mib
