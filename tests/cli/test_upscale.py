"""`tapestry upscale` from a picture or a scene to a larger picture."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend import outputs
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.cli import main
from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document
from tapestry_backend.openraster.png import decode_png, encode_png
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.sentences import quoted
from tests.models.tiny_checkpoints import save_upscaler

QUICK = ["--steps", "2", "--quiet"]


def pixels_of(path: Path) -> np.ndarray:
    """A picture file as uint8 [height, width, 4]."""
    return decode_png(path.read_bytes(), path.name)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of 40 x 24 pixels."""
    rgba = np.random.default_rng(1).integers(0, 256, (24, 40, 4), np.uint8)
    rgba[..., 3] = 255
    (tmp_path / "picture.png").write_bytes(encode_png(rgba))
    return tmp_path / "picture.png"


def write_scene(path: Path, *names: str) -> Path:
    """A scene of 48 x 40 pixels; each layer fills a part of it."""
    layers = [
        Layer(name, Image.new("RGBA", (48, 20), (10 * n, 120, 240, 255)), 0, 10 * n)
        for n, name in enumerate(names)
    ]
    write_ora(path, (48, 40), layers)
    return path


def test_a_picture_becomes_larger(picture: Path) -> None:
    """By any factor; the report tells how."""
    out, report = picture.with_name("out.png"), picture.with_name("report.json")
    ends = ["-o", str(out), "--report", str(report), *QUICK]
    assert main(["upscale", str(picture), "--factor", "2.5", "--prompt", "snow", *ends]) == 0

    assert pixels_of(out).shape == (60, 100, 4)
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["plan"]["strength"] == 0.3
    assert told["unet_evaluations"] > 0
    assert min(told["seconds"].values()) > 0
    assert told["requested_guidance_scale"] == 5
    assert "first_stage" not in told


def test_the_report_tells_of_a_painted_first_stage(tmp_path: Path) -> None:
    """With its own plan and seconds; guidance that was lowered is told beside what was asked."""
    scene = write_scene(tmp_path / "scene.ora", "snow")
    out, report = tmp_path / "out.png", tmp_path / "report.json"
    ends = ["-o", str(out), "--report", str(report), "--guidance-scale", "4", *QUICK]
    assert main(["upscale", str(scene), *ends]) == 0
    told = json.loads(report.read_text(encoding="utf-8"))

    first = told["first_stage"]
    assert (first["plan"]["task"], told["plan"]["task"]) == ("generate", "upscale")
    assert first["seconds"]["denoise"] > 0
    assert [region["guidance_scale"] for region in first["plan"]["regions"]] == [4, 4]
    assert told["requested_guidance_scale"] == 4
    assert all(region["guidance_scale"] <= 4 for region in told["plan"]["regions"])


def test_every_result_that_is_asked_for_is_written(tmp_path: Path) -> None:
    """Pictures and scenes, of one painting."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    outs = [tmp_path / name for name in ("one.png", "both.ora", "two.png")]
    ends = [argument for out in outs for argument in ("-o", str(out))]
    assert main(["upscale", str(scene), *ends, *QUICK]) == 0
    one, both, two = outs

    assert pixels_of(one).shape == (80, 96, 4)
    assert one.read_bytes() == two.read_bytes()
    document = Document.open(both)
    assert (document.colours(document.layers[0], document.bounds) == pixels_of(one)).all()


@pytest.mark.parametrize(
    "through",
    [
        "itself",
        pytest.param(
            "link", marks=pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
        ),
    ],
)
def test_what_is_enlarged_is_not_written_over(
    picture: Path, capsys: pytest.CaptureFixture[str], through: str
) -> None:
    """A picture, and a scene, by whatever name: what it was cannot be had back."""
    scene = write_scene(picture.with_name("scene.ora"), "snow")
    for source in (picture, scene):
        out, before = source, source.read_bytes()
        if through == "link":
            out = source.with_name(f"link{source.suffix}")
            out.symlink_to(source)
        ends = ["-o", str(source.with_name(f"o{source.suffix}")), "-o", str(out), *QUICK]
        assert main(["upscale", str(source), *ends]) == 2
        assert f"{quoted(out)} is what is enlarged" in capsys.readouterr().err
        assert source.read_bytes() == before
        assert not source.with_name(f"o{source.suffix}").exists()


@pytest.mark.parametrize("by", ["path", "name"])
def test_a_network_enlarges(picture: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """In the place of the filter, whether it is named by its path or in the models' folder."""
    folder = picture.parent / "models" / "ESRGAN"
    folder.mkdir(parents=True)
    monkeypatch.setenv(MODELS_VARIABLE, str(folder.parent))
    network = folder / "2x-sharp.safetensors"
    save_upscaler(network)
    out, plain, report = (picture.with_name(name) for name in ("a.png", "b.png", "report.json"))
    named = ["--upscaler", str(network) if by == "path" else network.stem]
    ends = ["--strength", "0", *QUICK]
    told = ["--report", str(report)]
    assert main(["upscale", str(picture), *named, *told, "-o", str(out), *ends]) == 0
    assert main(["upscale", str(picture), "-o", str(plain), *ends]) == 0

    assert json.loads(report.read_text(encoding="utf-8"))["upscaler"] == network.name
    assert pixels_of(out).shape == pixels_of(plain).shape == (48, 80, 4)
    assert (pixels_of(out) != pixels_of(plain)).any()


