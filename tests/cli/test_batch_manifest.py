"""A batch's manifest: whole after every kind of death, and never that of another program."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tapestry_backend.cli.batch_manifest import NAME, Manifest
from tapestry_protocol.errors import TapestryError


def line_for(name: str, data: bytes, made_from: str = "a") -> dict[str, Any]:
    """A line for a picture."""
    return {
        "picture": name,
        "scene": f"../{name}.ora",
        "seed": 0,
        "made_from": made_from,
        "files": {name: hashlib.sha256(data).hexdigest()},
        "request": {"prompt": "Schnee \u2744"},
    }


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with three pictures."""
    manifest = Manifest(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        manifest.add(line_for(name, name.encode()), {name: name.encode()})
    return tmp_path


def right(folder: Path, made_from: str = "a") -> list[str]:
    """The pictures that are there and right, as a new process sees them."""
    manifest = Manifest(folder)
    names = ("a.png", "b.png", "c.png")
    return [name for name in names if manifest.right_files(name, made_from)]


def test_what_was_made_is_known_to_the_next_run(three: Path) -> None:
    """With all that its line says."""
    assert right(three) == ["a.png", "b.png", "c.png"]
    assert Manifest(three).line_of("b.png") == line_for("b.png", b"b.png")
    assert sorted(path.name for path in three.iterdir()) == ["a.png", "b.png", "c.png", NAME]


def test_what_changed_is_not_right(three: Path) -> None:
    """The picture itself, one that is gone, or what it was made from."""
    (three / "a.png").write_bytes(b"retouched")
    (three / "b.png").unlink()
    assert right(three) == ["c.png"]
    assert right(three, "other settings") == []


def test_a_manifest_cut_off_anywhere_is_mended(three: Path) -> None:
    """Only the line that is cut is lost, and the next is written behind a whole one."""
    whole = (three / NAME).read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for length in range(len(whole)):
        (three / NAME).write_bytes(whole[:length])
        kept = sum(end <= length for end in ends)
        assert right(three) == ["a.png", "b.png", "c.png"][:kept]
        assert (three / NAME).read_bytes() == whole[: ends[kept - 1] if kept else 0]
    manifest = Manifest(three)
    manifest.add(line_for("c.png", b"c.png"), {"c.png": b"c.png"})
    assert right(three) == ["a.png", "b.png", "c.png"]


def test_damage_in_the_middle_costs_that_line(three: Path) -> None:
    """And is told."""
    lines = (three / NAME).read_bytes().splitlines(keepends=True)
    (three / NAME).write_bytes(lines[0] + b"\0" * 40 + b"\n" + lines[2])
    manifest = Manifest(three)
    assert "1 damaged line," in manifest.notes[0]
    assert right(three) == ["a.png", "c.png"]
    assert (three / NAME).read_bytes() == lines[0] + lines[2]


def test_of_a_picture_painted_twice_the_last_line_holds(three: Path) -> None:
    """Tidied, each picture has one line."""
    manifest = Manifest(three)
    manifest.add(line_for("a.png", b"new", "b"), {"a.png": b"new"})
    assert len((three / NAME).read_bytes().splitlines()) == 4
    manifest.tidy()
    lines = (three / NAME).read_bytes().splitlines()
    assert [json.loads(line)["picture"] for line in lines] == ["b.png", "c.png", "a.png"]
    assert manifest.line_of("a.png")["made_from"] == "b"
    assert right(three, "b") == ["a.png"]


@pytest.mark.parametrize(
    "text",
    [
        '{"audio": "a.wav"}\n',
        '{"audio": "a.wav"}',
        "not JSON at all\n",
        '{"picture": 1, "scene": "", "seed": 0, "made_from": "", "files": {}}\n',
        '{"picture": "a", "scene": "", "seed": 0, "made_from": "", "files": {"../b": ""}}\n',
        '{"picture": "a", "scene": "", "seed": 0, "made_from": "", "files": {"/b": ""}}\n',
    ],
)
def test_a_foreign_manifest_is_left_alone(tmp_path: Path, text: str) -> None:
    """It is refused, and stays as it is."""
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    with pytest.raises(TapestryError, match="no manifest of a batch"):
        Manifest(tmp_path)
    assert (tmp_path / NAME).read_text(encoding="utf-8") == text


def test_a_disk_that_is_full_leaves_everything_as_it_was(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half a picture nor half a line."""
    manifest = Manifest(three)
    before = (three / NAME).read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        manifest.add(line_for("a.png", b"new", "b"), {"a.png": b"new"})
    assert (three / NAME).read_bytes() == before
    assert right(three) == ["a.png", "b.png", "c.png"]
    assert not [path for path in three.iterdir() if path.name.endswith(".part")]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_line_that_is_written_in_part_is_taken_back(three: Path) -> None:
    """As where a disk becomes full in the middle of it: nothing comes after it later."""
    import resource

    manifest = Manifest(three)
    before = (three / NAME).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            manifest.add(line_for("a.png", b"new", "b"), {"a.png": b"new"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (three / NAME).read_bytes() == before
    assert right(three) == ["a.png", "b.png", "c.png"]
