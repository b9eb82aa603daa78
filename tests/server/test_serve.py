"""The life of the server process: ready, alone, silent about secrets, and gone in time."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.messages import Progress, Request, Result
from tapestry_protocol.runtime import RuntimeInfo, read_runtime_file, write_runtime_file
from tests.server.client import Connect, Server, running_server, started_server


def is_gone(pid: int) -> bool:
    """No such process, or one that only waits to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def test_ready_means_reachable(own_server: Server, connect: Connect) -> None:
    """The runtime file appears when a client can connect, and tells everything it needs."""
    info = own_server.info
    assert (info.protocol, info.version) == (PROTOCOL_VERSION, VERSION)
    assert info.pid == own_server.process.pid
    assert len(bytes.fromhex(info.token)) == 32
    mode = own_server.runtime_file.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    connect(own_server).close()


def test_a_server_holds_no_torch(own_server: Server, connect: Connect) -> None:
    """Not one of torch's libraries is mapped into its process."""
    connect(own_server).close()
    maps = Path(f"/proc/{own_server.process.pid}/maps").read_text()
    assert "torch" not in maps
    assert "numpy" not in maps


def test_each_server_has_a_new_token(tmp_path: Path) -> None:
    """What was known yesterday opens nothing today."""
    tokens = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with running_server(tmp_path / name, "--scripted") as server:
            tokens.add(server.info.token)
    assert len(tokens) == 2


def test_a_second_server_is_refused(own_server: Server, tmp_path: Path, connect: Connect) -> None:
    """It says why and leaves the first one's file alone."""
    info = own_server.info
    with started_server(tmp_path, "--scripted") as second:
        assert second.process.wait() == 2
    assert "running already" in own_server.log
    assert str(info.pid) in own_server.log
    assert own_server.info == info
    connect(own_server).close()


def test_a_stale_runtime_file_is_replaced(tmp_path: Path, connect: Connect) -> None:
    """A server that was killed does not keep the next one from starting."""
    with running_server(tmp_path, "--scripted") as server:
        server.process.kill()
        server.process.wait()
        stale = server.info
    (tmp_path / "server.log").unlink()
    with started_server(tmp_path, "--scripted") as server:
        while read_runtime_file(server.runtime_file) == stale:
            assert server.process.poll() is None, server.log
        assert server.info.pid == server.process.pid
        connect(server).close()


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """On its way out, a server removes its own runtime file only."""
    with running_server(tmp_path, "--scripted") as server:
        other = RuntimeInfo(1, "other", 1, 1, "1")
        write_runtime_file(other, server.runtime_file)
    assert read_runtime_file(tmp_path / "server.json") == other


def test_a_signal_ends_everything(tmp_path: Path, connect: Connect) -> None:
    """In the middle of a job and with a client: the file, the server and its worker are gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with running_server(tmp_path, "--scripted") as server:
            client = connect(server)
            client.submit(str(number), Request("generate", 4, 4, '{"steps": 400, "pause_s": 1}'))
            client.until(Progress)
            worker = server.worker_pid()
            server.process.send_signal(number)
            assert server.process.wait(timeout=30) == 0
            assert is_gone(worker)
            assert not server.runtime_file.exists()
            client.close()
            assert "Traceback" not in server.log


def test_a_killed_server_leaves_no_worker(tmp_path: Path, connect: Connect) -> None:
    """The worker notices the end of its pipe, also in the middle of a step."""
    with running_server(tmp_path, "--scripted") as server:
        client = connect(server)
        client.submit("a", Request("generate", 4, 4, '{"steps": 400, "pause_s": 500}'))
        client.until(Progress)
        worker = server.worker_pid()
        server.process.kill()
        server.process.wait()
        while not is_gone(worker):
            pass
        client.socket.socket.close()


def test_a_server_outlives_its_parent_only_for_clients(tmp_path: Path, connect: Connect) -> None:
    """When the parent is gone and the last client too, the server goes."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        with running_server(tmp_path, "--scripted", "--parent", str(parent.pid)) as server:
            client = connect(server)
            parent.kill()  # it stays a zombie until we wait for it
            client.submit("a", Request("generate", 4, 4, '{"steps": 40, "pause_s": 0.05}'))
            assert isinstance(client.until(Result)[-1], Result)
            assert server.process.poll() is None
            client.close()
            assert server.process.wait(timeout=30) == 0
        parent.wait()
    assert not (tmp_path / "server.json").exists()


def test_a_server_whose_parent_is_gone_already_ends(tmp_path: Path) -> None:
    """It started too late to be of use."""
    with subprocess.Popen([sys.executable, "-c", ""]) as parent:
        parent.wait()
    with started_server(tmp_path, "--scripted", "--parent", str(parent.pid)) as server:
        assert server.process.wait(timeout=30) == 0


def test_a_model_that_is_none_keeps_it_from_starting(tmp_path: Path) -> None:
    """One sentence on stderr, no traceback, status 2."""
    with started_server(tmp_path, "--model", str(tmp_path)) as server:
        assert server.process.wait() == 2
    assert "not a model folder" in server.log
    assert "Traceback" not in server.log


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A log file in a folder that is not there: one sentence, status 2."""
    log_file = tmp_path / "missing" / "log"
    with started_server(tmp_path, "--scripted", "--log-file", str(log_file)) as server:
        assert server.process.wait() == 2
    assert str(log_file) in server.log
    assert "Traceback" not in server.log


def test_secrets_stay_where_they_belong(tmp_path: Path, connect: Connect) -> None:
    """Token and prompts are in no log, command line or environment after a full run."""
    log_file = tmp_path / "log file"
    with running_server(tmp_path, "--scripted", "--log-file", str(log_file)) as server:
        token = server.info.token
        client = connect(server)
        for job_id, script in (
            ("fine", '{"steps": 3, "secret": "my garden"}'),
            ("broken", '{"at": 1, "do": "raise", "secret": "my garden"}'),
            ("crash", '{"at": 1, "do": "crash", "secret": "my garden"}'),
        ):
            client.submit(job_id, Request("generate", 4, 4, script))
            client.until_end()
        client.until_worker("ready")
        for pid in (server.process.pid, server.worker_pid()):
            for name in ("cmdline", "environ"):
                assert token.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        client.close()
    log = log_file.read_text(encoding="utf-8") + server.log
    assert "job fine starts" in log
    assert "ValueError" in log
    assert token not in log
    assert "garden" not in log


def test_without_a_log_file_the_log_goes_to_stderr(own_server: Server) -> None:
    """There one finds where it listens."""
    assert f"port {own_server.info.port}" in own_server.log


def test_a_worker_works_offline(own_server: Server, connect: Connect) -> None:
    """Its environment tells the libraries not to use the network."""
    client = connect(own_server)
    client.until_worker("ready")
    environment = Path(f"/proc/{own_server.worker_pid()}/environ").read_bytes()
    assert b"HF_HUB_OFFLINE=1" in environment.split(b"\0")
    client.close()
