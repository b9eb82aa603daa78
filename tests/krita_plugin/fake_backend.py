"""A backend without a process or a socket: records what it is sent, says what the test says."""

from __future__ import annotations

from typing import Any

from tapestry.connection.link import ConnectionHandler
from tapestry.document.order import NOTHING, Beside
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Backend, Message, Welcome
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.runtime import RuntimeInfo


class FakeBackend:
    """Stands for the server's process and for every connection to it.

    can_start      whether a command is installed
    starts         how often it was started
    is_alive       whether connections are accepted
    sent, blobs    what the plugin sent on the present connection
    """

    def __init__(self) -> None:
        self.can_start = True
        self.dies_at_once = False
        self.starts = 0
        self.is_alive = False
        self.info: RuntimeInfo | None = None
        self.sent: list[Any] = []
        self.blobs: dict[str, bytes] = {}
        self._handler = ConnectionHandler()
        self.is_connected = False

    # --- the process ------------------------------------------------------------------------------

    def find(self) -> RuntimeInfo | None:
        return self.info

    def start(self) -> None:
        if not self.can_start:
            raise TapestryError(ErrorCode.INTERNAL, "The backend is not installed.", "Install it.")
        self.starts += 1

    def has_ended(self) -> bool:
        return self.dies_at_once

    def why_it_ended(self) -> TapestryError:
        return TapestryError(ErrorCode.INTERNAL, "The backend did not start.", "See its log.")

    def appear(self) -> None:
        """The runtime file of a new server is there."""
        self.info = RuntimeInfo(1, f"token {self.starts}", 1, PROTOCOL_VERSION, VERSION)
        self.is_alive = True

    def die(self) -> None:
        """Kill -9: the file stays, the connection is gone."""
        self.is_alive = False
        self._drop()

    def lose_connection(self) -> None:
        """Only the connection is gone."""
        self._drop()

    # --- the connection ---------------------------------------------------------------------------

    def connect(self, info: RuntimeInfo, handler: ConnectionHandler) -> FakeBackend:
        self._handler, self.sent, self.blobs = handler, [], {}
        self.is_connected = True
        return self

    def answer(self) -> None:
        """What becomes of the connection that was asked for: a welcome, or nothing."""
        if self.is_alive:
            self.tell(Welcome(PROTOCOL_VERSION, VERSION, ()))
            self.tell(Backend("ready", "CPU"))
        else:
            self._drop()

    def tell(
        self, message: Message, pixels: Pixels | None = None, beside: Beside = NOTHING
    ) -> None:
        self._handler.hear(message, pixels, beside)

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def send_blob(self, sha256: str, data: bytes) -> None:
        self.blobs[sha256] = data

    def close(self) -> None:
        self._handler = ConnectionHandler()
        self.is_connected = False

    def _drop(self) -> None:
        handler, self._handler = self._handler, ConnectionHandler()
        self.is_connected = False
        handler.lose(None)
