"""A file fetched with Qt, from a server of this computer's own: whole, in parts, or not at all."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tapestry.qt.compat import (
    QApplication,
    QNetworkAccessManager,
    QNetworkRequest,
    QSslConfiguration,
    QUrl,
)
from tapestry.qt.download import QtDownload, trust

DATA = bytes(range(256)) * 4000


class Handler(BaseHTTPRequestHandler):
    """Gives the data; from the middle where that is asked for, and where the path allows it."""

    asked: list[str | None]
    through: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        self.through.append((self.path, self.headers.get("Proxy-Authorization")))
        if self.path == "/away":
            self.send_error(404)
            return
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = 0 if self.path == "/whole" else start
        if start >= len(DATA):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        self.wfile.write(DATA[start:])

    def log_message(self, *_arguments: object) -> None:
        """It is not read."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """On a port of its own; `asked` has the parts that were asked for."""
    handler: Any = type("Handler", (Handler,), {"asked": [], "through": []})
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.asked, made.through = handler.asked, handler.through
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def manager(application: QApplication) -> QNetworkAccessManager:
    """Qt's own."""
    return QNetworkAccessManager()


def fetch(manager, server, path: str, target: Path) -> QtDownload:
    """Until it is over."""
    url = f"http://127.0.0.1:{server.server_port}{path}"
    return to_its_end(QtDownload(manager, url, target, {}))


def to_its_end(fetching: QtDownload) -> QtDownload:
    """Until it is over."""
    end = time.monotonic() + 60
    while not fetching.is_done:
        assert time.monotonic() < end
        QApplication.processEvents()
    return fetching


@pytest.mark.parametrize("path", ["/file", "/elsewhere"])
def test_a_file_is_fetched(manager, server, tmp_path: Path, path: str) -> None:
    """Also where the server sends us on; nothing else is left beside it."""
    fetching = fetch(manager, server, path, tmp_path / "uv.whl")
    assert fetching.error == ""
    assert (tmp_path / "uv.whl").read_bytes() == DATA
    assert fetching.received_bytes == fetching.total_bytes == len(DATA)
    assert list(tmp_path.iterdir()) == [tmp_path / "uv.whl"]


@pytest.mark.parametrize(("path", "known"), [("/file", 1000), ("/file", len(DATA)), ("/whole", 9)])
def test_a_download_goes_on_where_it_ended(
    manager, server, tmp_path: Path, path: str, known: int
) -> None:
    """Where the server can do that; else it begins anew."""
    (tmp_path / "uv.whl.part").write_bytes(DATA[:known])
    fetching = fetch(manager, server, path, tmp_path / "uv.whl")
    assert fetching.error == ""
    assert (tmp_path / "uv.whl").read_bytes() == DATA
    assert server.asked == [f"bytes={known}-"]


def test_a_missing_file_is_reported(manager, server, tmp_path: Path) -> None:
    """And no file comes of it."""
    fetching = fetch(manager, server, "/away", tmp_path / "uv.whl")
    assert "Not Found" in fetching.error
    assert not (tmp_path / "uv.whl").exists()
    assert (tmp_path / "uv.whl.part").read_bytes() == b""


def test_a_fetch_can_be_left(manager, server, tmp_path: Path) -> None:
    """Nothing is heard of it any more."""
    target = tmp_path / "uv.whl"
    fetching = QtDownload(manager, f"http://127.0.0.1:{server.server_port}/file", target)
    fetching.cancel()
    for _ in range(20):
        QApplication.processEvents()
    assert fetching.is_done
    assert not target.exists()


@pytest.mark.parametrize(
    "name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "PIP_PROXY"]
)
def test_the_proxy_of_the_environment_is_asked(manager, server, tmp_path: Path, name: str) -> None:
    """As pip and uv do, for an address that cannot be reached without it."""
    here = f"127.0.0.1:{server.server_port}"
    url, target = "http://no-such-host.invalid/file", tmp_path / "uv.whl"
    named = {name: f"http://{here}"}
    assert to_its_end(QtDownload(manager, url, target, named)).error == ""
    assert server.through == [("http://no-such-host.invalid/file", None)]
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("names", ["127.0.0.1", "a.example, 127.0.0.1", "*"])
def test_some_addresses_are_asked_without_a_proxy(
    manager, server, tmp_path: Path, names: str
) -> None:
    """The network's own."""
    url = f"http://127.0.0.1:{server.server_port}/file"
    named = {"HTTP_PROXY": "http://no-such-proxy.invalid:1", "NO_PROXY": names}
    assert to_its_end(QtDownload(manager, url, tmp_path / "uv.whl", named)).error == ""
    assert server.through == [("/file", None)]


@pytest.mark.parametrize("named", ["http://[", "http://127.0.0.1:port", ""])
def test_a_proxy_that_is_none_stops_nothing(manager, server, tmp_path: Path, named: str) -> None:
    """Uv says what is wrong with it."""
    url = f"http://127.0.0.1:{server.server_port}/file"
    fetching = QtDownload(manager, url, tmp_path / "uv.whl", {"HTTP_PROXY": named})
    assert to_its_end(fetching).error == ""


def test_certificates_of_the_users_own_count(tmp_path: Path) -> None:
    """Beside the system's; a file that is not there, or none, changes nothing.

    Where Qt itself finds no library for certificates, it knows none.
    """
    before = len(QSslConfiguration.defaultConfiguration().caCertificates())
    own = tmp_path / "own.pem"
    subject = ["-subj", "/CN=own", "-keyout", str(tmp_path / "key"), "-out", str(own)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(command, check=True, capture_output=True)
    for named, more in ((str(own), 1), (str(tmp_path / "gone"), 0), (str(tmp_path / "key"), 0)):
        for name in ("SSL_CERT_FILE", "PIP_CERT"):
            request = QNetworkRequest(QUrl("https://example.org"))
            trust(request, {name: named})
            assert len(request.sslConfiguration().caCertificates()) == before + (
                more if before else 0
            )
