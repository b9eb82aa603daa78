"""LoRAs and control pictures of `tapestry render`, for a scene and for its regions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document
from tests.models.adapters.tiny_adapters import save_kohya_lora, save_peft_lora, save_t2i_adapter
from tests.models.tiny_checkpoints import save_checkpoint

SIZE = (64, 64)


def paint(width: int, height: int, colour: str = "blue") -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), colour)


def a_sketch() -> Image.Image:
    """A line on a transparent layer."""
    picture = Image.new("RGBA", SIZE)
    ImageDraw.Draw(picture).line([(4, 60), (60, 4)], fill="black", width=3)
    return picture


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> Path:
    """A folder with a checkpoint, `tiny`, and adapters for it."""
    import diffusers

    folder = tmp_path_factory.mktemp("kit")
    save_checkpoint(folder / "tiny", channels=4)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        folder / "tiny", safety_checker=None
    )
    adapters = folder / "adapters"
    adapters.mkdir()
    save_t2i_adapter(adapters / "pencil", pipeline.unet)
    save_peft_lora(adapters / "grain.safetensors", pipeline)
    save_kohya_lora(adapters / "oil.safetensors", adapters / "grain.safetensors", ("unet",))
    return folder


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A sketch above a lake, above snow."""
    layers = [
        Layer("sketch", a_sketch()),
        Layer("lake", paint(30, 64)),
        Layer("snow", paint(*SIZE, "white")),
    ]
    write_ora(tmp_path / "scene.ora", SIZE, layers)
    return tmp_path / "scene.ora"


def rendered(kit: Path, scene: Path, *arguments: str) -> tuple[dict[str, Any], np.ndarray]:
    """The report of a run, and its flat picture."""
    output, report = scene.with_name("out.png"), scene.with_name("report.json")
    command = ["render", str(scene), "-o", str(output), "--report", str(report), "--quiet"]
    named = ["--model", str(kit / "tiny"), "--adapter", str(kit / "adapters"), "--steps", "2"]
    assert main([*command, *named, *arguments]) == 0
    with Image.open(output) as image:
        picture = np.array(image.convert("RGB"))
    return json.loads(report.read_text(encoding="utf-8")), picture


SHOW = ("--control", "pencil", "layer=sketch,show=lines,weight=1.5,end=0.9")


def test_loras_and_controls_reach_the_plan_and_the_picture(kit: Path, scene: Path) -> None:
    """The picture's are everyone's, a region's its own; what is shown is no region."""
    _, plain = rendered(kit, scene, *SHOW[:2], "layer=sketch,weight=0")
    report, picture = rendered(
        *(kit, scene, *SHOW, "--lora", "grain:0.5"), "--region", "lake", "lora=oil;grain:0.25"
    )
    lake, snow = report["plan"]["regions"]

    assert [region["prompt"] for region in (lake, snow)] == ["lake", "snow"]
    assert snow["loras"] == [{"adapter": "grain", "weight": 0.5}]
    assert sorted((lora["adapter"], lora["weight"]) for lora in lake["loras"]) == [
        ("grain", 0.25),
        ("oil", 1.0),
    ]
    assert [control["weight"] for control in snow["controls"]] == [1.5]
    assert (snow["controls"][0]["preprocessor"], snow["controls"][0]["end"]) == ("lines", 0.9)
    assert not np.array_equal(picture, plain)


def test_a_control_picture_for_one_region(kit: Path, scene: Path) -> None:
    """And the map of the regions, which needs no layer."""
    report, _ = rendered(
        *(kit, scene, "--control", "pencil", "layer=sketch,region=lake"),
        *("--control", "pencil", "show=regions"),
    )
    lake, snow = report["plan"]["regions"]

    assert [control["preprocessor"] for control in lake["controls"]] == ["regions", "none"]
    assert [control["preprocessor"] for control in snow["controls"]] == ["regions"]


def test_a_regions_lora_travels_with_the_scene(kit: Path, scene: Path) -> None:
    """What was said about it once is written beside the layer."""
    saved = scene.with_name("saved.ora")
    rendered(kit, scene, *SHOW, "--region", "lake", "lora=oil:0.5", "-o", str(saved))
    (settings,) = (node.settings for node in Document.open(saved).layers if node.name == "lake")
    assert settings == "lora=oil:0.5"

    report, _ = rendered(kit, saved, *SHOW)
    assert report["plan"]["regions"][0]["loras"] == [{"adapter": "oil", "weight": 0.5}]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lora", "gloom"], "There is no LoRA “gloom”. Choose one of: "),
        (["--lora", "pencil"], "There is no LoRA “pencil”"),
        (["--lora", "grain:9"], "is no number between -4 and 4"),
        (["--lora", ":1"], "is no LoRA with its weight"),
        (["--lora", ";".join(["grain"] * 9)], "more than 8"),
        (["--region", "lake", "lora=oil:x"], "is no number"),
        (["--region", "lake", "lora=gloom"], "There is no LoRA “gloom”"),
        (
            ["--control", "grain", "layer=sketch"],
            "T2I-Adapter or IP-Adapter “grain”",
        ),
        (["--control", "pencil", "layer=scrawl"], "No layer is called “scrawl”. The layers are"),
        (["--control", "pencil", "layer=sketch,region=sea"], "No region is called “sea”"),
        (["--control", "pencil", "layer=sketch,show=depth"], "is none of none, lines, canny"),
        (["--control", "pencil", "layer=sketch,mood=1"], "is no setting"),
        (["--control", "pencil", "layer=sketch,show=regions"], "one beside the map of regions"),
        (["--control", "pencil", ""], "names no layer"),
        (["--control", "pencil", "layer=sketch,start=0.5,end=0.2"], "ends before it starts"),
        (["--adapter", "nowhere"], "There is no adapter “nowhere”"),
    ],
)
def test_whatever_is_wrong_gets_a_sentence(
    kit: Path, scene: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """Before anything is loaded."""
    command = ["render", str(scene), "-o", str(scene.with_name("out.png"))]
    try:
        status = main([*command, "--adapter", str(kit / "adapters"), *arguments])
    except SystemExit as refused:  # what argparse refuses by itself
        status = refused.code
    said = capsys.readouterr().err

    assert status == 2
    assert sentence in said
    assert "Traceback" not in said


def test_a_scene_from_elsewhere_is_painted_without_the_lora_that_it_names(
    kit: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if `lora=` had switched it off; what is said on this computer must be there."""
    _, wanted = rendered(kit, scene, "--region", "lake", "lora=")
    archive = Archive.open(scene)
    stack = archive.read("stack.xml").replace(
        b'name="lake"', b'name="lake" tapestry:region="lora=gone:0.5"'
    )
    scene.write_bytes(archive.copy({"stack.xml": stack}))
    _, picture = rendered(kit, scene)
    assert (picture == wanted).all()

    command = ["render", str(scene), "-o", str(scene.with_name("out.ora")), "--steps", "1"]
    named = ["--model", str(kit / "tiny"), "--adapter", str(kit / "adapters")]
    assert main([*command, *named]) == 0
    assert "There is no LoRA “gone”. The region “lake”" in capsys.readouterr().err
    assert b"lora=gone:0.5" in Archive.open(scene.with_name("out.ora")).read("stack.xml")
    assert main([*command, *named, "--region", "lake", "lora=gone"]) != 0
    assert "There is no LoRA “gone”" in capsys.readouterr().err
