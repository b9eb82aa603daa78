"""The runtime file: whole or not there, and for its owner's eyes alone."""

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest

from tapestry_protocol.runtime import (
    RuntimeInfo,
    read_runtime_file,
    runtime_file,
    write_runtime_file,
)

INFO = RuntimeInfo(port=50_000, token="secret" * 10, pid=1234, protocol=1, version="0.1.0")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Also in a folder that is not there yet, and over an older file."""
    path = tmp_path / "new" / "server.json"
    write_runtime_file(INFO, path)
    assert read_runtime_file(path) == INFO
    newer = dataclasses.replace(INFO, port=50_001)
    write_runtime_file(newer, path)
    assert read_runtime_file(path) == newer
    assert [file.name for file in path.parent.iterdir()] == ["server.json"]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """File and new folder, whatever the umask says."""
    before = os.umask(0)
    try:
        write_runtime_file(INFO, tmp_path / "new" / "server.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_reach_is_not_trusted(tmp_path: Path, mode: int) -> None:
    """Another user may have read the token, or written a port of their own."""
    path = tmp_path / "server.json"
    write_runtime_file(INFO, path)
    path.chmod(mode)
    assert read_runtime_file(path) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "{}", '{"port": 1}', json.dumps({"port": "x", "token": "t"}), "\x00"],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    """It never raises: a client then starts a server of its own."""
    path = tmp_path / "server.json"
    write_runtime_file(INFO, path)
    path.write_text(text, encoding="utf-8")
    assert read_runtime_file(path) is None


def test_no_file_is_none(tmp_path: Path) -> None:
    """Nor does a folder in its place raise."""
    assert read_runtime_file(tmp_path / "server.json") is None
    assert read_runtime_file(tmp_path) is None


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """No half-written file beside the place where it should be."""
    (tmp_path / "server.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_runtime_file(INFO, tmp_path / "server.json")
    assert [file.name for file in tmp_path.iterdir()] == ["server.json"]


def test_the_token_is_not_shown() -> None:
    """A log of the object does not give it away."""
    assert INFO.token not in repr(INFO)
    assert INFO.token not in f"{INFO}"


def test_the_file_lies_in_the_users_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the desktop's rule where there is one, below the home folder otherwise."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert runtime_file() == Path("/run/user/1000/tapestry/server.json")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert runtime_file().is_relative_to(Path.home())
