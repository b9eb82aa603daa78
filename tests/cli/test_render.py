"""`tapestry render` from a scene file to pictures, as an artist calls it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.cli.render import ProgressLine
from tapestry_backend.openraster.document import Document
from tapestry_backend.tasks.events import Progressed

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--steps", "2", "--quiet"]


def paint(width: int, height: int, colour: tuple[int, int, int] = (10, 120, 240)) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (*colour, 255))


def pixels_of(path: Path) -> np.ndarray:
    """A picture file as uint8 [height, width, 4]."""
    with Image.open(path) as image:
        return np.array(image.convert("RGBA"))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Sky above grass, with a picture of noise below both, 48 x 40 pixels."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).convert("RGBA")
    layers = [
        Layer("sunset sky", paint(48, 12)),
        Layer("green grass", paint(60, 10), -6, 30),
        Layer("Background", noise),
    ]
    write_ora(tmp_path / "scene.ora", (48, 40), layers)
    return tmp_path / "scene.ora"


def test_a_scene_becomes_a_layer_and_a_flat_picture(scene: Path) -> None:
    """Both outputs of one run show the same picture, and the report tells how it was made."""
    ora, png, report = (scene.with_name(name) for name in ("out.ora", "out.png", "report.json"))
    outputs = ["-o", str(ora), "-o", str(png), "--report", str(report)]
    assert main(["render", str(scene), *outputs, "--seed", "5", *QUICK]) == 0
    document = Document.open(ora)
    assert document.layers[0].name == "Tapestry: sunset sky, green grass (seed 5)"
    picture = pixels_of(png)
    assert picture.shape == (40, 48, 4)
    assert (document.flattened == picture).all()
    told = json.loads(report.read_text(encoding="utf-8"))
    assert {"plan", "seed", "model", "windows", "unet_evaluations", "peak_memory_bytes"} <= set(
        told
    )
    assert set(told["seconds"]) == {"load", "encode", "denoise", "decode", "total"}
    assert (told["seed"], told["model"]) == (5, "sample")


def test_regions_can_be_layers_of_their_own(scene: Path) -> None:
    """In a group that looks like the picture; behind an outline its layer goes on."""
    ora, png, flat = (scene.with_name(name) for name in ("out.ora", "out.png", "flat.ora"))
    outputs = ["-o", str(ora), "-o", str(png)]
    assert main(["render", str(scene), *outputs, "--layered", *QUICK]) == 0
    assert main(["render", str(scene), "-o", str(flat), *QUICK]) == 0
    document = Document.open(ora)
    group = document.layers[0]
    assert group.name == Document.open(flat).layers[0].name
    assert [layer.name for layer in group.children] == [
        "Tapestry: sunset sky",
        "Tapestry: green grass",
        "Tapestry: everything else",
    ]
    together = document.colours(group, document.bounds).astype(int)
    assert np.abs(together - pixels_of(png)).max() <= 1
    assert (document.flattened == pixels_of(png)).all()
    sky = document.colours(group.children[0], document.bounds)
    assert (sky[..., 3] == np.where(np.arange(40)[:, None] < 12, 255, 0)).all()
    with zipfile.ZipFile(ora) as archive, archive.open(group.children[0].source) as file:
        own = np.array(Image.open(file))
    assert own.shape[0] > 12, "it goes on beneath the grass"
    assert own[13:20, :, :3].any()


def test_the_same_command_gives_the_same_bytes(scene: Path) -> None:
    """Also the archive around the picture."""
    first, second = scene.with_name("1.ora"), scene.with_name("2.ora")
    for path in (first, second):
        assert main(["render", str(scene), "-o", str(path), *QUICK]) == 0
    assert first.read_bytes() == second.read_bytes()


def test_extending_keeps_every_old_pixel(scene: Path) -> None:
    """The old picture lies in the new one bit for bit, and the layers moved along."""
    ora, png = scene.with_name("out.ora"), scene.with_name("out.png")
    sides = ["--extend", "left=16,top=8", "--background", "snow"]
    outputs = ["-o", str(ora), "-o", str(png)]
    assert main(["render", str(scene), *outputs, *sides, *QUICK]) == 0
    before, after = Document.open(scene), Document.open(ora)
    picture = pixels_of(png)
    assert picture.shape == (48, 64, 4)
    assert (picture[8:, 16:] == before.flattened).all()
    assert (after.flattened == picture).all()
    assert [(node.name, node.top, node.left) for node in after.layers[1:]] == [
        ("sunset sky", 8, 16),
        ("green grass", 38, 10),
        ("Background", 8, 16),
    ]
    assert "extended" in after.layers[0].name


def test_the_result_may_replace_the_scene(scene: Path) -> None:
    """Rendering into the same file again and again adds a layer each time."""
    for count in (1, 2):
        assert main(["render", str(scene), "-o", str(scene), *QUICK]) == 0
        results = [node for node in Document.open(scene).layers if "Tapestry: " in node.name]
        assert len(results) == count


def test_blending_and_wrapping_are_passed_on(scene: Path) -> None:
    """The report's plan shows the request."""
    report = scene.with_name("report.json")
    asked = ["--wrap", "--overlap", "blend", "--guidance-scale", "3.5", "--negative-prompt", "lava"]
    outputs = ["-o", str(scene.with_name("out.png")), "--report", str(report)]
    assert main(["render", str(scene), *outputs, *asked, *QUICK]) == 0
    plan = json.loads(report.read_text(encoding="utf-8"))["plan"]
    assert (plan["wrap"], plan["overlap"]) == (True, "blend")
    assert {region["guidance_scale"] for region in plan["regions"]} == {3.5}
    assert {region["negative_prompt"] for region in plan["regions"]} == {"lava"}


