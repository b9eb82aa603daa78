"""Handshakes over raw sockets against a running server: all but ours are refused unheard."""

import socket
from pathlib import Path

import pytest

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.messages import Hello
from tests.server.client import Server, running_server
from tests.server.handshakes import (
    GOOD,
    METHODS,
    PORT,
    TOKEN,
    UPGRADE,
    WRONG_HEADERS,
    WRONG_PATHS,
    WRONG_UPGRADES,
    Headers,
)

REFUSALS = ("400", "401", "403", "404", "405", "426", "505")
ADDRESSES = {"IPv4": "127.0.0.1", "IPv6": "::1"}


@pytest.fixture(params=ADDRESSES.values(), ids=ADDRESSES)
def address(request: pytest.FixtureRequest) -> str:
    """An address of this computer, in both families."""
    if request.param == "::1":
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    return request.param


class Door:
    """A running server's door as raw bytes; says the real port and token where cases name ours."""

    def __init__(self, server: Server, address: str) -> None:
        self.info = server.info
        self._address = address

    def knock(
        self, path: str, headers: Headers, method: str = "GET", version: str = "HTTP/1.1"
    ) -> bytes:
        """What the server answers to a handshake and a hello, until it closes or welcomes us."""
        lines = [f"{method} {self._real(path)} {version}"]
        lines += [f"{name}: {self._real(value)}" for name, value in headers]
        with socket.create_connection((self._address, self.info.port)) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + hello_frame())
            answer = b""
            while b"welcome" not in answer and (received := connection.recv(65536)):
                answer += received
            return answer

    def refuses(self, answer: bytes) -> bool:
        """Whether an answer is a plain refusal that gives nothing away."""
        status = answer.split(b" ", 2)[1].decode()
        secret = self.info.token.encode()
        return status in REFUSALS and b"welcome" not in answer and secret not in answer

    def _real(self, text: str) -> str:
        return text.replace(str(PORT), str(self.info.port)).replace(TOKEN, self.info.token)


def hello_frame() -> bytes:
    """A hello as a masked websocket frame."""
    payload = encode(Hello(PROTOCOL_VERSION, VERSION)).encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
def test_the_right_handshake_is_welcomed(server: Server, address: str, headers: Headers) -> None:
    """Our own client's handshake and hello bring a welcome."""
    answer = Door(server, address).knock("/tapestry", headers + UPGRADE)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b'"kind": "welcome"' in answer


@pytest.mark.promise("S1")
def test_every_wrong_handshake_is_refused(own_server: Server, address: str, measured) -> None:
    """By its status, and nothing that follows the handshake is read."""
    door, good = Door(own_server, address), GOOD["by address"]
    answers = {
        name: door.knock("/tapestry", headers + UPGRADE) for name, headers in WRONG_HEADERS.items()
    }
    for name, path in WRONG_PATHS.items():
        answers[f"path: {name}"] = door.knock(path, good + UPGRADE)
    for name, upgrade in WRONG_UPGRADES.items():
        answers[name] = door.knock("/tapestry", good + upgrade)
    for method in METHODS:
        answers[method] = door.knock("/tapestry", good + UPGRADE, method)
    answers["HTTP/1.0"] = door.knock("/tapestry", good + UPGRADE, version="HTTP/1.0")
    let_in = {name: answer for name, answer in answers.items() if not door.refuses(answer)}
    assert not let_in
    assert len(answers) >= 24
    measured(f"{address}: {len(answers)} cases, {len(answers)} refused")


@pytest.mark.promise("S1")
def test_an_old_token_is_refused(tmp_path: Path, measured) -> None:
    """Each start of a server has 256 new bits."""
    with running_server(tmp_path, "--scripted") as server:
        old = server.info.token
    with running_server(tmp_path, "--scripted") as server:
        door = Door(server, "127.0.0.1")
        bearer = ("Authorization", f"Bearer {old}")
        answer = door.knock("/tapestry", [GOOD["by address"][0], bearer, *UPGRADE])
        assert old != server.info.token
        assert len(bytes.fromhex(old)) * 8 == 256
    assert answer.startswith(b"HTTP/1.1 401 ")
    measured("the token of the last start: refused")


@pytest.mark.promise("S7")
def test_compression_is_off(server: Server, measured) -> None:
    """Who offers it is let in without."""
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
    answer = Door(server, "127.0.0.1").knock("/tapestry", [*GOOD["by address"], *UPGRADE, offer])
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in answer.lower()
    measured("compression offered, not taken")
