"""`--provenance`: what made a picture stands in its files, and nothing without being asked."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.cli.batch_manifest import NAME
from tests.provenance.certificates import write_chain

QUICK = ["--steps", "1", "--quiet"]
ALL = "trainedAlgorithmicMedia"
PART = "compositeWithTrainedAlgorithmicMedia"


def paint(width: int, height: int) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (10, 120, 240, 255))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Snow above grass, 32 x 24 pixels."""
    layers = [Layer("snow", paint(32, 12)), Layer("green grass", paint(32, 12), 0, 12)]
    write_ora(tmp_path / "scene.ora", (32, 24), layers)
    return tmp_path / "scene.ora"


def texts_of(png: bytes) -> dict[str, str]:
    """The texts that a PNG carries."""
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        return {name: str(text) for name, text in image.info.items() if isinstance(text, str)}


def inside(path: Path) -> dict[str, bytes]:
    """The pictures in an .ora file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}


def record_in(png: bytes) -> dict[str, Any]:
    """The whole record; raises KeyError where there is none."""
    record: dict[str, Any] = json.loads(texts_of(png)["Tapestry"])
    return record


def source_type(png: bytes) -> str:
    """As the record and the XMP say alike."""
    uri = record_in(png)["digital_source_type"]
    assert f"<Iptc4xmpExt:DigitalSourceType>{uri}<" in texts_of(png)["XML:com.adobe.xmp"]
    return uri.rpartition("/")[2]


def test_it_is_off_unless_asked_for(scene: Path) -> None:
    """Neither the picture nor the scene says anything; and with it the pixels are the same."""
    plain, told, ora = (scene.with_name(name) for name in ("plain.png", "told.png", "plain.ora"))
    assert main(["render", str(scene), "-o", str(plain), "-o", str(ora), *QUICK]) == 0
    assert main(["render", str(scene), "-o", str(told), "--provenance", *QUICK]) == 0
    assert texts_of(plain.read_bytes()) == {}
    assert [texts_of(png) for png in inside(ora).values()] == [{}] * len(inside(ora))
    with Image.open(plain) as one, Image.open(told) as other:
        assert (np.array(one) == np.array(other)).all()
    assert source_type(told.read_bytes()) == ALL


def test_a_scene_carries_it_but_not_in_the_artists_layers(scene: Path) -> None:
    """Its flattened picture is a composite, what lies on top is the model's alone."""
    ora = scene.with_name("out.ora")
    command = ["render", str(scene), "-o", str(ora), "--extend", "right=16", "--provenance"]
    assert main([*command, *QUICK]) == 0
    before, after = inside(scene), inside(ora)
    assert source_type(after["mergedimage.png"]) == PART
    assert source_type(after["data/tapestry-1.png"]) == ALL
    assert record_in(after["mergedimage.png"])["generated"]["bounds"] == {
        "top": 0,
        "left": 32,
        "bottom": 24,
        "right": 48,
    }
    for name in ("data/layer0.png", "data/layer1.png"):
        assert after[name] == before[name]


def test_a_second_picture_does_not_speak_for_the_first(scene: Path) -> None:
    """Each result keeps its own record when the scene is painted again."""
    for seed in ("1", "2"):
        command = ["render", str(scene), "-o", str(scene), "--seed", seed, "--provenance"]
        assert main([*command, *QUICK]) == 0
    pictures = inside(scene)
    assert record_in(pictures["data/tapestry-1.png"])["request"]["seed"] == 1
    assert record_in(pictures["data/tapestry-2.png"])["request"]["seed"] == 2
    assert record_in(pictures["mergedimage.png"])["request"]["seed"] == 2


def test_edits_and_larger_pictures_carry_it(scene: Path) -> None:
    """What was there before makes a composite; a scene that is painted first does not."""
    png, edited, large, larger = (
        scene.with_name(name) for name in ("a.png", "edited.png", "large.png", "larger.ora")
    )
    assert main(["render", str(scene), "-o", str(png), *QUICK]) == 0
    select = scene.with_name("select.png")
    Image.new("L", (32, 24), 255).save(select)
    told = ["--provenance", *QUICK]
    words = ["--method", "ddib", "--from", "snow", "--to", "lava", "--select", str(select)]
    assert main(["edit", str(png), *words, "-o", str(edited), "--provenance", "--quiet"]) == 0
    assert main(["upscale", str(png), "-o", str(large), *told]) == 0
    assert main(["upscale", str(scene), "-o", str(larger), *told]) == 0
    assert source_type(edited.read_bytes()) == PART
    assert source_type(large.read_bytes()) == PART
    merged = inside(larger)["mergedimage.png"]
    assert source_type(merged) == ALL
    (snow, _) = record_in(merged)["generated"]["regions"]
    assert snow == {"prompt": "snow", "bounds": {"top": 0, "left": 0, "bottom": 24, "right": 64}}


def test_pictures_and_scenes_are_signed(scene: Path, tmp_path: Path) -> None:
    """A scene in its flattened picture."""
    import c2pa

    chain = write_chain(tmp_path)
    png, ora = tmp_path / "out.png", tmp_path / "out.ora"
    signing = ["--certificate", str(chain.certificate), "--private-key", str(chain.private_key)]
    command = ["render", str(scene), "-o", str(png), "-o", str(ora), "--provenance", *signing]
    assert main([*command, *QUICK]) == 0
    settings = {"trust": {"user_anchors": chain.root.read_text(encoding="ascii")}}
    for data in (png.read_bytes(), inside(ora)["mergedimage.png"]):
        assert source_type(data) == ALL
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader("image/png", io.BytesIO(data), context=context) as reader,
        ):
            assert reader.get_validation_state() == "Trusted"


def test_a_batch_writes_it_into_each_picture(scene: Path, tmp_path: Path) -> None:
    """Pictures that lack it are not right, once it is asked for; then they are."""
    out = tmp_path / "out"
    command = ["batch", str(scene), "-o", str(out), *QUICK]
    assert main(command) == 0
    assert texts_of((out / "scene-seed0.png").read_bytes()) == {}
    for _ in range(2):
        assert main([*command, "--provenance"]) == 0
        record = record_in((out / "scene-seed0.png").read_bytes())
        line = json.loads((out / NAME).read_text(encoding="utf-8"))
        assert record["model"]["sha256"] == line["model"]["sha256"]
        assert record["request"] == {**line["request"], "model": "sample"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--certificate", "a.pem", "--private-key", "b.pem"], "Add --provenance."),
        (["--provenance", "--certificate", "a.pem"], "only one is given"),
        (["--provenance", "--private-key", "b.pem"], "only one is given"),
        (["--provenance", "--certificate", "a.pem", "--private-key", "b.pem"], "cannot be read"),
    ],
)
def test_what_cannot_be_signed_is_not_painted(
    scene: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said at once."""
    out = scene.with_name("out.png")
    assert main(["render", str(scene), "-o", str(out), *options, *QUICK]) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()