def test_progress_goes_to_stderr(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each step, nothing on stdout, and nothing at all with --quiet."""
    command = ["render", str(scene), "-o", str(scene.with_name("out.png")), "--steps", "2"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "step 1/2\n" in said.err
    assert "step 2/2\n" in said.err
    assert said.out == ""
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(63, 1), (1, 63), (1, 1)])
def test_tiny_canvases_get_a_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    """However thin the document is, its result has its size."""
    write_ora(tmp_path / "a.ora", size, [Layer("snow", paint(*size))])
    assert main(["render", str(tmp_path / "a.ora"), "-o", str(tmp_path / "a.png"), *QUICK]) == 0
    assert pixels_of(tmp_path / "a.png").shape == (size[1], size[0], 4)


def test_the_time_that_is_left_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In steps that take long; by those of this stage; the same line is not written twice."""
    times = iter([0.0, 1.0, 100.0, 160.0, 200.0, 200.0])
    line = ProgressLine(quiet=False, clock=lambda: next(times))
    line.show(Progressed("drafting", 1, 3))
    line.show(Progressed("denoising"))
    line.show(Progressed("denoising"))
    line.show(Progressed("denoising", 1, 3))
    line.show(Progressed("denoising", 2, 3))
    line.show(Progressed("denoising", 3, 3))

    assert capsys.readouterr().err.splitlines() == [
        "drafting the whole: step 1/3",
        "painting",
        "painting: step 1/3, 2 min left",
        "painting: step 2/3, 50 s left",
        "painting: step 3/3",
    ]


def test_an_empty_document_gets_its_background(tmp_path: Path) -> None:
    """Without a region the picture is made from the background prompt."""
    write_ora(tmp_path / "a.ora", (40, 24), [])
    outputs = ["-o", str(tmp_path / "b.ora"), "-o", str(tmp_path / "b.png")]
    asked = ["--background", "snow"]
    assert main(["render", str(tmp_path / "a.ora"), *outputs, *asked, *QUICK]) == 0
    assert [node.name for node in Document.open(tmp_path / "b.ora").layers] == [
        "Tapestry: snow (seed 0)"
    ]
    assert (pixels_of(tmp_path / "b.png")[..., 3] == 255).all()


def test_a_stroke_of_one_pixel_gets_a_picture(tmp_path: Path) -> None:
    """Its region is thin, but it is there."""
    layers = [Layer("lava", paint(1, 40), 20, 0), Layer("snow", paint(48, 40))]
    write_ora(tmp_path / "a.ora", (48, 40), layers)
    report = tmp_path / "a.json"
    outputs = ["-o", str(tmp_path / "a.png"), "--report", str(report)]
    assert main(["render", str(tmp_path / "a.ora"), *outputs, *QUICK]) == 0
    regions = json.loads(report.read_text(encoding="utf-8"))["plan"]["regions"]
    assert [region["prompt"] for region in regions] == ["lava", "snow"]


@pytest.mark.parametrize("name", ["lighthouse", "village-in-snow", "shore"])
def test_the_bundled_scenes_are_sound(name: str) -> None:
    """They open, and are as small as a repository likes."""
    path = ROOT / "examples" / f"{name}.ora"
    assert Document.open(path).layers
    assert path.stat().st_size < 150_000


def test_torch_is_loaded_only_to_paint(tmp_path: Path) -> None:
    """Asking for help, starting the server's command line, and hearing of bad input are quick."""
    (tmp_path / "bad.ora").touch()
    code = (
        "import sys\nfrom tapestry_backend.cli import main\n"
        "bad = ['render', 'bad.ora', '-o', 'out.png']\n"
        "for command in (bad, ['render', '--help'], ['serve', '--help'], ['--help']):\n"
        "    try: main(command)\n"
        "    except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "OpenRaster" in finished.stderr


def test_a_layered_result_opens_as_a_plain_zip(scene: Path) -> None:
    """What other programs see: a picture of the right size and a thumbnail within 256 pixels."""
    ora = scene.with_name("out.ora")
    assert main(["render", str(scene), "-o", str(ora), *QUICK, "--extend", "right=300"]) == 0
    with zipfile.ZipFile(ora) as archive:
        assert archive.testzip() is None
        with archive.open("Thumbnails/thumbnail.png") as thumbnail:
            assert max(Image.open(thumbnail).size) == 256
        with archive.open("mergedimage.png") as merged:
            assert Image.open(merged).size == (348, 40)
