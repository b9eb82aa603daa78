"""Where a server listens: on this computer alone, unless more is asked for, and encrypted."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from tapestry_backend.server.connections.listen_address import Certificate, make_place
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Hello, Message, Welcome
from tapestry_protocol.runtime import RuntimeInfo
from tests.server.client import Server, running_server, started_server

PAIR = Certificate(Path("chain.pem"), Path("key.pem"))


def listening(server: Server) -> set[tuple[str, int]]:
    """Where a server's sockets are bound, as the system sees it."""
    connections = psutil.Process(server.process.pid).net_connections("inet")
    return {tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for this computer, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "chain.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(made.key), "-out", str(made.chain)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return made


@pytest.mark.promise("S3")
def test_a_server_listens_on_loopback_alone(server: Server, measured) -> None:
    """In both families, on the port that the runtime file tells."""
    port, bound = server.info.port, listening(server)
    assert ("127.0.0.1", port) in bound
    assert bound <= {("127.0.0.1", port), ("::1", port)}
    measured(f"listens on {' and '.join(sorted(a for a, _ in bound))} alone")


@pytest.mark.promise("S3")
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  refused
def test_other_addresses_need_a_flag(tmp_path: Path, address: str, measured) -> None:
    """One sentence on stderr, no traceback, status 2, and no runtime file."""
    with started_server(tmp_path, "--scripted", "--address", address) as server:
        assert server.process.wait() == 2
    assert "other computers could reach this backend" in server.log
    assert "SSH tunnel" in server.log
    assert "Traceback" not in server.log
    assert not server.runtime_file.exists()
    measured(f"{address} without --remote: refused with a sentence")


@pytest.mark.promise("S3")
def test_with_the_flag_everything_is_encrypted(
    tmp_path: Path, certificate: Certificate, measured
) -> None:
    """A client that knows the certificate comes in; one that speaks plainly gets no answer."""
    pair = ("--certificate", str(certificate.chain), "--key", str(certificate.key))
    remote = ("--address", "0.0.0.0", "--remote", "--name", "localhost", *pair)  # noqa: S104
    context = ssl.create_default_context(cafile=str(certificate.chain))
    with running_server(tmp_path, "--scripted", *remote) as server:
        info = server.info
        assert listening(server) == {("0.0.0.0", info.port)}  # noqa: S104  it was asked for
        version, welcome = asyncio.run(_greet(info, "wss", ssl=context))
        assert version == "TLSv1.3"
        assert isinstance(welcome, Welcome)
        with pytest.raises(InvalidMessage):
            asyncio.run(_greet(info, "ws"))
    assert "Traceback" not in server.log
    measured("with --remote and a certificate: TLS 1.3, nothing plain")


async def _greet(info: RuntimeInfo, scheme: str, **settings: Any) -> tuple[str, Message]:
    """TLS's version, and the answer to a hello.

    In one thread: one in 500 of websockets' clients with threads loses its TLS connection in the
    handshake, because both threads work on it.
    """
    headers = {"Authorization": f"Bearer {info.token}"}
    url = f"{scheme}://localhost:{info.port}/tapestry"
    async with connect(url, additional_headers=headers, proxy=None, **settings) as client:
        await client.send(encode(Hello(PROTOCOL_VERSION, VERSION)))
        answer = decode(await client.recv())
        return client.transport.get_extra_info("ssl_object").version(), answer


@pytest.mark.parametrize(
    ("address", "choices", "sentence"),
    [
        ("192.0.2.1", {"remote": True}, "read along"),
        ("0.0.0.0", {"remote": True, "certificate": PAIR}, "--name"),  # noqa: S104  refused
        ("localhost", {}, "in digits"),
        ("", {}, "in digits"),
        ("127.0.0.1", {"remote": True}, "Only this computer"),
        (None, {"certificate": PAIR}, "Only this computer"),
        (None, {"port": 65_536}, "no port"),
        (None, {"port": -1}, "no port"),
    ],
)
def test_places_that_let_strangers_in_are_refused(
    address: str | None, choices: dict, sentence: str
) -> None:
    """And those that make no sense."""
    with pytest.raises(TapestryError, match=sentence):
        make_place(address, **choices)


def test_a_place_is_called_by_its_own_names() -> None:
    """The computer's own names, its address, and the names it was given; each with the port."""
    own = {"127.0.0.1:9", "localhost:9", "[::1]:9"}
    assert make_place(None).hosts(9) == own
    assert make_place("127.0.0.2").hosts(9) == own | {"127.0.0.2:9"}
    far = make_place("2001:db8::1", remote=True, names=("gpu.example",), certificate=PAIR)
    assert far.hosts(9) == own | {"[2001:db8::1]:9", "gpu.example:9"}


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    """Nothing is started half-encrypted."""
    arguments = ("--address", "192.0.2.1", "--remote", "--certificate", "chain.pem")
    with started_server(tmp_path, "--scripted", *arguments) as server:
        assert server.process.wait() == 2
    assert "belong together" in server.log


def test_a_certificate_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    """Wrong files are named."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    place = make_place("127.0.0.1")
    with pytest.raises(TapestryError, match=r"broken\.pem"):
        type(place)(certificate=Certificate(broken, broken)).tls()


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path, server: Server) -> None:
    """Two servers cannot share one."""
    with started_server(tmp_path, "--scripted", "--port", str(server.info.port)) as second:
        assert second.process.wait() == 2
    assert f"Port {server.info.port} is taken" in second.log
