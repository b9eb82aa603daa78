"""The conversation with the server as bytes: handshake, messages, blobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tapestry_protocol.assembly import Assembly
from tapestry_protocol.codec import decode, decode_chunk, encode
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.limits import MAX_FRAME_BYTES
from tapestry_protocol.messages import Message, PixelsRef, Preview, Result
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.runtime import RuntimeInfo
from tapestry_protocol.sentences import Sentence

try:
    from ..vendor.websockets.client import ClientProtocol
    from ..vendor.websockets.exceptions import WebSocketException
    from ..vendor.websockets.frames import Frame, Opcode
    from ..vendor.websockets.http11 import Response
    from ..vendor.websockets.uri import parse_uri
except ImportError:  # the unit tests run where nothing needs to be carried
    from websockets.client import ClientProtocol
    from websockets.exceptions import WebSocketException
    from websockets.frames import Frame, Opcode
    from websockets.http11 import Response
    from websockets.uri import parse_uri

PATH = "/tapestry"


@dataclass(frozen=True)
class Opened:
    """The server let us in; messages may be sent from now on."""


@dataclass(frozen=True)
class Received:
    """A message, and the pixels that it refers to.

    beside    other pictures of it: the layers of a result
    """

    message: Message
    pixels: Pixels | None = None
    beside: Mapping[PixelsRef, Pixels] = field(default_factory=dict)


class Wire:
    """One connection. Feed it what the socket received; send what `outgoing` gives.

    Every method may raise TapestryError when the server says what this protocol does not allow;
    the connection is of no more use then.
    """

    def __init__(self, server: RuntimeInfo) -> None:
        uri = parse_uri(f"ws://127.0.0.1:{server.port}{PATH}")
        self._websocket = ClientProtocol(uri, max_size=MAX_FRAME_BYTES)
        handshake = self._websocket.connect()
        handshake.headers["Authorization"] = f"Bearer {server.token}"
        self._websocket.send_request(handshake)
        self._assemblies: dict[str, Assembly] = {}
        self._blobs: dict[str, bytes] = {}

    def outgoing(self) -> bytes:
        """The bytes that are due to be sent."""
        return b"".join(self._websocket.data_to_send())

    def send(self, message: Message) -> None:
        """Queue a message."""
        self._queue(self._websocket.send_text, encode(message).encode("utf-8"))

    def send_chunk(self, frame: bytes) -> None:
        """Queue one chunk of a blob, as `encode_chunks` made it."""
        self._queue(self._websocket.send_binary, frame)

    def receive(self, data: bytes) -> list[Opened | Received]:
        """Take bytes from the socket; gives what they complete."""
        self._websocket.receive_data(data)
        heard: list[Opened | Received] = []
        for event in self._websocket.events_received():
            if isinstance(event, Response):
                self._check_handshake()
                heard.append(Opened())
            elif isinstance(event, Frame):
                heard.extend(self._read_frame(event))
        if self._websocket.parser_exc is not None:
            raise ProtocolError("frame", "not a websocket frame")
        return heard

    def _queue(self, send: Callable[[bytes], None], data: bytes) -> None:
        try:
            send(data)
        except WebSocketException as error:
            raise ProtocolError("connection", "is not open") from error

    def _check_handshake(self) -> None:
        problem = self._websocket.handshake_exc
        if isinstance(problem, WebSocketException):
            raise TapestryError(
                ErrorCode.PROTOCOL,
                Sentence("The backend refused the connection ({problem}).", problem=problem),
                "Close all windows of Krita and start it again.",
            )

    def _read_frame(self, frame: Frame) -> list[Received]:
        if not frame.fin or frame.opcode is Opcode.CONT:
            raise ProtocolError("frame", "a message in fragments")
        if frame.opcode is Opcode.BINARY:
            self._read_chunk(bytes(frame.data))
        elif frame.opcode is Opcode.TEXT:
            message = decode(bytes(frame.data))
            return [self._with_pixels(message)]
        return []

    def _with_pixels(self, message: Message) -> Received:
        """Its pixels came before it; what else came, and was never asked for, is let go."""
        if not isinstance(message, Preview | Result):
            return Received(message)
        layered = message.layered if isinstance(message, Result) else None
        beside = {ref: self._pixels(ref) for ref in layered.blobs} if layered else {}
        received = Received(message, self._pixels(message.pixels), beside)
        self._blobs.clear()
        return received

    def _read_chunk(self, frame: bytes) -> None:
        chunk = decode_chunk(frame)
        assembly = self._assemblies.setdefault(
            chunk.sha256, Assembly(chunk.sha256, chunk.size_bytes)
        )
        blob = assembly.add(chunk)
        if blob is not None:
            del self._assemblies[chunk.sha256]
            self._blobs[chunk.sha256] = blob

    def _pixels(self, reference: PixelsRef) -> Pixels:
        data = self._blobs.get(reference.sha256, b"")
        if len(data) != reference.size_bytes:
            raise ProtocolError("pixels", "did not arrive before the message that needs them")
        return Pixels(reference.height, reference.width, reference.channels, data)
