"""A cluster of several nodes on this computer: killed nodes, a killed head, nodes without models.

Ray is started once for all of them, and once more without a token.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tapestry_backend.bench.studio.nodes_here import NodesHere, nodes_here
from tapestry_backend.bench.studio.workshop import LOCAL, workshop
from tapestry_backend.cli import main
from tapestry_backend.cli.batch_manifest import NAME
from tapestry_protocol.messages import (
    Cancel,
    Cancelled,
    Failed,
    Remark,
    Request,
    Result,
    Workers,
)
from tests.chaos.crowd import Member, join
from tests.chaos.processes import picture_of, scripted
from tests.cli.scenes import lines_of, write_scene
from tests.server.client import SERVE, Client, Server, running_server

SCRIPTED_LOADER = "tests.workers.scripted_worker:load_on_node"
BARE_LOADER = "tests.workers.scripted_worker:load_bare"

CLIENTS = 5


@pytest.fixture(scope="module")
def nodes(request: pytest.FixtureRequest) -> Iterator[NodesHere]:
    """A cluster with nodes of one core: two of them, or four in the full edition."""
    with nodes_here(4 if request.config.getoption("--chaos-full") else 2) as nodes:
        yield nodes


@contextmanager
def served(nodes: NodesHere, folder: Path, loader: str = SCRIPTED_LOADER) -> Iterator[Server]:
    """A server with a local worker and those of the cluster, one for each core."""
    cluster = ("--cluster", nodes.address, "--cluster-cores", "1", "--cluster-loader", loader)
    with running_server(folder, "--scripted", *cluster) as server:
        yield server


@pytest.fixture(scope="class")
def server(nodes: NodesHere, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With scripted workers, here and on each node."""
    with served(nodes, tmp_path_factory.mktemp("server")) as server:
        yield server


def until_workers(client: Client, ready: int) -> Workers:
    """Wait until as many workers are there, and ready or busy."""
    while True:
        message = client.receive().message
        if isinstance(message, Workers):
            up = [worker for worker in message.workers if worker.state in {"ready", "busy"}]
            if len(up) == ready:
                return message


class TestServer:
    """One server for those that only ask it to paint: a start takes seconds."""

    def test_local_and_other_workers_share_a_queue(self, nodes: NodesHere, server: Server) -> None:
        """Each paints, with the right picture; a cancel stops the next step on another computer."""
        client = Client(server)
        workers = until_workers(client, 1 + len(nodes.alive)).workers
        assert [worker.node for worker in workers].count("") == 1
        assert {worker.memory_bytes for worker in workers if worker.node} == {2**30}
        for number in range(15):
            client.submit(str(number), scripted(number, steps=10, pause_s=0.05))
        for _ in range(15):
            delivery = client.until_delivery(Result, Failed)
            assert isinstance(delivery.message, Result), delivery.message
            (picture,) = delivery.blobs.values()
            assert picture == picture_of(scripted(int(delivery.message.job_id)))
        for number in range(5):
            client.submit(f"long-{number}", scripted(steps=900, pause_s=0.05))
        for number in range(5):
            client.send(Cancel(f"long-{number}"))
        cancelled = {client.until(Cancelled)[-1].job_id for _ in range(5)}
        assert cancelled == {f"long-{number}" for number in range(5)}
        client.close()

    @pytest.mark.promise("R1")
    def test_nodes_are_killed_and_others_join(
        self, nodes: NodesHere, server: Server, tries, luck, measured
    ) -> None:
        """Every job exactly once, none lost, in fair turns, though a node dies every so often."""
        each, kill_every = tries(16, 200), tries(25, 50)
        count = CLIENTS * each
        waiting = Client(server)
        until_workers(waiting, 1 + len(nodes.alive))
        waiting.close()
        before, began = server.log.count(" starts"), time.monotonic()
        members, kills = asyncio.run(_crowd(server, nodes, each, kill_every, luck))
        seconds = time.monotonic() - began
        assert [n for member in members for n in member.results.values()] == [1] * count
        begun = server.log.count(" starts") - before
        assert count <= begun <= count + 2 * kills
        spread = _spread(members)
        # Each has three jobs under way, and what was put back comes first.
        assert spread <= each
        measured(
            f"{count} jobs of {CLIENTS} clients on {len(nodes.alive)} nodes and a local worker, a "
            f"node killed every {kill_every}: {kills} killed, {count} exactly once, "
            f"{begun - count} begun again, no client more than {spread} jobs ahead; {seconds:.0f} s"
        )

    @pytest.mark.promise("R1")
    def test_the_head_is_killed(self, nodes: NodesHere, server: Server, tries, measured) -> None:
        """Local workers go on meanwhile; the cluster's come back with it, and nothing is lost."""
        client = Client(server)
        count, jobs = len(nodes.alive), tries(6, 10)
        until_workers(client, 1 + count)
        for number in range(jobs):
            client.submit(f"head-{number}", scripted(number, steps=20, pause_s=0.1))
        client.until(Result)
        nodes.kill_head()
        killed_at = time.monotonic()
        results = 1
        while results < jobs:
            message = client.receive().message
            assert not isinstance(message, Failed), message
            results += isinstance(message, Result)
        painted_s = time.monotonic() - killed_at
        nodes.start_head()
        for _ in range(count):
            nodes.add(1)
        returned_at = time.monotonic()
        until_workers(client, 1 + count)
        client.close()
        measured(
            f"the head killed in the middle of {jobs} jobs: all painted {painted_s:.0f} s later by "
            f"the local worker; the cluster's were back {time.monotonic() - returned_at:.0f} s "
            "after it"
        )


