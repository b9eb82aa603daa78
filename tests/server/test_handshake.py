"""Handshakes over raw sockets against a running server: all but ours are refused unheard."""

import socket
from contextlib import suppress

import pytest

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.messages import Hello
from tests.server.client import Server
from tests.server.handshakes import GOOD, PORT, TOKEN, WRONG_HEADERS, WRONG_PATHS, Headers

UPGRADE: Headers = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
]
REFUSALS = ("400", "401", "403", "404", "405", "426")


def shake(
    server: Server, path: str, headers: Headers, method: str = "GET", extra: bytes = b""
) -> bytes:
    """What the server answers, until it closes the connection or welcomes us."""

    def real(text: str) -> str:
        return text.replace(str(PORT), str(server.info.port)).replace(TOKEN, server.info.token)

    lines = [f"{method} {real(path)} HTTP/1.1"]
    lines += [f"{name}: {real(value)}" for name, value in headers]
    with socket.create_connection(("127.0.0.1", server.info.port)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + extra)
        answer = b""
        while b"welcome" not in answer and (received := connection.recv(65536)):
            answer += received
        return answer


def hello_frame() -> bytes:
    """A hello as a masked websocket frame."""
    payload = encode(Hello(PROTOCOL_VERSION, VERSION)).encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def assert_refused(answer: bytes, server: Server) -> None:
    """The answer is a plain refusal that gives nothing away."""
    status = answer.split(b" ", 2)[1].decode()
    assert status in REFUSALS, answer
    assert b"welcome" not in answer
    assert server.info.token.encode() not in answer


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
def test_the_right_handshake_is_welcomed(server: Server, headers: Headers) -> None:
    """Our own client's handshake and hello bring a welcome."""
    answer = shake(server, "/tapestry", headers + UPGRADE, extra=hello_frame())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b'"kind": "welcome"' in answer


@pytest.mark.parametrize("headers", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_wrong_headers_are_refused(server: Server, headers: Headers) -> None:
    """Nothing that follows the handshake is read."""
    assert_refused(shake(server, "/tapestry", headers + UPGRADE, extra=hello_frame()), server)


@pytest.mark.parametrize("path", WRONG_PATHS.values(), ids=WRONG_PATHS)
def test_wrong_paths_are_refused(server: Server, path: str) -> None:
    """Also with the right token."""
    answer = shake(server, path, GOOD["by address"] + UPGRADE, extra=hello_frame())
    assert_refused(answer, server)


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "CONNECT"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    """A websocket begins with GET."""
    answer = shake(server, "/tapestry", GOOD["by address"] + UPGRADE, method)
    assert_refused(answer, server)


def test_plain_http_is_refused(server: Server) -> None:
    """A request that does not ask for a websocket gets none, with the right token either."""
    assert_refused(shake(server, "/tapestry", GOOD["by address"]), server)


def test_an_old_token_is_refused(server: Server) -> None:
    """Each server has a token of its own."""
    headers = [*GOOD["by address"][:1], ("Authorization", "Bearer " + "a" * 64)]
    assert_refused(shake(server, "/tapestry", headers + UPGRADE), server)


def test_it_listens_on_loopback_only(server: Server) -> None:
    """No other address of this machine leads to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells our own address
        except OSError:
            pytest.skip("this machine has no other address")
        address = probe.getsockname()[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, server.info.port), timeout=5)


def test_an_unfinished_handshake_is_dropped(server: Server) -> None:
    """Who opens a connection and says nothing, or half of it, does not hold it for long."""
    with (
        socket.create_connection(("127.0.0.1", server.info.port)) as silent,
        socket.create_connection(("127.0.0.1", server.info.port)) as slow,
    ):
        slow.sendall(b"GET /tapestry HTTP/1.1\r\nHost: ")
        for connection in (silent, slow):
            with suppress(ConnectionResetError):
                assert connection.recv(65536) == b""
