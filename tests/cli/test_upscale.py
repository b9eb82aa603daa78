"""`tapestry upscale` from a picture or a scene to a larger picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.openraster.png import decode_png, encode_png

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


def test_a_scene_that_shows_a_result_is_not_painted_again(tmp_path: Path) -> None:
    """What is there is enlarged; its regions still count."""
    scene = write_scene(tmp_path / "scene.ora", "Tapestry: snow (seed 0)", "snow", "lava")
    out = tmp_path / "out.png"
    ends = ["-o", str(out), "--strength", "0", *QUICK]
    assert main(["upscale", str(scene), "--factor", "2", *ends]) == 0

    assert pixels_of(out)[:30, :, :3].reshape(-1, 3).tolist() == [[0, 120, 240]] * (30 * 96)


def test_the_first_stage_is_kept_when_the_second_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stops it has waited for something already; what was there before stays there."""
    scene = write_scene(tmp_path / "scene.ora", "snow", "lava")
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")

    def stopped(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("tapestry_backend.tasks.upscaling._encoded", stopped)
    assert main(["upscale", str(scene), "-o", str(out), *QUICK]) == 130

    assert out.read_bytes() == b"mine"
    assert pixels_of(tmp_path / "out-first.png").shape == (40, 48, 4)
    assert "out-first.png" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out-first.png",
        "out.png",
        "scene.ora",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.png"], "cannot be read"),
        (["picture.jpg"], "a picture (.png) or a scene (.ora)"),
        (["picture.png", "--prompt", "x" * 5000], "5000 characters"),
        (["picture.png", "--factor", "9"], "number from 1 to 8"),
        (["picture.png", "--factor", "nan"], "number from 1 to 8"),
        (["picture.png", "--strength", "2"], "--strength"),
        (["picture.png", "--region", "snow", "weight=2"], "no layers"),
        (["broken.png"], "no PNG picture"),
    ],
)
def test_what_cannot_be_done_is_told(
    picture: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """Before anything is painted."""
    picture.with_name("broken.png").write_bytes(b"GIF89a" * 20)
    name, *rest = arguments
    out = picture.with_name("out.png")
    try:
        status = main(["upscale", str(picture.with_name(name)), "-o", str(out), *rest])
    except SystemExit as stopped:
        status = stopped.code

    assert status == 2
    assert sentence.replace("no layers", "has none") in capsys.readouterr().err
    assert not out.exists()


def test_a_result_that_cannot_be_written_is_told_first(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And formats that are not written here."""
    for out, sentence in (("no/out.png", "cannot be written"), ("out.jpg", ".png")):
        assert main(["upscale", str(picture), "-o", str(picture.with_name("x") / ".." / out)]) == 2
        assert sentence in capsys.readouterr().err