def test_a_network_whose_numbers_are_none_is_told(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name; nothing is written."""
    network, out = picture.with_name("broken.safetensors"), picture.with_name("out.png")
    save_upscaler(network, bias=math.nan)
    ends = ["--upscaler", str(network), "-o", str(out), *QUICK]
    assert main(["upscale", str(picture), *ends]) == 2
    said = capsys.readouterr().err
    assert "The upscaler “broken.safetensors” gave numbers that are not finite." in said
    assert not out.exists()


def test_opacity_is_enlarged_as_well(picture: Path) -> None:
    """Where there is any; other files say nothing of it."""
    rgba = pixels_of(picture)
    rgba[:, :20, 3] = 0
    out = picture.with_name("out.png")
    for alpha, mode in ((rgba, "RGBA"), (np.maximum(rgba, (0, 0, 0, 255)), "RGB")):
        picture.write_bytes(encode_png(alpha.astype(np.uint8)))
        assert main(["upscale", str(picture), "-o", str(out), "--strength", "0", *QUICK]) == 0
        with Image.open(out) as image:
            assert image.mode == mode
    assert pixels_of(out)[..., 3].min() == 255


def test_a_scene_is_painted_first(tmp_path: Path) -> None:
    """Its own picture, made larger: without strength the very same as enlarging that."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    small, own, plain = (tmp_path / f"{name}.png" for name in ("small", "own", "plain"))
    assert main(["render", str(scene), "-o", str(small), *QUICK]) == 0
    for source, out in ((scene, own), (small, plain)):
        ends = ["-o", str(out), "--strength", "0", *QUICK]
        assert main(["upscale", str(source), *ends]) == 0

    assert (pixels_of(own) == pixels_of(plain)).all()


def test_a_control_counts_in_both_stages(tmp_path: Path) -> None:
    """Its layer is no region."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "sketch")
    out, report = tmp_path / "out.png", tmp_path / "report.json"
    shown = ["--control", "sample-scribble", "layer=sketch,show=lines"]
    ends = ["-o", str(out), "--report", str(report), "--factor", "1.5", *QUICK]
    assert main(["upscale", str(scene), *shown, *ends]) == 0
    told = json.loads(report.read_text(encoding="utf-8"))

    assert [region["prompt"] for region in told["plan"]["regions"][:-1]] == ["snow"]
    assert told["plan"]["regions"][-1]["controls"][0]["adapter"] == "sample-scribble"
    assert told["notices"] == []


def test_a_saved_lora_that_is_missing_is_done_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `render` does, and it is named."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    with zipfile.ZipFile(scene) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    told = b'name="snow" tapestry:region="lora=gone:0.8"'
    parts["stack.xml"] = parts["stack.xml"].replace(b'name="snow"', told)
    with zipfile.ZipFile(scene, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)

    ends = ["-o", str(tmp_path / "out.png"), "--factor", "1.5", "--steps", "2"]
    assert main(["upscale", str(scene), *ends]) == 0
    assert "“gone”" in capsys.readouterr().err


def test_a_scene_that_shows_a_result_is_not_painted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there is enlarged, which is said; its regions still count."""
    scene = write_scene(tmp_path / "scene.ora", "Tapestry: snow (seed 0)", "snow", "lava")
    out = tmp_path / "out.png"
    ends = ["-o", str(out), "--strength", "0", "--steps", "2"]
    assert main(["upscale", str(scene), "--factor", "2", *ends]) == 0

    assert "shows a result of Tapestry's already: that is enlarged." in capsys.readouterr().err
    assert pixels_of(out)[:30, :, :3].reshape(-1, 3).tolist() == [[0, 120, 240]] * (30 * 96)


def test_a_scene_becomes_larger_with_all_its_layers(tmp_path: Path) -> None:
    """The result lies on top; regions stay regions, with what was said of them."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    out, again, flat = (tmp_path / name for name in ("out.ora", "again.ora", "flat.png"))
    asked = ["--factor", "2.5", "--region", "snow", "weight=2", *QUICK]
    assert main(["upscale", str(scene), "-o", str(out), *asked]) == 0
    assert main(["upscale", str(scene), "-o", str(flat), *asked]) == 0
    document = Document.open(out)
    top, *layers = document.layers

    assert (document.height, document.width) == (100, 120)
    assert top.name.startswith("Tapestry: ")
    assert "upscaled" in top.name
    assert [(layer.name, layer.top, layer.left) for layer in layers] == [
        ("snow", 0, 0),
        ("lava", 25, 0),
    ]
    assert [document.alpha(layer, document.bounds)[0] for layer in layers] == [
        Bounds(0, 0, 50, 120),
        Bounds(25, 0, 75, 120),
    ]
    assert "weight=2" in layers[0].settings
    picture = pixels_of(flat)
    assert (document.colours(top, document.bounds) == picture).all()
    assert (document.flattened[picture[..., 3] == 255] == picture[picture[..., 3] == 255]).all()
    assert main(["upscale", str(out), "-o", str(again), "--factor", "1", *QUICK]) == 0


def test_a_layer_that_cannot_become_larger_stays_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is damaged, and one that is no picture: the others do."""
    scene, out = write_scene(tmp_path / "scene.ora", "snow", "lava", "ice"), tmp_path / "out.ora"
    archive = Archive.open(scene)
    stack = archive.read("stack.xml").replace(b"data/layer2.png", b"data/layer2.svg")
    broken = archive.copy(
        {"stack.xml": stack, "data/layer1.png": b"no picture", "data/layer2.svg": b"<svg/>"}
    )
    scene.write_bytes(broken)
    assert main(["upscale", str(scene), "-o", str(out), "--steps", "2"]) == 0
    said = capsys.readouterr().err

    assert "“lava”" in said
    assert "“ice” keeps its size: it is not stored as pixels." in said
    larger = Archive.open(out)
    assert larger.read("data/layer1.png") == b"no picture"
    assert decode_png(larger.read("data/layer0.png"), "").shape == (40, 96, 4)


def test_a_picture_has_no_layers_to_enlarge(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is told before anything is painted."""
    assert main(["upscale", str(picture), "-o", str(picture.with_name("out.ora"))]) == 2
    assert "Only a scene has layers" in capsys.readouterr().err


def enlarged_alone(scene: Path) -> np.ndarray:
    """What becomes of a scene twice as large without strength."""
    out = scene.with_name("out.png")
    assert main(["upscale", str(scene), "-o", str(out), "--strength", "0", *QUICK]) == 0
    return pixels_of(out)


def test_a_result_in_a_group_is_one(tmp_path: Path) -> None:
    """As long as it is to be seen."""
    result = Layer("Tapestry: snow (seed 0)", Image.new("RGBA", (48, 40), (0, 120, 240, 255)))
    snow = Layer("snow", Image.new("RGBA", (48, 20), "white"))
    write_ora(tmp_path / "scene.ora", (48, 40), [Group("kept", [Group("inner", [result])]), snow])
    assert (enlarged_alone(tmp_path / "scene.ora") == (0, 120, 240, 255)).all()

    hidden = Group("kept", [result], visible=False)
    write_ora(tmp_path / "scene.ora", (48, 40), [hidden, snow])
    assert (enlarged_alone(tmp_path / "scene.ora") != (0, 120, 240, 255)).any()


@pytest.mark.parametrize("name", ["Background", "a blue wall", "Layer 1", "Tapestry: x (seed 0)"])
def test_a_scene_without_regions_is_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """What it shows is enlarged, and nothing else painted in its place; a prompt is welcome."""
    whole = Layer(name, Image.new("RGBA", (48, 40), (0, 120, 240, 255)))
    write_ora(tmp_path / "scene.ora", (48, 40), [whole])
    out = tmp_path / "out.png"
    for prompt in ([], ["--prompt", "snow"]):
        ends = ["-o", str(out), "--strength", "0", "--steps", "2"]
        assert main(["upscale", str(tmp_path / "scene.ora"), *prompt, *ends]) == 0
        assert (pixels_of(out) == (0, 120, 240, 255)).all()
        assert "The scene has no region: what it shows is enlarged." in capsys.readouterr().err


def test_unused_parts_of_a_picture_are_reported(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what a camera says of it is followed."""
    with Image.open(picture) as image:
        camera = image.getexif()
        camera[ExifTags.Base.Orientation] = 6
        image.save(picture, exif=camera, icc_profile=b"no profile")
    out = picture.with_name("out.png")
    ends = ["-o", str(out), "--strength", "0", "--steps", "2"]
    assert main(["upscale", str(picture), *ends]) == 0

    assert pixels_of(out).shape == (80, 48, 4)
    assert "The colour profile of “picture.png” is left out" in capsys.readouterr().err


def stop(*_: object) -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def break_off(*_: object) -> None:
    """As a disk does from which a model comes."""
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("end", "status", "name"),
    [(stop, 130, "out.png"), (break_off, 2, "out.png"), (stop, 130, "out.ora")],
)
def test_the_first_stage_is_kept_when_the_second_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: Callable[..., None],
    status: int,
    name: str,
) -> None:
    """As a picture, whatever the result was to be; existing files stay as they are."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    out = tmp_path / name
    for mine in (name, "out-first.png"):
        (tmp_path / mine).write_bytes(b"mine")

    monkeypatch.setattr("tapestry_backend.tasks.upscaling._encoded", end)
    assert main(["upscale", str(scene), "-o", str(out), *QUICK]) == status

    assert out.read_bytes() == (tmp_path / "out-first.png").read_bytes() == b"mine"
    assert pixels_of(tmp_path / "out-first-2.png").shape == (40, 48, 4)
    said = capsys.readouterr().err
    assert f"is in {quoted(tmp_path / 'out-first-2.png')}." in said
    assert "cannot be written" not in said
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["out-first-2.png", "out-first.png", name, "scene.ora"]


def test_what_cannot_be_kept_beside_the_result_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where its name would be too long, for instance."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("tapestry_backend.tasks.upscaling._encoded", stop)
    out = tmp_path / f"{'x' * 250}.png"
    assert main(["upscale", str(scene), "-o", str(out), *QUICK]) == 130

    (kept,) = (tmp_path / "elsewhere").iterdir()
    assert pixels_of(kept).shape == (40, 48, 4)
    assert f"is in {quoted(kept)}." in capsys.readouterr().err


def test_a_result_that_cannot_be_written_is_kept_elsewhere(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its report where that was to be."""
    write = outputs.write_whole

    def full(path: Path, pieces: list[bytes]) -> None:
        if path.name == "out.png":
            raise OSError(28, "No space left on device")
        write(path, pieces)

    monkeypatch.setattr(outputs, "write_whole", full)
    monkeypatch.setattr("tempfile.tempdir", str(picture.parent))
    out, report = picture.with_name("out.png"), picture.with_name("report.json")
    ends = ["-o", str(out), "--report", str(report), *QUICK]
    assert main(["upscale", str(picture), *ends]) == 2

    (kept,) = picture.parent.glob("tapestry-*.png")
    assert pixels_of(kept).shape == (48, 80, 4)
    said = capsys.readouterr().err
    assert f"(No space left on device). What should be there is in {quoted(kept)}." in said
    assert report.exists()


