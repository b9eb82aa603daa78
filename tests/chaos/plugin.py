"""The plugin's own way to a server, without Krita and Qt: its link over a plain socket.

Everything that decides is the plugin's: the link, what it asks after a reconnect, how it starts a
backend. Only the socket and the event loop are stand-ins, because those need Qt.
"""

import os
import select
import shlex
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tapestry.backend.process import BackendProcess
from tapestry.connection.link import ConnectionHandler, Link
from tapestry.connection.wire import Opened, Wire
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode_chunks
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import (
    Acknowledge,
    Backend,
    Cancelled,
    Failed,
    Hello,
    Message,
    Need,
    Progress,
    Request,
    Result,
    Submit,
)
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.runtime import RuntimeInfo

BACKEND = Path(__file__).with_name("backend.py")


class Socket:
    """A connection of the plugin's wire; cut off when it has carried as many bytes as it may."""

    def __init__(self, info: RuntimeInfo, handler: ConnectionHandler, budget_bytes: float) -> None:
        self._handler = handler
        self._wire = Wire(info)
        self._left = budget_bytes
        self._out = bytearray()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self._socket.connect(("127.0.0.1", info.port))
            self._socket.settimeout(0)
        except OSError:
            self._left = 0

    def send(self, message: Message) -> None:
        self._wire.send(message)

    def send_blob(self, sha256: str, data: bytes) -> None:
        for frame in encode_chunks(sha256, data):
            self._wire.send_chunk(frame)

    def close(self) -> None:
        self._handler = ConnectionHandler()
        self._socket.close()

    def turn(self, wait_s: float) -> None:
        """One turn of the event loop: send what is due, hear what has come."""
        if self._socket.fileno() < 0:
            time.sleep(wait_s)
            return
        self._out += self._wire.outgoing()
        if self._left <= 0:
            self._lose(None)
            return
        writers = [self._socket] if self._out else []
        readable, writable, _ = select.select([self._socket], writers, [], wait_s)
        try:
            if writable:
                self._write()
            if readable:
                self._read()
        except TapestryError as error:
            self._lose(error)
        except OSError:
            self._lose(None)

    def _write(self) -> None:
        sent = self._socket.send(self._out[: self._most()])
        self._left -= sent
        del self._out[:sent]

    def _read(self) -> None:
        data = self._socket.recv(self._most())
        self._left -= len(data)
        if not data:
            self._lose(None)
            return
        for heard in self._wire.receive(data):
            if isinstance(heard, Opened):
                self.send(Hello(PROTOCOL_VERSION, VERSION))
            else:
                self._handler.hear(heard.message, heard.pixels)

    def _most(self) -> int:
        return int(max(1, min(self._left, 1 << 18)))

    def _lose(self, error: TapestryError | None) -> None:
        handler = self._handler
        self.close()
        handler.lose(error)


class ChaosPlugin:
    """A plugin whose artist submits jobs; the observer of its link.

    results    job id -> every picture that came for it
    failures   what went wrong, in the artist's words
    ready_at_s when the link was made for the last time
    budget     gives how many bytes the next connection may carry
    """

    def __init__(self, home: Path, monkeypatch, *options: str) -> None:
        for name in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME"):
            folder = home / name.lower()
            folder.mkdir(mode=0o700, exist_ok=True)
            monkeypatch.setenv(name, str(folder))
        command = shlex.join([sys.executable, str(BACKEND), *options])
        self.process = BackendProcess(command)
        self.budget: Callable[[], float] = lambda: float("inf")
        self.link = Link(self.process, self._connect, self)
        self.link.observer = self
        self.results: dict[str, list[bytes]] = {}
        self.failures: list[str] = []
        self.worker_states: list[str] = []
        self.steps: list[int] = []
        self.ready_at_s = 0.0
        self._blobs: dict[str, bytes] = {}
        self._socket: Socket | None = None
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def submit(self, job_id: str, request: Request, *blobs: Pixels) -> None:
        """Send a job, now or as soon as the link is ready."""
        self._blobs.update({blob.sha256: blob.data for blob in blobs})
        self.link.ensure()
        self.until(lambda: self.link.is_ready)
        self.steps.clear()
        self.link.send(Submit(job_id, request))

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Let the event loop turn until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.link.state, self.failures, self.log[-3000:])
            assert not self.failures, self.failures
            self._turn()

    @property
    def log(self) -> str:
        return self.process.log_file.read_text("utf-8")

    @property
    def server_pid(self) -> int:
        return self.process.find().pid

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        """The loop of the link."""
        entry = (time.monotonic() + delay_s, action)
        self._timers.append(entry)
        return lambda: self._timers.remove(entry) if entry in self._timers else None

    def _turn(self) -> None:
        if self._socket is not None:
            self._socket.turn(0.005)
        else:
            time.sleep(0.005)
        for entry in [entry for entry in self._timers if entry[0] <= time.monotonic()]:
            self._timers.remove(entry)
            entry[1]()

    def _connect(self, info: RuntimeInfo, handler: ConnectionHandler) -> Socket:
        self._socket = Socket(info, handler, self.budget())
        return self._socket

    # --- from the link ----------------------------------------------------------------------------

    def link_changed(self) -> None:
        """Remember when the way was free again."""
        if self.link.is_ready:
            self.ready_at_s = time.monotonic()

    def link_failed(self, error: TapestryError) -> None:
        self.failures.append(str(error))

    def hear(self, message: Message, pixels: Pixels | None, _beside: object = None) -> None:
        """What the docker's model would do."""
        if isinstance(message, Backend):
            self.worker_states.append(message.state)
        elif isinstance(message, Need):
            for sha256 in message.sha256s:
                self.link.send_blob(sha256, self._blobs[sha256])
        elif isinstance(message, Result):
            self.results.setdefault(message.job_id, []).append(pixels.data)
            self.link.send(Acknowledge(message.job_id))
        elif isinstance(message, Failed | Cancelled):
            self.failures.append(str(message))
        elif isinstance(message, Progress):
            self.steps.append(message.step)

    def close(self) -> None:
        """The artist leaves; the backend notices that."""
        self.link.close()
        info = self.process.find()
        if info is not None:
            os.kill(info.pid, 15)
            while not self.process.has_ended():
                time.sleep(0.01)
