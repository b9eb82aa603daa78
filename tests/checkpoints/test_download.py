"""Fetching a model by explicit wish, from a stand-in of the hub on this computer."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.discovery import discover
from tapestry_backend.checkpoints.download import RemoteFile, fetch, select
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.cli import main
from tapestry_protocol.errors import TapestryError
from tests.models.tiny_checkpoints import save_checkpoint

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


class Hub(ThreadingHTTPServer):
    """One model, as the hub serves it; may give other bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.asked: list[tuple[str, str]] = []
        self.damaged: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/somebody/tiny"):
            self._send(json.dumps(self._info()).encode(), body=body)
        elif found := re.fullmatch(r"/somebody/tiny/resolve/\w+/(.+)", path):
            self._file(found[1], body=body)
        else:
            self.send_error(404)

    def _info(self) -> dict:
        siblings = [
            {"rfilename": name, "size": len(data), **_stored(name, data)}
            for name, data in self.server.files.items()
        ]
        return {"id": "somebody/tiny", "sha": "a" * 40, "siblings": siblings}

    def _file(self, name: str, *, body: bool) -> None:
        data = self.server.files[name]
        wanted = self.headers.get("Range", "")
        if body:
            self.server.asked.append((name, wanted))
        if name in self.server.damaged:
            data = bytes(len(data))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self._send(data, body=body, start=start)

    def _send(self, data: bytes, *, body: bool, start: int = 0) -> None:
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self.wfile.write(data[start:])


def _stored(name: str, data: bytes) -> dict:
    if not name.endswith(".safetensors"):
        return {}
    digest = hashlib.sha256(data).hexdigest()
    return {"lfs": {"sha256": digest, "size": len(data), "pointerSize": 134}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A tiny checkpoint's files, and some that are not needed."""
    folder = save_checkpoint(tmp_path_factory.mktemp("remote") / "tiny")
    needed = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return {
        **needed,
        "README.md": b"a card",
        "unet/diffusion_pytorch_model.bin": b"a pickle",
        "safety_checker/model.safetensors": b"unused",
    }


@pytest.fixture
def hub(files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in, and a models folder of our own."""
    server = Hub(dict(files))
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_is_fetched_whole_and_found(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it needs and nothing else; the size is said first."""
    assert main(["models", "add", "somebody/tiny", "--yes"]) == 0
    said = capsys.readouterr().out

    assert "GiB" in said
    assert "sd1, base" in said
    fetched = {name for name, _ in hub.asked}
    assert fetched == {
        name for name in hub.files if "." in name and not name.startswith(("README", "safety"))
    } - {"unet/diffusion_pytorch_model.bin"}
    (entry,) = discover().entries
    assert (entry.id, entry.path) == ("somebody/tiny", tmp_path / "models/somebody/tiny")


def test_an_interrupted_fetch_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    """Half of a file is there: the other half is requested."""
    part = tmp_path / "models/somebody/tiny" / f"{WEIGHTS}.part"
    part.parent.mkdir(parents=True)
    half = len(hub.files[WEIGHTS]) // 2
    part.write_bytes(hub.files[WEIGHTS][:half])
    fetch("somebody/tiny", sure=True)

    assert (WEIGHTS, f"bytes={half}-") in hub.asked
    assert part.with_suffix("").read_bytes() == hub.files[WEIGHTS]
    assert not part.exists()
    hub.asked.clear()
    fetch("somebody/tiny", sure=True)
    assert not hub.asked, "what is there and right is not fetched again"


def test_damaged_weights_are_thrown_away(hub: Hub, tmp_path: Path) -> None:
    """Other bytes of the same number: the checksum tells."""
    hub.damaged.add(WEIGHTS)
    with pytest.raises(TapestryError, match="came damaged"):
        fetch("somebody/tiny", sure=True)

    assert not [*(tmp_path / "models").rglob("diffusion_pytorch_model.safetensors*")]


def test_nothing_is_fetched_unasked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes there must be a terminal to confirm in."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(TapestryError, match="no terminal"):
        fetch("somebody/tiny")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert fetch("somebody/tiny") == 0

    assert not hub.asked


@pytest.mark.parametrize("name", ["somebody/other", "somebody", "../../etc", "a/b/c.bin", "a/b/.."])
def test_a_repository_without_a_model_gets_a_sentence(hub: Hub, name: str) -> None:
    """Names that are none, and models that are not there."""
    with pytest.raises(TapestryError) as caught:
        fetch(name, sure=True)

    assert caught.value.advice
    assert not hub.asked


def test_a_disk_without_room_is_seen_first(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first byte."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(TapestryError, match="are free"):
        fetch("somebody/tiny", sure=True)

    assert not hub.asked


def test_half_precision_is_taken_where_there_is_a_choice() -> None:
    """And what is not for painting is left out."""
    names = [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "tokenizer/merges.txt",
        "v1-5.safetensors",
    ]
    chosen = {file.name for file in select([RemoteFile(n, 1, None) for n in names], None)}

    assert chosen == {names[0], names[1], names[3], names[5], names[6]}
    assert select([RemoteFile(names[-1], 1, None)], names[-1])[0].name == names[-1]
