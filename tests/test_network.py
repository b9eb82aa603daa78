"""Painting never touches the network: every process of a real server is watched while it does."""

import ipaddress
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tapestry_protocol.messages import Request, Result
from tapestry_protocol.pixels import Margins
from tests.server.client import Client, reference, running_server

GUARD = Path(__file__).parent / "network_guard"
PICTURE = bytes([90, 140, 60, 255]) * (128 * 128)
REQUESTS = {
    "generate": Request("generate", 128, 192, "snow", num_inference_steps=1, coherence=0.5),
    "extend": Request(
        "extend",
        128,
        128,
        "snow",
        image=reference(128, 128, 4, PICTURE),
        margins=Margins(right=64),
        num_inference_steps=1,
    ),
}


@pytest.fixture
def guard_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where every Python process that is started from now on writes whom it calls."""
    log = tmp_path / "calls.log"
    log.touch()
    monkeypatch.setenv("TAPESTRY_GUARD_LOG", str(log))
    monkeypatch.syspath_prepend(str(GUARD))
    return log


def is_far(line: str) -> bool:
    """Whether a line of the log names anything but this computer."""
    found = re.search(r"\('([^']*)', \d+", line)
    if found is None:
        return "'/" not in line and "b'\\x00" not in line  # a socket of the file system is near
    try:
        return not ipaddress.ip_address(found[1]).is_loopback
    except ValueError:
        return found[1] != "localhost"


def test_the_guard_sees_calls(guard_log: Path) -> None:
    """An address that is not assigned, a name, a datagram: each is written down, and is far."""
    code = (
        "import socket\n"
        "from contextlib import suppress\n"
        "with suppress(OSError), socket.socket() as s:\n"
        "    s.settimeout(0)\n"
        "    s.connect(('192.0.2.1', 9))\n"
        "with suppress(OSError): socket.getaddrinfo('name.invalid', 9)\n"
        "with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as s:\n"
        "    s.sendto(b'x', ('192.0.2.1', 9))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    watched, *lines = guard_log.read_text(encoding="utf-8").splitlines()
    assert watched.endswith(" watched")
    assert len(lines) == 3
    assert all(map(is_far, lines))
    assert not is_far("1 socket.connect ('127.0.0.1', 80)")


@pytest.mark.promise("S9")
def test_painting_calls_nobody(tmp_path: Path, guard_log: Path, measured) -> None:
    """A generated picture and an extension by the bundled model, server and worker watched."""
    with running_server(tmp_path) as server, closing(Client(server)) as client:
        for job_id, request in REQUESTS.items():
            client.submit(job_id, request, *([PICTURE] if request.image else []))
            assert isinstance(client.until_end(), Result)
        worker = psutil.Process(server.worker_pid())
        assert not worker.net_connections("inet")
        bound = psutil.Process(server.process.pid).net_connections("inet")
        assert all(ipaddress.ip_address(each.laddr.ip).is_loopback for each in bound)
        processes = {f"{server.process.pid} watched", f"{worker.pid} watched"}
    lines = guard_log.read_text(encoding="utf-8").splitlines()
    assert processes <= set(lines)
    calls = [line for line in lines if not line.endswith(" watched")]
    assert not list(filter(is_far, calls))
    measured(f"{len(REQUESTS)} pictures, {len(calls)} calls, 0 beyond this computer")