def test_a_computer_without_the_model_gets_other_work(nodes: NodesHere, tmp_path: Path) -> None:
    """It says so; its job goes to a worker that has the model, and is not counted as begun."""
    with served(nodes, tmp_path, BARE_LOADER) as server:
        client = Client(server)
        until_workers(client, 1 + len(nodes.alive))
        for number in range(8):
            client.submit(str(number), scripted(number, steps=2))
        for _ in range(8):
            assert isinstance(client.until_delivery(Result, Failed).message, Result)
        client.close()


async def _crowd(
    server: Server, nodes: NodesHere, each: int, kill_every: int, luck
) -> tuple[list[Member], int]:
    members = [await join(server) for _ in range(CLIENTS)]
    script = {"steps": 10, "pause_s": 0.03}
    killing = asyncio.create_task(_kill(members, nodes, kill_every, CLIENTS * each, luck))
    async with asyncio.TaskGroup() as group:
        for number, member in enumerate(members):
            jobs = {f"{number}-{job}": scripted(number, **script) for job in range(each)}
            group.create_task(member.play(jobs, at_once=3))
    for member in members:
        await member.socket.close()
    return members, await killing


async def _kill(members: list[Member], nodes: NodesHere, every: int, count: int, luck) -> int:
    """Kill a node each time that so many more pictures have come, and let another one join."""
    kills = 0
    while (kills + 1) * every < count:
        while sum(len(member.results) for member in members) < (kills + 1) * every:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.to_thread(nodes.kill, luck.choice(nodes.alive))
        kills += 1
        await asyncio.to_thread(nodes.add, 1)
    return kills


def _spread(members: list[Member]) -> int:
    """How far the first was ahead of the last, at most, while all had jobs."""
    first_done = min(member.ended_at[-1] for member in members)
    moments = (at for member in members for at in member.ended_at if at <= first_done)
    done = ([sum(at <= moment for at in m.ended_at) for m in members] for moment in moments)
    return max(max(counts) - min(counts) for counts in done)


def test_one_picture_is_painted_by_two_nodes(nodes: NodesHere) -> None:
    """With the bundled model: the same as by the local worker alone, to the bit; half by each."""

    async def paint() -> None:
        async with workshop(nodes.address) as workers:
            await workers.until_ready(3)
            first, second = sorted(workers.ready - {LOCAL})[:2]
            request = Request("generate", 128, 320, prompt="sand", num_inference_steps=2, seed=1)
            alone = await workers.paint(LOCAL, request)
            shared = await workers.paint(first, request, [second])
            assert shared.pixels == alone.pixels
            leader, helper = shared.report["rows_by_worker"]
            assert leader + helper == shared.report["unet_evaluations"]
            assert leader == helper > 0
            assert "rows_by_worker" not in alone.report

    asyncio.run(paint())


