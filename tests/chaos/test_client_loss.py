"""The client vanishes at any byte, or says everything five times."""

import dataclasses
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import Acknowledge, Failed, PixelsRef, Request, Result, Submit
from tapestry_protocol.pixels import Margins, Pixels
from tests.chaos.plugin import ChaosPlugin
from tests.chaos.processes import picture_of, scripted, until_gone
from tests.server.client import Client, Server, running_server

SIDE = 600  # 1.4 MiB: more than one chunk each way


@pytest.mark.promise("R4")
def test_cut_connections(
    plugin: ChaosPlugin, tries, luck: random.Random, limit_s, measured
) -> None:
    """After a random number of bytes, in frames and between them: every picture comes, once."""
    count, within_s, cuts = tries(6, 100), [], 0
    for number in range(1, count + 1):
        image = Pixels(SIDE, SIDE, 4, luck.randbytes(4 * SIDE * SIDE))
        request = Request(
            "extend",
            SIDE,
            SIDE,
            prompt='{"steps": 5, "pause_s": 0.01}',
            margins=Margins(left=8),
            image=PixelsRef.of(image),
        )
        # Both pictures together are longer, so each of these connections is cut.
        budgets = iter([luck.randrange(2000, 2 * len(image.data))])
        plugin.budget = lambda budgets=budgets: next(budgets, float("inf"))
        plugin.link.close()
        plugin.submit(str(number), request, image)
        first_ready_at_s = plugin.ready_at_s
        plugin.until(lambda name=str(number): name in plugin.results)
        assert plugin.results[str(number)] == [image.data]
        if plugin.ready_at_s > first_ready_at_s:
            cuts += 1
            within_s.append(time.monotonic() - plugin.ready_at_s)
    assert cuts == count
    assert max(within_s) < limit_s(1)
    measured(
        f"{count} of {count} complete, each cut at a random byte; "
        f"{max(within_s):.2f} s at most after the return"
    )


@pytest.mark.promise("R4")
def test_a_result_waits_for_its_client(plugin: ChaosPlugin, limit_s, measured) -> None:
    """It vanishes, the job runs on, and is delivered on return."""
    request = scripted(5, steps=10, pause_s=0.02)
    plugin.submit("a", request)
    plugin.until(lambda: bool(plugin.steps))
    plugin.link.close()
    while "job a ended" not in plugin.log:
        time.sleep(0.01)
    plugin.link.ensure()
    plugin.until(lambda: "a" in plugin.results)
    seconds = time.monotonic() - plugin.ready_at_s
    assert plugin.results["a"] == [picture_of(request)]
    assert seconds < limit_s(1)
    measured(f"kept while the client was away, delivered {1000 * seconds:.0f} ms after its return")


def _answer(server: Server, submit: Submit, *, acknowledge: bool = False) -> Result | Failed:
    client = Client(server)
    client.send(submit)
    end = client.until_end()
    if acknowledge:
        client.send(Acknowledge(submit.job_id))
        client.send(Submit("after", scripted(steps=1)))  # in order, so the one before has arrived
        client.until_end()
    client.close()
    return end


@pytest.mark.promise("R5")
def test_the_same_job_five_times(tmp_path: Path, measured) -> None:
    """While it runs, after its end, after a kill, after its delivery: one run. Others conflict."""
    submit = Submit("once", scripted(9, steps=20, pause_s=0.02))
    other = dataclasses.replace(submit, request=scripted(8))
    submits, conflicts, runs = 0, 0, 0
    for life in range(3):
        with running_server(tmp_path, "--scripted") as server:
            for _ in range(5):
                end = _answer(server, submit, acknowledge=life == 1)
                assert isinstance(end, Result) or end.code is ErrorCode.DELIVERED
                submits += 1
                conflict = _answer(server, other)
                assert conflict.code is ErrorCode.CONFLICT
                conflicts += 1
            os.kill(server.process.pid, signal.SIGKILL)
            until_gone(server.process.pid)
            server.process.wait()
            server.runtime_file.unlink()
            runs = server.log.count("job once starts")
            assert runs == 1
    measured(
        f"{submits} times the same over 3 lives of the server: {runs} run; "
        f"{conflicts} of {conflicts} other bodies are a conflict"
    )
