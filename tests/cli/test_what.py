"""`tapestry what`: names for what a picture shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.openraster.png import encode_png
from tests.models.tiny_checkpoints import save_checkpoint

SIDE = 64


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """White with a little noise: snow."""
    rgba = np.random.default_rng(1).integers(246, 256, (SIDE, SIDE, 4), np.uint8)
    rgba[..., 3] = 255
    (tmp_path / "picture.png").write_bytes(encode_png(rgba))
    return tmp_path / "picture.png"


def test_names_are_printed_best_first(picture: Path, capsys) -> None:
    """And written with their figures."""
    report = picture.with_name("names.json")
    chosen = ["--among", "lava;snow;starry night", "--json", str(report), "--quiet"]
    assert main(["what", str(picture), *chosen]) == 0
    names = capsys.readouterr().out.splitlines()
    assert names[0] == "snow"
    assert sorted(names) == ["lava", "snow", "starry night"]
    told = json.loads(report.read_text(encoding="utf-8"))
    assert [each["name"] for each in told] == names
    assert told[0]["excess"] == 0


def test_a_model_without_a_vocabulary_has_to_be_told_names(picture: Path, tmp_path, capsys) -> None:
    """With the option that says them."""
    folder = save_checkpoint(tmp_path / "tiny")
    assert main(["what", str(picture), "--model", str(folder)]) == 2
    assert "--among" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--among", "snow"], "nothing to compare “snow” with"),
        (["--among", ";;"], "no names to compare"),
        (["--among", "snow;lava", "--select", "sky"], "no layer"),
        (["--among", "snow;lava", "--json", "picture.png"], "no kind of file"),
        (["--among", "snow;lava", "--model", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_named_is_refused(
    picture: Path, capsys, arguments: list[str], sentence: str
) -> None:
    """With a sentence."""
    assert main(["what", str(picture), *arguments, "--quiet"]) == 2
    assert sentence in capsys.readouterr().err


def test_a_layer_of_a_scene_is_looked_at_alone(tmp_path: Path, capsys) -> None:
    """By its name; what else the picture shows does not count."""
    rng = np.random.default_rng(1)
    white = rng.integers(246, 256, (SIDE, SIDE, 4), np.uint8)
    night = rng.integers(0, 30, (SIDE, SIDE, 4), np.uint8)
    night[..., 2] += 40
    for pixels in (white, night):
        pixels[..., 3] = 255
    left = Image.fromarray(white).crop((0, 0, SIDE // 2, SIDE))
    write_ora(
        tmp_path / "scene.ora",
        (SIDE, SIDE),
        [Layer("white", left), Layer("rest", Image.fromarray(night))],
    )
    asked = ["what", str(tmp_path / "scene.ora"), "--among", "snow;starry night", "--quiet"]
    assert main([*asked, "--select", "white"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "snow"


def test_a_picture_that_is_not_there_is_refused(tmp_path: Path, capsys) -> None:
    """By its name."""
    assert main(["what", str(tmp_path / "none.png"), "--among", "snow;lava"]) == 2
    assert "none.png" in capsys.readouterr().err
