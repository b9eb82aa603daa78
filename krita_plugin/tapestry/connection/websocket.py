"""The websocket, driven by Qt's own event loop: no thread, no asyncio, no polling."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode_chunks
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.limits import MAX_CHUNK_BYTES
from tapestry_protocol.messages import Hello, Message
from tapestry_protocol.runtime import RuntimeInfo

from ..qt.compat import QAbstractSocket, QApplication, QNetworkProxy, QTcpSocket, QTimer
from .link import ConnectionHandler
from .wire import Opened, Wire

_HANDSHAKE_WITHIN_S = 10.0
"""A server on this machine answers at once, unless the machine is very busy."""

_ON_THE_WAY_BYTES = 2 * MAX_CHUNK_BYTES
"""Bytes given to the socket at once, at most, so that no turn of the loop takes long."""

_READ_AT_ONCE_BYTES = 4 * MAX_CHUNK_BYTES
"""What may wait in the socket: a turn of the loop reads no more than this."""

_log = logging.getLogger("tapestry.connection.websocket")


class WebSocketConnection:
    """A connection to a running server; tells its handler what comes, and once when it is lost."""

    def __init__(self, server: RuntimeInfo, handler: ConnectionHandler) -> None:
        self._handler = handler
        self._wire = Wire(server)
        self._chunks: deque[Iterator[bytes]] = deque()
        # Owned by Qt and deleted later, because it may end inside one of its own signals.
        self._socket = QTcpSocket(QApplication.instance())
        self._socket.setReadBufferSize(_READ_AT_ONCE_BYTES)
        self._socket.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
        self._socket.connected.connect(self._flush)
        self._socket.readyRead.connect(self._read)
        self._socket.bytesWritten.connect(self._written)
        self._socket.disconnected.connect(self._disconnected)
        self._patience = QTimer(self._socket)
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._disconnected)
        self._patience.start(int(_HANDSHAKE_WITHIN_S * 1000))
        self._socket.errorOccurred.connect(self._disconnected)
        self._socket.connectToHost("127.0.0.1", server.port)

    def send(self, message: Message) -> None:
        """Send a message; raises ProtocolError when a value is out of its limits."""
        self._wire.send(message)
        self._flush()

    def send_blob(self, sha256: str, data: bytes) -> None:
        """Send pixels in chunks, over as many turns of the event loop as it takes."""
        self._chunks.append(encode_chunks(sha256, data))
        self._send_chunks()

    def close(self) -> None:
        """End the connection without telling the handler."""
        self._handler = ConnectionHandler()
        self._end()

    def _read(self) -> None:
        self._guarded(self._hear)

    def _hear(self) -> None:
        for heard in self._wire.receive(bytes(self._socket.readAll())):
            if isinstance(heard, Opened):
                self._patience.stop()
                self.send(Hello(PROTOCOL_VERSION, VERSION))
            else:
                self._handler.hear(heard.message, heard.pixels, heard.beside)
        self._flush()

    def _written(self, _count: int) -> None:
        self._guarded(self._send_chunks)

    def _send_chunks(self) -> None:
        while self._chunks and self._socket.bytesToWrite() < _ON_THE_WAY_BYTES:
            frame = next(self._chunks[0], None)
            if frame is None:
                self._chunks.popleft()
            else:
                self._wire.send_chunk(frame)
                self._flush()

    def _flush(self) -> None:
        if self._socket.state() == QAbstractSocket.SocketState.ConnectedState:
            self._socket.write(self._wire.outgoing())

    def _guarded(self, action: Callable[[], None]) -> None:
        """Nothing may be raised into Qt: what goes wrong here ends the connection."""
        try:
            action()
        except TapestryError as error:
            self._lose(error)
        except Exception:  # noqa: BLE001  Qt must not see it; the log does
            _log.exception("the connection failed")
            self._lose(None)

    def _disconnected(self, *_reason: object) -> None:
        self._lose(None)

    def _lose(self, error: TapestryError | None) -> None:
        handler, self._handler = self._handler, ConnectionHandler()
        self._end()
        handler.lose(error)

    def _end(self) -> None:
        self._patience.stop()
        self._chunks.clear()
        self._socket.blockSignals(True)  # noqa: FBT003  Qt has no keyword here
        self._socket.abort()
        self._socket.deleteLater()
