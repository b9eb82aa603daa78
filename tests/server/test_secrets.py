"""The token is in the runtime file and nowhere else: a search over everything that a run wrote."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as connect_raw

from tapestry_protocol.messages import Request, Resume
from tests.server.client import Connect, Server, running_server

FOLDERS = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
SCRIPTS = {
    "fine": '{"steps": 3}',
    "broken": '{"at": 1, "do": "raise"}',
    "memory": '{"at": 1, "do": "memory"}',
    "chatty": '{"at": 1, "do": "print"}',
    "crash": '{"at": 1, "do": "crash"}',
}


def spellings(token: str) -> set[bytes]:
    """The token as it stands, and in its usual encodings."""
    text, raw = token.encode(), bytes.fromhex(token)
    packed = {base64.b64encode(form).rstrip(b"=") for form in (text, raw)}
    return {text, text.upper(), raw, text[:32], text[32:]} | packed


def hits(places: Iterator[tuple[str, bytes]], token: str) -> list[str]:
    """Where any spelling of the token was found."""
    wanted = spellings(token)
    return [where for where, data in places if any(spelling in data for spelling in wanted)]


def processes(server: Server) -> Iterator[tuple[str, bytes]]:
    """Command lines and environments of the server and its worker."""
    for pid in (server.process.pid, server.worker_pid()):
        for name in ("cmdline", "environ"):
            yield f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes()


def written(folder: Path, *, but: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder but one."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != but:
            yield str(path), path.read_bytes()


def offer_token_wrongly(server: Server) -> None:
    """Handshakes that hold the right token where a careless server would log it."""
    port, token = server.info.port, server.info.token
    bearer = {"Authorization": f"Bearer {token}"}
    for path, headers in (
        (f"/tapestry?token={token}", {}),
        (f"/{token}", bearer),
        ("/tapestry", {"Authorization": f"Basic {token}"}),
        ("/tapestry", {**bearer, "Origin": f"https://{token}.example"}),
        ("/tapestry", {**bearer, "Host": token}),
        ("/tapestry", {**bearer, "Sec-WebSocket-Protocol": token}),
    ):
        url = f"ws://127.0.0.1:{port}{path}"
        with (
            suppress(WebSocketException, OSError),
            connect_raw(url, additional_headers=headers, proxy=None),
        ):
            continue


def doctor() -> bytes:
    """What the diagnostics say while the server runs."""
    command = [sys.executable, "-m", "tapestry_backend.cli", "doctor"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


@pytest.mark.promise("S4")
def test_the_token_is_nowhere_else(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """Jobs that end in every way, wrong handshakes, bad messages, diagnostics, a killed server."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    runtime = tmp_path / "run" / "tapestry"
    runtime.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    log = ("--log-file", str(tmp_path / "backend.log"))
    with running_server(runtime, "--scripted", *log) as server:
        token = server.info.token
        offer_token_wrongly(server)
        client = connect(server)
        for job_id, script in SCRIPTS.items():
            client.submit(job_id, Request("generate", 4, 4, script))
            client.until_end()
        client.send(Resume(("nobody", *SCRIPTS)))
        client.until_worker("ready")
        spoilt = connect(server)
        spoilt.socket.send('{"kind": "hello", "token": "' + token + '"}')
        report = doctor()
        assert str(server.info.port).encode() in report
        places = [("doctor", report), *processes(server)]
        places += written(tmp_path, but=server.runtime_file)
        server.process.kill()
        server.process.wait()
    places += written(tmp_path, but=server.runtime_file)
    assert hits(iter([("the search itself", token.encode())]), token)
    assert "was refused" in (tmp_path / "backend.log").read_text(encoding="utf-8")
    found = hits(iter(places), token)
    assert not found
    total = sum(len(data) for _, data in places)
    measured(f"{len(places)} places, {total} bytes, {len(found)} hits")
