"""Whatever the command line is given: a sentence that helps, exit status 2, never a traceback."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.cli.render_options import _margins, _point
from tapestry_backend.openraster.archive import Archive
from tapestry_protocol.limits import MAX_SIDE_PX
from tapestry_protocol.pixels import Margins, Point
from tapestry_protocol.sentences import quoted

WHITE = Image.new("RGBA", (32, 32), "white")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A sound scene of 32 x 32 pixels."""
    write_ora(tmp_path / "a.ora", (32, 32), [Layer("snow", WHITE)])
    return tmp_path / "a.ora"


def with_stack(scene: Path, old: str, new: str) -> None:
    """Change the scene's stack.xml."""
    archive = Archive.open(scene)
    stack = archive.read("stack.xml").decode().replace(old, new)
    scene.write_bytes(archive.copy({"stack.xml": stack.encode()}))


def forty_regions(scene: Path) -> None:
    """A scene of forty dots with a name each."""
    dot = Image.new("RGBA", (1, 1), "white")
    write_ora(scene, (32, 32), [Layer(f"area {i}", dot, i % 32, i // 32) for i in range(40)])


def folder_instead(scene: Path) -> None:
    """A folder where the file should be."""
    scene.unlink()
    scene.mkdir()


def damaged_model(scene: Path) -> None:
    """A model folder beside the scene, with a damaged index."""
    (scene.parent / "model_index.json").write_text("{", encoding="utf-8")


def no_mask(scene: Path) -> None:
    """A file beside the scene that only sounds like a picture."""
    (scene.parent / "hole.png").write_text("no picture", encoding="utf-8")


def small_mask(scene: Path) -> None:
    """A mask for a smaller canvas."""
    Image.new("L", (8, 8), "white").save(scene.parent / "hole.png")


def a_dot_on_snow(scene: Path) -> None:
    """A region, and the background."""
    write_ora(scene, (32, 32), [Layer("dot", WHITE.crop((0, 0, 8, 8))), Layer("snow", WHITE)])


@dataclass(frozen=True)
class Case:
    """What is done to the scene, the options, and a part of the sentence about it."""

    sentence: str
    arguments: tuple[str, ...] = ()
    spoil: Callable[[Path], object] = lambda scene: scene


HUGE = 'w="20000" h="20000"'
LONG = f'name="{"snow " * 2000}"'
CASES = {
    "no layers": Case("background prompt", spoil=lambda s: write_ora(s, (32, 32), [])),
    "no name": Case("name the layer", spoil=lambda s: with_stack(s, 'name="snow"', 'name=""')),
    "40 regions": Case("40 regions", spoil=forty_regions),
    "huge": Case("20000 x 20000", spoil=lambda s: with_stack(s, 'w="32" h="32"', HUGE)),
    "long name": Case("characters", spoil=lambda s: with_stack(s, 'name="snow"', LONG)),
    "cut off": Case("OpenRaster", spoil=lambda s: s.write_bytes(s.read_bytes()[:-40])),
    "no such file": Case("cannot be read", spoil=Path.unlink),
    "a folder": Case("cannot be read", spoil=folder_instead),
    "no model": Case("not a model folder", ("--model", ".")),
    "no such model": Case("nobody/nothing", ("--model", "nobody/nothing")),
    "damaged model": Case("not a model folder", ("--model", "."), damaged_model),
    "long background": Case("10000 characters", ("--background", "x" * 10_000)),
    "extended too far": Case("too large", ("--extend", f"left={MAX_SIDE_PX}")),
    "a selection of nothing": Case("No layer is called “hole”", ("--fill", "hole")),
    "what there is": Case("The layers are “snow”; or give a mask", ("--fill", "hole")),
    "no such mask": Case("“hole.png” cannot be read", ("--refine", "hole.png")),
    "no mask": Case("as a PNG picture", ("--refine", "hole.png"), no_mask),
    "a small mask": Case("8 x 8 pixels, the canvas 32 x 32", ("--fill", "hole.png"), small_mask),
    "strength of what": Case("how far --refine may go", ("--strength", "0.5")),
    "strength of a fill": Case("--refine", ("--strength", "0.5", "--fill", "snow")),
    "nothing to change": Case("nothing changes", ("--strength", "0", "--refine", "snow")),
    "continue what": Case("regions of --extend end", ("--no-continue",)),
    "under what": Case("new part of --extend", ("--under", "8")),
    "no such region": Case("No region is called “ice”", ("--region", "ice", "seed=1")),
    "the regions are": Case("The regions are “dot”", ("--region", "ice", "seed=1"), a_dot_on_snow),
    "no settings": Case("“heavy” is no setting", ("--region", "dot", "heavy"), a_dot_on_snow),
    "unknown settings": Case(
        "“mood=dark” is no setting", ("--region", "dot", "seed=1,mood=dark"), a_dot_on_snow
    ),
    "settings out of range": Case(
        "weight=“1000” is no number between 0.01 and 100",
        ("--region", "dot", "weight=1000"),
        a_dot_on_snow,
    ),
    "no such fit": Case(
        "fit=“snug” is none of tight, loose", ("--region", "dot", "fit=snug"), a_dot_on_snow
    ),
    "an anchor elsewhere": Case("anchor", ("--coherence", "1", "--anchor", "left=99,top=0")),
    "too many steps": Case("up to 50 steps", ("--scheduler", "lcm", "--steps", "51")),
    "a flow scheduler": Case("flow matching", ("--scheduler", "flow_euler")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_and_status_two(
    scene: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong, in words that name it; and no picture is left behind."""
    case, output = CASES[name], scene.with_name("out.png")
    case.spoil(scene)
    monkeypatch.chdir(scene.parent)
    assert main(["render", str(scene), "-o", str(output), "--quiet", *case.arguments]) == 2
    said = capsys.readouterr().err
    assert case.sentence in said
    assert "Traceback" not in said
    assert not output.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("what", ["scene", "mask"])
def test_a_pipe_is_refused_without_waiting(
    scene: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into which perhaps nothing is ever written."""
    pipe = scene.with_name("pipe.ora" if what == "scene" else "pipe.png")
    os.mkfifo(pipe)
    given = [str(pipe)] if what == "scene" else [str(scene), "--fill", str(pipe)]
    assert main(["render", *given, "-o", str(scene.with_name("out.png"))]) == 2
    assert f"{quoted(pipe)} cannot be read (it is a named pipe" in capsys.readouterr().err


def test_the_folder_is_no_file_to_write(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named as it was given."""
    assert main(["render", str(scene), "-o", "."]) == 2
    assert "“.” is no kind of file that is written here." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.jpg", "out", "missing/out.png", "."])
def test_outputs_are_looked_at_before_painting(
    scene: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No picture is painted that cannot be saved."""
    assert main(["render", str(scene), "-o", str(scene.parent / name)]) == 2
    said = capsys.readouterr().err
    assert "written" in said
    assert "loading" not in said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_of_somebody_else(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for folders that may not be written."""
    scene.parent.chmod(0o500)
    assert main(["render", str(scene), "-o", str(scene.with_name("out.png"))]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seed", "-1"],
        ["--seed", "4294967296"],
        ["--steps", "0"],
        ["--steps", "201"],
        ["--steps", "many"],
        ["--guidance-scale", "nan"],
        ["--guidance-scale", "inf"],
        ["--guidance-scale", "51"],
        ["--overlap", "mix"],
        ["--extend", "up=5"],
        ["--extend", "left"],
        ["--extend", "left=0,top=0"],
        ["--extend", "left=-5"],
        ["--extend", "left=5,left=6"],
        ["--extend", "left=\u0665"],
        ["--extend", "left=99999999999999999999"],
        ["--scheduler", "magic"],
        ["--strength", "1.5"],
        ["--composition", "-0.1"],
        ["--coherence", "nan"],
        ["--bootstrapping", "2"],
        ["--feather", "513"],
        ["--feather", "1.5"],
        ["--under", "-1"],
        ["--harmonise", "11"],
        ["--stride", "-8"],
        ["--windows", "still"],
        ["--window-weighting", "round"],
        ["--anchor", "left=5"],
        ["--anchor", "left=5,top=6,top=7"],
        ["--anchor", "5,6"],
        ["--anchor", "left=5,top=99999999"],
        ["--fill", "a", "--refine", "b"],
        ["--fill", "a", "--extend", "left=8"],
        ["--region", "snow"],
    ],
)
def test_values_out_of_range_are_named(
    scene: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage, as every program does."""
    with pytest.raises(SystemExit) as stopped:
        main(["render", str(scene), "-o", "out.png", *arguments])
    assert stopped.value.code == 2
    assert f"argument {arguments[-2]}" in capsys.readouterr().err


def test_sides_may_come_in_any_order() -> None:
    """And those that are not named do not grow."""
    assert _margins("right=2, left=1") == Margins(left=1, right=2)
    assert _point("top=-2, left=1") == Point(top=-2, left=1)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KeyError("a bug"), "The details are in"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_an_unforeseen_error_is_a_sentence_too(
    error: Exception,
    sentence: str,
    scene: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The traceback of a bug goes to a file that the sentence names."""
    monkeypatch.setenv("TMPDIR", str(scene.parent))
    monkeypatch.setattr("tempfile.tempdir", None)

    def fails(_options: object) -> None:
        raise error

    monkeypatch.setattr("tapestry_backend.cli.render.render", fails)
    assert main(["render", str(scene), "-o", str(scene.with_name("out.png"))]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    logs = list(scene.parent.glob("tapestry-*.log"))
    assert len(logs) == ("details" in said)
    assert all("a bug" in log.read_text(encoding="utf-8") for log in logs)


def test_stopping_is_no_error(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C says so and nothing more."""

    def stops(_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tapestry_backend.cli.render.render", stops)
    assert main(["render", str(scene), "-o", str(scene.with_name("out.png"))]) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled one is always there."""
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("sample\t")


def test_doctor_says_what_works(capsys: pytest.CaptureFixture[str]) -> None:
    """In an environment that works it is content."""
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "PyTorch" in said
    assert "bundled model" in said


def test_the_report_is_json_for_every_prompt(scene: Path) -> None:
    """Prompts in any script, quotes and all."""
    report = scene.with_name("report.json")
    prompt = 'Schnee "\u96ea" \u2744'
    outputs = ["-o", str(scene.with_name("out.png")), "--report", str(report)]
    asked = ["--background", prompt, "--steps", "1", "--quiet"]
    assert main(["render", str(scene), *outputs, *asked]) == 0
    (background,) = json.loads(report.read_text(encoding="utf-8"))["plan"]["regions"]
    assert background["prompt"] == prompt
