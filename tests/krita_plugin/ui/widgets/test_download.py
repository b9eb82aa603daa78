"""A file fetched with Qt, from a server of this computer's own: whole, in parts, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tapestry.qt.compat import QApplication, QNetworkAccessManager
from tapestry.qt.download import QtDownload

DATA = bytes(range(256)) * 4000


class Handler(BaseHTTPRequestHandler):
    """Gives the data; from the middle where that is asked for, and where the path allows it."""

    asked: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
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
    handler = type("Handler", (Handler,), {"asked": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.asked = handler.asked
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
    fetching = QtDownload(manager, f"http://127.0.0.1:{server.server_port}{path}", target)
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
    assert fetching.received_bytes == len(DATA)
    assert list(tmp_path.iterdir()) == [tmp_path / "uv.whl"]


@pytest.mark.parametrize(("path", "known"), [("/file", 1000), ("/file", len(DATA)), ("/whole", 9)])
def test_it_goes_on_where_it_ended(manager, server, tmp_path: Path, path: str, known: int) -> None:
    """Where the server can do that; else it begins anew."""
    (tmp_path / "uv.whl.part").write_bytes(DATA[:known])
    fetching = fetch(manager, server, path, tmp_path / "uv.whl")
    assert fetching.error == ""
    assert (tmp_path / "uv.whl").read_bytes() == DATA
    assert server.asked == [f"bytes={known}-"]


def test_what_is_not_there_is_said(manager, server, tmp_path: Path) -> None:
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