_TOLD_TO_STOP = """
import signal, sys
from tapestry_backend.cli import main
from tapestry_backend.tasks import upscaling

number = getattr(signal, sys.argv[1])
signal.signal(number, signal.SIG_DFL)
upscaling._encoded = lambda *_: signal.raise_signal(number)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_stopped_upscale_ends_in_order(tmp_path: Path, name: str) -> None:
    """As with Ctrl-C."""
    scene, out = write_scene(tmp_path / "scene.ora", "snow", "lava"), tmp_path / "out.png"
    command = [name, "upscale", str(scene), "-o", str(out), *QUICK]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", _TOLD_TO_STOP, *command], env=paths, check=False)

    assert done.returncode == 128 + getattr(signal, name)
    assert pixels_of(tmp_path / "out-first.png").shape == (40, 48, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-first.png", "scene.ora"]


def test_a_factor_is_looked_at_before_a_scene_is_painted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture that cannot become so large is refused at once."""
    scene = tmp_path / "scene.ora"
    layers = [Layer(name, Image.new("RGBA", (64, 5000), "white")) for name in ("snow", "lava")]
    write_ora(scene, (100, 5000), layers)
    monkeypatch.setattr("tapestry_backend.tasks.run.run", None)
    assert main(["upscale", str(scene), "-o", str(tmp_path / "o.png"), "--factor", "8"]) == 2
    assert "Choose a factor of 6.55 at most" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.png"], "cannot be read"),
        (
            ["picture.jpg"],
            "(.ora); save another kind of picture as PNG first.",
        ),
        (["picture.png", "--prompt", "x" * 5000], "5000 characters"),
        (["picture.png", "--factor", "9"], "1 to 8 times as large, not 9 times"),
        (["picture.png", "--factor", "nan"], "1 to 8 times as large, not nan times"),
        (["picture.png", "--factor", "2x"], "“2x” is no number"),
        (["picture.png", "--strength", "2"], "--strength"),
        (["picture.png", "--upscaler", "4x-none"], "There is no upscaler “4x-none”"),
        (["small.png"], "40 x 7 pixels is too small to become larger"),
        (["picture.png", "--region", "snow", "weight=2"], "has none"),
        (["picture.png", "--control", "sample-scribble", "show=regions"], "--control out"),
        (["broken.png"], "“broken.png” is no PNG picture. Save it as PNG once more"),
        (["empty.png"], "“empty.png” is empty. Save it as PNG once more"),
        (["cut.png"], "“cut.png” cannot be read: it is damaged, or was cut off."),
        (["pipe.png"], "pipe.png” cannot be read (it is a named pipe, and no file)."),
        (["."], "“.” is no kind of picture"),
    ],
)
def test_impossible_requests_get_a_sentence(
    picture: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """Before anything is painted."""
    picture.with_name("broken.png").write_bytes(b"GIF89a" * 20)
    picture.with_name("empty.png").write_bytes(b"")
    picture.with_name("small.png").write_bytes(encode_png(pixels_of(picture)[:7]))
    picture.with_name("cut.png").write_bytes(picture.read_bytes()[:900])
    if sys.platform != "win32":
        os.mkfifo(picture.with_name("pipe.png"))
    name, *rest = arguments
    out = picture.with_name("out.png")
    try:
        where = name if name == "." else str(picture.with_name(name))
        status = main(["upscale", where, "-o", str(out), *rest])
    except SystemExit as stopped:
        status = stopped.code

    assert status == 2
    if name != "pipe.png" or sys.platform != "win32":
        said = capsys.readouterr().err
        assert sentence in said
        assert "OpenRaster" not in said
    assert not out.exists()


def test_a_result_that_cannot_be_written_is_told_first(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And formats that are not written here."""
    for out, sentence in (("no/out.png", "cannot be written"), ("out.jpg", ".png")):
        assert main(["upscale", str(picture), "-o", str(picture.with_name("x") / ".." / out)]) == 2
        assert sentence in capsys.readouterr().err
