"""The server is killed in mid-job, or told to stop: nothing is lost, doubled or orphaned."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.plugin import ChaosPlugin
from tests.chaos.processes import is_gone, picture_of, scripted, until_gone, worker_of
from tests.server.client import Client, running_server

STEPS, PAUSE_S = 20, 0.02


@pytest.mark.promise("R2")
def test_killed_servers(plugin: ChaosPlugin, tries, luck, measured) -> None:
    """At a random moment: started again by the plugin, resumed from the journal, one result."""
    count, back_s, orphans = tries(4, 50), [], 0
    for number in range(1, count + 1):
        request = scripted(number, steps=STEPS, pause_s=PAUSE_S)
        plugin.submit(str(number), request)
        kill_at = luck.randint(-1, STEPS - 1)  # -1: before anything has come back
        plugin.until(lambda at=kill_at: at < 0 or (plugin.steps and plugin.steps[-1] >= at))
        server = plugin.server_pid
        worker = worker_of(server)
        os.kill(server, signal.SIGKILL)
        killed_at_s = time.monotonic()
        plugin.until(lambda: not plugin.link.is_ready)
        plugin.until(lambda name=str(number): name in plugin.results)
        back_s.append(plugin.ready_at_s - killed_at_s)
        until_gone(worker)
        orphans += not is_gone(worker)
        plugin.until(lambda: plugin.worker_states[-1] == "ready")
        assert plugin.results[str(number)] == [picture_of(request)]
    assert orphans == 0
    assert plugin.log.count("listening on port") == count + 1
    measured(
        f"{count} of {count} results, 0 duplicates, {orphans} orphans; "
        f"back after {sorted(back_s)[count // 2]:.1f} s"
    )


@pytest.mark.promise("R2")
def test_a_stopped_worker_dies_with_a_killed_server(plugin: ChaosPlugin, measured) -> None:
    """Nothing could tell it that its pipe has ended."""
    plugin.submit("a", scripted(1, steps=STEPS, pause_s=PAUSE_S))
    plugin.until(lambda: bool(plugin.steps))
    server = plugin.server_pid
    worker = worker_of(server)
    os.kill(worker, signal.SIGSTOP)
    os.kill(server, signal.SIGKILL)
    seconds = until_gone(worker)
    plugin.until(lambda: "a" in plugin.results)
    measured(f"a stopped worker was gone {1000 * seconds:.0f} ms after its server was killed")


@pytest.mark.promise("R10")
def test_a_server_that_stops_leaves_nothing_behind(
    tmp_path: Path, tries, limit_s, measured
) -> None:
    """By a signal, and because Krita died: in mid-job, with a client, quick and clean."""
    count, seconds = tries(2, 20), []
    for number in range(count):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as krita:
            with running_server(tmp_path, "--scripted", "--parent", str(krita.pid)) as server:
                client = Client(server)
                client.submit(str(number), scripted(steps=400, pause_s=0.05))
                client.until_progress()
                worker, began = server.worker_pid(), time.monotonic()
                if number % 2:
                    server.process.terminate()
                else:
                    krita.kill()
                    client.socket.socket.close()
                assert server.process.wait(timeout=30) == 0
                until_gone(worker)
                seconds.append(time.monotonic() - began)
                assert not server.runtime_file.exists()
                client.close()
            krita.kill()
    assert max(seconds) < limit_s(3)
    measured(f"{count} cycles, {max(seconds):.1f} s at most, nothing left behind")
