"""The worker is killed, hangs, or makes no progress: its job is painted all the same."""

import os
import signal
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tapestry_protocol.messages import Acknowledge, Failed, Result
from tests.chaos.plugin import ChaosPlugin
from tests.chaos.processes import picture_of, scripted, until_gone, worker_of, workers_of
from tests.server.client import Client, running_server

STEPS, PAUSE_S = 20, 0.02
DEVICES = ("--device", "a", "--device", "b", "--device", "c")
AT_ONCE = 8
"""Jobs of a client: more than there are workers, so that none is idle. One worker is killed while
as many pictures come: no job, which takes three of them, meets more than two kills."""
GONE = ("lost", "starting")
"""What a client receives about a lost worker; of waiting states only the latest is sent."""


@pytest.mark.promise("R1")
def test_killed_workers(plugin: ChaosPlugin, tries, luck, limit_s, measured) -> None:
    """At a random step: shown at once, started again, the same picture, exactly once."""
    count, shown_s = tries(4, 50), []
    for number in range(1, count + 1):
        request, kill_at = scripted(number, steps=STEPS, pause_s=PAUSE_S), luck.randint(0, STEPS)
        plugin.submit(str(number), request)
        plugin.until(lambda at=kill_at: plugin.steps and plugin.steps[-1] >= at)
        shown = sum(map(plugin.worker_states.count, GONE))
        os.kill(worker_of(plugin.server_pid), signal.SIGKILL)
        killed_at_s = time.monotonic()
        plugin.until(lambda before=shown: sum(map(plugin.worker_states.count, GONE)) > before)
        shown_s.append(time.monotonic() - killed_at_s)
        plugin.until(lambda name=str(number): name in plugin.results)
        assert plugin.results[str(number)] == [picture_of(request)]
    assert max(shown_s) < limit_s(1)
    measured(
        f"{count} of {count} pictures, each the same and once; shown after "
        f"{1000 * statistics.median(shown_s):.0f} ms, {1000 * max(shown_s):.0f} ms at most"
    )


@pytest.mark.promise("R1")
def test_one_of_several_workers_is_killed(tmp_path: Path, tries, luck, measured) -> None:
    """The others do not begin again, and every picture comes exactly once."""
    count, pictures = tries(24, 200), {}
    kills = [first + luck.randrange(AT_ONCE) for first in range(0, count, AT_ONCE)]
    with running_server(tmp_path, "--scripted", *DEVICES) as server:
        client = Client(server)
        for number in range(count + AT_ONCE):
            if number < count:
                client.submit(str(number), scripted(number, steps=STEPS, pause_s=PAUSE_S))
            if number >= AT_ONCE:
                _take_picture(client, pictures)
            if number - AT_ONCE in kills:
                os.kill(luck.choice(workers_of(server.process.pid)), signal.SIGKILL)
        client.close()
    assert pictures == {str(number): picture_of(scripted(number)) for number in range(count)}
    begun = server.log.count(" starts")
    assert count <= begun <= count + len(kills)
    measured(
        f"{len(kills)} kills among 3 workers: {count} of {count} pictures, each the same and once; "
        f"{begun - count} begun again"
    )


def _take_picture(client: Client, pictures: dict[str, bytes]) -> None:
    delivery = client.until_delivery(Result, Failed)
    message = delivery.message
    assert isinstance(message, Result), message
    assert message.job_id not in pictures
    (pictures[message.job_id],) = delivery.blobs.values()
    client.send(Acknowledge(message.job_id))


@pytest.mark.promise("R3")
def test_hanging_workers(tmp_path: Path, monkeypatch, limit_s, measured) -> None:
    """One that is stopped, and one whose heart beats but whose step does not end."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    scripts = {"stopped": {}, "stuck": {"at": 5, "do": "hang once"}}
    with ExitStack() as opened:
        clients, workers = {}, {}
        for name in scripts:
            (tmp_path / name).mkdir()
            server = opened.enter_context(running_server(tmp_path / name, "--scripted"))
            clients[name] = Client(server)
            opened.callback(clients[name].close)
            clients[name].until_worker("ready")
            workers[name] = server.worker_pid()
        for name, script in scripts.items():
            clients[name].submit("a", scripted(7, steps=2 * STEPS, pause_s=PAUSE_S, **script))
        for client in clients.values():
            while client.until_progress().step < 4:
                pass
        os.kill(workers["stopped"], signal.SIGSTOP)
        hanging_since_s = time.monotonic()
        noticed_s = {}
        for name, client in clients.items():
            client.until_worker("lost")
            noticed_s[name] = time.monotonic() - hanging_since_s
            delivery = client.until_delivery(Result, Failed)
            assert list(delivery.blobs.values()) == [picture_of(scripted(7))]
            until_gone(workers[name])
    assert max(noticed_s.values()) < limit_s(15)
    for name, seconds in noticed_s.items():
        measured(f"{name}: noticed after {seconds:.1f} s, replaced, the same picture")
