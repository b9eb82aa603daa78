"""The conversation as bytes, against the server side of the same websocket library."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from tapestry.connection.wire import Opened, Received, Wire
from tapestry_protocol.codec import decode, decode_chunk, encode, encode_chunks
from tapestry_protocol.errors import ProtocolError, TapestryError
from tapestry_protocol.layered import Layered, LayerPicture
from tapestry_protocol.limits import MAX_CHUNK_BYTES, MAX_FRAME_BYTES
from tapestry_protocol.messages import Backend, Hello, PixelsRef, Preview, Result
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.runtime import RuntimeInfo

INFO = RuntimeInfo(port=4321, token="secret", pid=1, protocol=1, version="1")
PIXELS = Pixels(1, 2, 4, bytes(range(8)))


class Peer:
    """A server without sockets, and a wire to it."""

    def __init__(self) -> None:
        self.server = ServerProtocol(max_size=MAX_FRAME_BYTES)
        self.wire = Wire(INFO)
        self.server.receive_data(self.wire.outgoing())
        (self.handshake,) = self.server.events_received()
        assert isinstance(self.handshake, Handshake)

    def accept(self) -> list[Opened | Received]:
        self.server.send_response(self.server.accept(self.handshake))
        return self.deliver()

    def tell(self, *messages: str | bytes) -> list[Opened | Received]:
        for message in messages:
            if isinstance(message, str):
                self.server.send_text(message.encode())
            else:
                self.server.send_binary(message)
        return self.deliver()

    def deliver(self, piece_bytes: int = 7) -> list[Opened | Received]:
        """What the server sends arrives in small pieces, as sockets like to do it."""
        data = b"".join(self.server.data_to_send())
        heard = []
        for start in range(0, len(data), piece_bytes):
            heard += self.wire.receive(data[start : start + piece_bytes])
        return heard

    def heard(self) -> list[Frame]:
        self.server.receive_data(self.wire.outgoing())
        return self.server.events_received()


@pytest.fixture
def peer() -> Peer:
    """A wire in the middle of its handshake."""
    return Peer()


def preview(pixels: Pixels) -> str:
    """A preview of these pixels."""
    return encode(Preview("job", PixelsRef.of(pixels)))


def test_the_handshake_says_who_we_are(peer: Peer) -> None:
    """The token in a header, the exact host, no origin."""
    headers = peer.handshake.headers
    assert peer.handshake.path == "/tapestry"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Host"] == "127.0.0.1:4321"
    assert "Origin" not in headers
    assert peer.accept() == [Opened()]


def test_a_refusal_is_a_sentence(peer: Peer) -> None:
    """With a wrong token, for example."""
    peer.server.send_response(peer.server.reject(401, "Wrong token.\n"))
    with pytest.raises(TapestryError, match="refused"):
        peer.deliver()


def test_messages_both_ways(peer: Peer) -> None:
    """As the codec writes them."""
    peer.accept()
    peer.wire.send(Hello(1, "0.1.0"))
    (frame,) = peer.heard()
    assert decode(frame.data) == Hello(1, "0.1.0")
    assert peer.tell(encode(Backend("ready"))) == [Received(Backend("ready"))]


def test_blobs_go_in_chunks(peer: Peer) -> None:
    """Each chunk is a frame."""
    peer.accept()
    data = bytes(MAX_CHUNK_BYTES + 5)
    name = Pixels(1, len(data), 1, data).sha256
    for chunk in encode_chunks(name, data):
        peer.wire.send_chunk(chunk)
    first, second = peer.heard()
    assert (first.opcode, second.opcode) == (Opcode.BINARY, Opcode.BINARY)
    assert decode_chunk(first.data).data + decode_chunk(second.data).data == data


def test_pixels_come_with_their_message(peer: Peer) -> None:
    """Previews and results, one after the other, also when both are the same picture."""
    peer.accept()
    chunks = list(encode_chunks(PIXELS.sha256, PIXELS.data))
    heard = peer.tell(*chunks, preview(PIXELS))
    assert heard == [Received(decode(preview(PIXELS)), PIXELS)]
    result = Result("job", PixelsRef.of(PIXELS), Bounds(0, 0, 1, 2), 42, "{}")
    assert peer.tell(*chunks, encode(result)) == [Received(result, PIXELS)]


def test_layers_come_with_their_result(peer: Peer) -> None:
    """Each by its reference; one that is missing is an error."""
    peer.accept()
    own, mask = Pixels(1, 1, 4, b"1234"), Pixels(1, 1, 1, b"5")
    whole, *parts = (PixelsRef.of(each) for each in (PIXELS, own, mask))
    layered = Layered(whole, (LayerPicture(0, Bounds(0, 0, 1, 1), *parts),))
    result = Result("job", whole, Bounds(0, 0, 1, 2), 42, "{}", layered=layered)
    chunks = [
        chunk for each in (PIXELS, own, mask) for chunk in encode_chunks(each.sha256, each.data)
    ]
    (received,) = peer.tell(*chunks, encode(result))
    beside = {whole: PIXELS, parts[0]: own, parts[1]: mask}
    assert received == Received(result, PIXELS, beside)
    with pytest.raises(ProtocolError, match="did not arrive"):
        peer.tell(*chunks[:2], encode(result))


def test_pixels_that_never_came(peer: Peer) -> None:
    """A message must not refer to what is not there."""
    peer.accept()
    with pytest.raises(ProtocolError, match="did not arrive"):
        peer.tell(preview(PIXELS))


@pytest.mark.parametrize("frame", ["{}", b"short", '{"kind": "hello"}'])
def test_nonsense_is_an_error(peer: Peer, frame: str | bytes) -> None:
    """Never anything else than an error of the protocol."""
    peer.accept()
    with pytest.raises(ProtocolError):
        peer.tell(frame)


def test_bytes_that_are_no_websocket(peer: Peer) -> None:
    """What listens on that port is not our server."""
    peer.accept()
    with pytest.raises(ProtocolError, match="not a websocket"):
        peer.wire.receive(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(99))


def test_nothing_is_sent_before_the_handshake(peer: Peer) -> None:
    """It would be lost."""
    with pytest.raises(ProtocolError, match="not open"):
        peer.wire.send(Hello(1, "0.1.0"))
