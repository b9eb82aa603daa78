"""Where results are written: what is there keeps what it is, and nothing is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend import outputs
from tapestry_backend.cli import main
from tapestry_protocol.sentences import quoted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights and links of POSIX")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A small scene."""
    path = tmp_path / "scene.ora"
    write_ora(path, (64, 64), [Layer("snow", Image.new("RGBA", (64, 64), (9, 9, 99, 255)))])
    return path


def render(scene: Path, *arguments: object) -> int:
    """The command's exit status, of one quick step."""
    return main(["render", str(scene), "--steps", "1", "--quiet", *map(str, arguments)])


def test_links_rights_and_names_stay(scene: Path) -> None:
    """Of pictures, layered ones and reports alike."""
    folder = scene.parent / "elsewhere"
    folder.mkdir()
    arguments: list[object] = []
    for name in ("a.png", "a.ora", "a.json"):
        (folder / name).write_bytes(b"old")
        (folder / name).chmod(0o600)
        (scene.parent / name).symlink_to(folder / name)
        arguments += ["--report" if name.endswith("json") else "-o", scene.parent / name]
    assert render(scene, *arguments) == 0
    for name in ("a.png", "a.ora", "a.json"):
        assert (scene.parent / name).is_symlink()
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert (folder / name).stat().st_size > len(b"old")


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_a_protected_file_is_refused_before_painting(
    scene: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And stays as it was; so does what lies beside it."""
    protected = scene.with_name("kept.png" if option == "-o" else "kept.json")
    protected.write_bytes(b"old")
    protected.chmod(0o444)
    other = scene.with_name("other.png")
    assert main(["render", str(scene), "-o", str(other), option, str(protected)]) == 2
    said = capsys.readouterr().err
    assert f"{quoted(protected)} cannot be written (it is protected from writing)." in said
    assert "loading" not in said
    assert protected.read_bytes() == b"old"
    assert not other.exists()


@pytest.mark.parametrize("command", ["render", "upscale"])
@pytest.mark.parametrize("kind", ["report", "scene"])
def test_files_of_two_kinds_are_not_one(
    scene: Path, command: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report would overwrite the picture, or a picture the scene."""
    picture, link = scene.with_name("out.png"), scene.with_name("link.json")
    if kind == "scene":
        picture.symlink_to(scene)
    else:
        link.symlink_to(picture)
    before = scene.read_bytes()
    ends = ["-o", str(picture), "--report", str(link), "--steps", "1", "--quiet"]
    assert main([command, str(scene), *ends]) == 2
    said = capsys.readouterr().err
    assert f"{quoted(scene if kind == 'scene' else picture)} and " in said
    assert "are one file." in said
    assert scene.read_bytes() == before


def test_a_fill_is_not_written_over_its_mask(scene: Path, capsys) -> None:
    """What said where stays as it is."""
    mask = scene.with_name("mask.png")
    mask.write_bytes(b"a mask")
    for option in ("--fill", "--refine"):
        assert main(["render", str(scene), "-o", str(mask), option, str(mask)]) == 2
        assert "says where something is painted" in capsys.readouterr().err
    assert mask.read_bytes() == b"a mask"


_TOLD_TO_STOP = """
import os, signal, sys
from tapestry_backend import outputs
from tapestry_backend.cli import main

write = outputs.write_whole

def pieces(data):
    yield from data
    signal.raise_signal(signal.SIGTERM)
    yield b"the rest"

outputs.write_whole = lambda path, data: write(path, pieces(data))
sys.exit(main(sys.argv[1:]))
"""


def test_a_stopped_command_leaves_nothing_half_written(scene: Path) -> None:
    """As little as by Ctrl-C."""
    command = ["render", str(scene), "-o", str(scene.with_name("out.png")), "--steps", "1"]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _TOLD_TO_STOP, *command],
        env=paths,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.endswith("Stopped.\n")
    assert [path.name for path in scene.parent.iterdir()] == ["scene.ora"]


def test_one_output_that_fails_costs_no_other(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The picture is kept elsewhere, which is said, and the report is written."""
    write: Callable[..., None] = outputs.write_whole

    def full(path: Path, pieces: list[bytes]) -> None:
        if path.name == "full.png":
            raise OSError(28, "No space left on device")
        write(path, pieces)

    monkeypatch.setattr(outputs, "write_whole", full)
    monkeypatch.setattr("tempfile.tempdir", str(scene.parent))
    names = ("full.png", "good.ora")
    wanted = [argument for name in names for argument in ("-o", scene.with_name(name))]
    assert render(scene, *wanted, "--report", scene.with_name("report.json")) == 2
    said = capsys.readouterr().err
    assert "'No space left on device'" not in said
    assert "full.png” cannot be written (No space left on device)." in said
    (rescued,) = scene.parent.glob("tapestry-*.png")
    assert quoted(rescued) in said
    with Image.open(rescued) as picture:
        assert picture.size == (64, 64)
    assert scene.with_name("good.ora").exists()
    assert scene.with_name("report.json").exists()
