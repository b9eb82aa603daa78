"""A server in a process of its own, and a small client for it."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tapestry_backend.workers.channel import Inbox
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode, encode_chunks
from tapestry_protocol.limits import MAX_FRAME_BYTES
from tapestry_protocol.messages import (
    Backend,
    Cancelled,
    Failed,
    Hello,
    Message,
    Need,
    PixelsRef,
    Progress,
    Request,
    Result,
    Submit,
)
from tapestry_protocol.runtime import RuntimeInfo, read_runtime_file

SERVE = Path(__file__).with_name("serve.py")


class Server:
    """A running server process."""

    def __init__(self, process: subprocess.Popen, runtime_file: Path, log_file: Path) -> None:
        self.process = process
        self.runtime_file = runtime_file
        self.log_file = log_file

    @property
    def info(self) -> RuntimeInfo:
        info = read_runtime_file(self.runtime_file)
        assert info is not None
        return info

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def wait_until_ready(self) -> None:
        """Wait for the runtime file, or for the server's untimely end."""
        while read_runtime_file(self.runtime_file) is None:
            assert self.process.poll() is None, self.log
            time.sleep(0.01)

    def worker_pid(self) -> int:
        """The server's one child process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        (pid,) = children.read_text().split()
        return int(pid)


@contextmanager
def running_server(folder: Path, *arguments: str) -> Iterator[Server]:
    """A server that is ready, and is stopped in the end."""
    with started_server(folder, *arguments) as server:
        server.wait_until_ready()
        yield server


@contextmanager
def started_server(folder: Path, *arguments: str) -> Iterator[Server]:
    """A server process that may or may not become ready."""
    runtime_file, log_file = folder / "server.json", folder / "server.log"
    command = [sys.executable, str(SERVE), "--runtime-file", str(runtime_file)]
    command += ["--journal", str(folder / "journal")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        log_file.open("ab") as log,
        subprocess.Popen([*command, *arguments], stderr=log, env=environment) as process,
    ):
        try:
            yield Server(process, runtime_file, log_file)
        finally:
            process.terminate()


class Client:
    """A connection that has said hello."""

    def __init__(self, server: Server, *, greet: bool = True) -> None:
        self._open = ExitStack()
        connection = connect(
            f"ws://127.0.0.1:{server.info.port}/tapestry",
            additional_headers={"Authorization": f"Bearer {server.info.token}"},
            max_size=MAX_FRAME_BYTES,
            proxy=None,
            ping_interval=None,
            close_timeout=1,
        )
        self.socket: ClientConnection = self._open.enter_context(connection)
        self._inbox = Inbox()
        if greet:
            self.send(Hello(PROTOCOL_VERSION, VERSION))

    def send(self, message: Message) -> None:
        self.socket.send(encode(message))

    def send_blob(self, data: bytes) -> None:
        for frame in encode_chunks(hashlib.sha256(data).hexdigest(), data):
            self.socket.send(frame)

    def receive(self) -> Any:
        """The next message, with the pixels it refers to."""
        while True:
            delivery = self._inbox.take(self.socket.recv())
            if delivery is not None:
                return delivery

    def until(self, *types: type[Message]) -> list[Any]:
        """Every message up to the first of these types."""
        messages = [self.receive().message]
        while not isinstance(messages[-1], types):
            messages.append(self.receive().message)
        return messages

    def until_delivery(self, *types: type[Message]) -> Any:
        """The first message of these types, with the pixels it refers to."""
        while not isinstance((delivery := self.receive()).message, types):
            pass
        return delivery

    def until_worker(self, state: str) -> None:
        """Wait until the worker is in this state."""
        while True:
            message = self.receive().message
            if isinstance(message, Backend) and message.state == state:
                return

    def until_progress(self) -> Any:
        """The next step of a job."""
        return self.until(Progress)[-1]

    def until_end(self) -> Any:
        """The end of a job, whatever it is."""
        return self.until(Result, Failed, Cancelled)[-1]

    def submit(self, job_id: str, request: Request, *blobs: bytes) -> None:
        """Submit a job and send the blobs that the server asks for."""
        self.send(Submit(job_id, request))
        if blobs:
            need = self.until(Need)[-1]
            for blob in blobs:
                if hashlib.sha256(blob).hexdigest() in need.sha256s:
                    self.send_blob(blob)

    def close(self) -> None:
        self._open.close()


Connect = Callable[..., Client]
"""Makes a client of a server, and closes it when the test is over."""


def reference(height: int, width: int, channels: int, data: bytes) -> PixelsRef:
    """The reference to raw pixels."""
    return PixelsRef(height, width, channels, hashlib.sha256(data).hexdigest())