@pytest.mark.promise("R1")
def test_a_batch_goes_on_when_a_node_is_killed(
    nodes: NodesHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """Nothing is lost, nothing painted twice; and without a cluster it goes on where it stopped.

    The batch is longer than anyone waits: it is stopped when a node was killed and others have
    gone on.
    """
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    scene, out, report = write_scene(tmp_path / "a.ora", "snow"), tmp_path / "out", tmp_path / "r"
    painting = [str(scene), "--steps", "8", "--composition", "0", "--quiet"]
    batch = ["batch", *painting, "-o", str(out), "--labels"]
    cluster = ["--cluster", nodes.address, "--cluster-cores", "1"]
    command = [sys.executable, "-m", "tapestry_backend.cli", *batch, *cluster, "--seeds", "9999"]
    with subprocess.Popen(command) as process:
        until_lines(process, out, lambda lines: any("computer" in line for line in lines))
        nodes.kill(nodes.alive[0])
        before = len(lines_of(out))
        until_lines(process, out, lambda lines: len(lines) >= before + 4)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    nodes.add(1)
    lines, log = lines_of(out), (out / ".tapestry-batch.log").read_text(encoding="utf-8")
    seeds = {line["seed"] for line in lines}
    assert len(seeds) == len(lines)
    count = max(seeds) + 1
    options = ["--seeds", str(count), "--report", str(report)]
    assert main([*batch, *options]) == 0
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["kept"] + told["painted"] == count
    assert told["kept"] in {len(lines) - 1, len(lines)}  # it may be stopped before a picture is in
    assert sorted(line["seed"] for line in lines_of(out)) == [*range(count)]
    by_nodes = [line for line in lines if "computer" in line]
    last, alone = by_nodes[-1], tmp_path / "alone.png"
    assert main(["render", *painting, "--seed", str(last["seed"]), "-o", str(alone)]) == 0
    assert (out / last["picture"]).read_bytes() == alone.read_bytes()
    begun = log.count(" starts on ")
    measured(
        f"a batch on {len(nodes.alive)} nodes and a local worker, a node killed: {len(lines)} "
        f"pictures, {len(by_nodes)} of them by nodes, each once; {begun} begun"
    )


def until_lines(
    process: subprocess.Popen, folder: Path, enough: Callable[[list[dict]], bool]
) -> None:
    """Wait until the manifest of a batch that runs has enough lines."""
    while not ((folder / NAME).exists() and enough(lines_of(folder))):
        assert process.poll() is None
        time.sleep(0.05)


def test_an_open_cluster_is_refused(tmp_path: Path) -> None:
    """At the start, with a sentence; a flag lets it in."""
    with nodes_here(0, token=False) as nodes:
        command = [sys.executable, str(SERVE), "--scripted", "--cluster", nodes.address]
        command += ["--runtime-file", str(tmp_path / "server.json")]
        command += ["--journal", str(tmp_path / "journal")]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert "lets everyone in" in refused.stderr
        cluster = ("--cluster", nodes.address, "--open-cluster")
        with running_server(tmp_path, "--scripted", *cluster) as server:
            while "the cluster is there" not in server.log:
                time.sleep(0.05)


def test_a_cluster_that_is_not_there_costs_a_remark(tmp_path: Path) -> None:
    """At once; pictures are painted by local workers."""
    with running_server(tmp_path, "--scripted", "--cluster", "127.0.0.1:9") as server:
        client = Client(server)
        assert "cannot be reached" in client.until(Remark)[-1].message
        client.submit("a", scripted(1, steps=2))
        assert isinstance(client.until_delivery(Result, Failed).message, Result)
        client.close()
