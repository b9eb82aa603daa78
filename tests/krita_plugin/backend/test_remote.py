"""A backend on another computer: through a tunnel, with a copied runtime file and its token."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tapestry.backend.choice import BackendChoice, ChosenBackend
from tapestry.backend.process import BackendProcess
from tapestry.backend.remote import VARIABLE, RemoteBackend, server_file_of
from tapestry.connection.wire import Opened, Wire
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Acknowledge, Hello, Message, Request, Result, Submit
from tapestry_protocol.runtime import RuntimeInfo
from tests.krita_plugin.tunnel import tunnel
from tests.server.client import running_server

LAPTOP, GPU_MACHINE = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def port_of_laptop() -> Iterator[socket.socket]:
    """Where the laptop's end of the tunnel listens."""
    with socket.create_server((LAPTOP, 0)) as listening, socket.socket() as probe:
        try:
            probe.bind((GPU_MACHINE, 0))
        except OSError:
            pytest.skip("this machine has one loopback address")
        yield listening


def chosen(
    setting: str, environment: dict[str, str], choice: BackendChoice | None = None
) -> ChosenBackend:
    """As the plugin puts it together."""
    server_file = server_file_of(setting, environment)
    return ChosenBackend(BackendProcess("", environment), choice or BackendChoice(), server_file)


class Plugin:
    """The plugin's own conversation over a plain socket."""

    def __init__(self, server: RuntimeInfo) -> None:
        self._wire = Wire(server)
        self._socket = socket.create_connection((LAPTOP, server.port))
        self._heard: list = []

    def close(self) -> None:
        self._socket.close()

    def send(self, message: Message) -> None:
        self._wire.send(message)
        self._socket.sendall(self._wire.outgoing())

    def hear(self, wanted: type):
        """The next thing of this kind."""
        self._socket.sendall(self._wire.outgoing())
        while True:
            while self._heard:
                heard = self._heard.pop(0)
                if isinstance(heard, wanted) or isinstance(getattr(heard, "message", None), wanted):
                    return heard
            self._heard += self._wire.receive(self._socket.recv(65536))


@pytest.mark.promise("S3")
def test_a_job_goes_through_the_tunnel(
    tmp_path: Path, port_of_laptop: socket.socket, measured
) -> None:
    """As docs/another-computer.md says: a fixed port, a copied file, a tunnel to the same port."""
    port = port_of_laptop.getsockname()[1]
    copy = tmp_path / "copied.json"
    arguments = ("--scripted", "--address", GPU_MACHINE, "--port", str(port))
    with running_server(tmp_path, *arguments) as server:
        assert not RemoteBackend(copy).find()
        shutil.copy2(server.runtime_file, copy)
        info = chosen("", {VARIABLE: str(copy)}).find()
        assert info == server.info
        with tunnel(port_of_laptop, (GPU_MACHINE, port)), closing(Plugin(info)) as plugin:
            plugin.hear(Opened)
            plugin.send(Hello(PROTOCOL_VERSION, VERSION))
            plugin.send(Submit("far", Request("generate", 4, 6, "{}")))
            result = plugin.hear(Result)
            plugin.send(Acknowledge("far"))
        assert (result.pixels.height, result.pixels.width) == (4, 6)
        stranger = RuntimeInfo(port, "0" * 64, 1, PROTOCOL_VERSION, VERSION)
        with (
            tunnel(port_of_laptop, (GPU_MACHINE, port)),
            closing(Plugin(stranger)) as plugin,
            pytest.raises(TapestryError, match="refused"),
        ):
            plugin.hear(Opened)
    measured("a job through a tunnel from another address; no token, no entry")


def test_the_artists_setting_comes_first(tmp_path: Path) -> None:
    """Before the environment; without either the backend is on this computer."""
    backend = chosen(str(tmp_path / "mine"), {VARIABLE: str(tmp_path / "other")})
    assert str(tmp_path / "mine") in str(backend.why_it_ended())
    assert backend.is_distant
    assert not chosen(" ", {VARIABLE: ""}).is_distant


def test_what_was_chosen_on_the_page_comes_before_both(tmp_path: Path) -> None:
    """A file, or the tunnel's own end for the file that the settings name."""
    environment = {VARIABLE: str(tmp_path / "other")}
    choice = BackendChoice(server_file=str(tmp_path / "chosen"))
    assert str(tmp_path / "chosen") in str(chosen("", environment, choice).why_it_ended())
    choice = BackendChoice(address="localhost:8765")
    assert str(tmp_path / "other") in str(chosen("", environment, choice).why_it_ended())


def test_a_distant_backend_is_not_started(tmp_path: Path) -> None:
    """The artist hears what to do, and another thing when the copy is there."""
    backend = RemoteBackend(tmp_path / "copied.json")
    with pytest.raises(TapestryError, match="Copy the backend's runtime file"):
        backend.start()
    (tmp_path / "copied.json").write_text(
        '{"port": 1, "token": "t", "pid": 1, "protocol": 1, "version": "1"}'
    )
    (tmp_path / "copied.json").chmod(0o644)
    with pytest.raises(TapestryError, match="others can read it"):
        backend.start()
    (tmp_path / "copied.json").chmod(0o600)
    with pytest.raises(TapestryError, match="open the tunnel"):
        backend.start()
    assert backend.has_ended()
