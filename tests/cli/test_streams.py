"""Commands whose output is narrow, closed or full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from examples.ora import Layer, write_ora

TAPESTRY = (sys.executable, "-m", "tapestry_backend.cli")
ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
NAME = "\u96ea \U0001f30a"

posix = pytest.mark.skipif(not FULL.exists(), reason="a device that is full")


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """One command, in a process of its own."""
    paths = os.pathsep.join(str(ROOT / room) for room in ("backend", "shared"))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "0"}
    environment |= options.pop("env", {})
    command = [*TAPESTRY, *map(str, arguments)]
    return subprocess.run(
        command, **{"capture_output": True, "text": True, **options}, env=environment, check=False
    )


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A small scene whose layer's name no code page knows."""
    path = tmp_path / "scene.ora"
    write_ora(path, (64, 64), [Layer(NAME, Image.new("RGBA", (64, 64), (9, 9, 99, 255)))])
    return path


def rendering(scene: Path) -> tuple[object, ...]:
    """The arguments of a quick picture."""
    return "render", scene, "-o", scene.with_name("out.png"), "--steps", "1"


@posix
@pytest.mark.parametrize("arguments", [("version",), ("render", "--help"), ("models",)])
def test_a_full_disk_is_a_sentence(arguments: tuple[str, ...]) -> None:
    """Where the result should go."""
    with FULL.open("w") as full:
        done = run(*arguments, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "tapestry: What was asked for cannot be written here (No space left on device)."
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("arguments", [("version",), ("render", "--help"), ("models",)])
def test_a_closed_pipe_is_the_readers_decision(arguments: tuple[str, ...]) -> None:
    """Nothing is said about it."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(*arguments, stdout=writer, stderr=subprocess.PIPE, capture_output=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@posix
@pytest.mark.parametrize("remarks", ["full", "a closed pipe"])
def test_a_picture_is_painted_although_nobody_hears_of_it(scene: Path, remarks: str) -> None:
    """Progress may be lost, the picture may not."""
    if remarks == "full":
        writer = os.open(FULL, os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        os.close(reader)
    try:
        done = run(*rendering(scene), stderr=writer, stdout=subprocess.PIPE, capture_output=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stdout) == (0, "")
    with Image.open(scene.with_name("out.png")) as picture:
        assert picture.size == (64, 64)


def test_a_narrow_code_page_costs_no_picture(scene: Path) -> None:
    """What it does not know is written as numbers."""
    narrow = {"PYTHONIOENCODING": "ascii:strict"}
    refused = run(*rendering(scene), "--region", NAME, "weight=no", env=narrow)
    assert refused.returncode == 2
    assert "\\u96ea" in refused.stderr
    done = run(*rendering(scene), "--fill", NAME, env=narrow)
    assert (done.returncode, "\\u96ea" in done.stderr) == (0, False)
