"""Settings of `tapestry render`: each reaches the plan; those of regions travel with the scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.openraster.archive import Archive
from tapestry_backend.openraster.document import Document

QUICK = ["--steps", "1", "--quiet"]
SIZE = (48, 40)


def paint(width: int, height: int, colour: tuple[int, int, int] = (10, 120, 240)) -> Image.Image:
    """A flat area."""
    return Image.new("RGBA", (width, height), (*colour, 255))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Sky, and a group of grass, above snow."""
    layers = [
        Layer("sunset sky", paint(48, 12)),
        Group("green grass", [Layer("left half", paint(24, 10), 0, 30)]),
        Layer("snow", paint(*SIZE, (255, 255, 255))),
    ]
    write_ora(tmp_path / "scene.ora", SIZE, layers)
    return tmp_path / "scene.ora"


def rendered(scene: Path, *arguments: str, into: Path | None = None) -> dict[str, Any]:
    """The report of a run."""
    output, report = into or scene.with_name("out.png"), scene.with_name("report.json")
    command = ["render", str(scene), "-o", str(output), "--report", str(report)]
    assert main([*command, *QUICK, *arguments]) == 0
    return json.loads(report.read_text(encoding="utf-8"))


def picture_of(scene: Path, *arguments: str) -> np.ndarray:
    """The flat picture of a run."""
    rendered(scene, *arguments)
    with Image.open(scene.with_name("out.png")) as image:
        return np.array(image.convert("RGBA"))


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--scheduler", "dpmpp_2m_karras"], "scheduler", "dpmpp_2m_karras"),
        (["--feather", "4"], "feather_px", 4),
        (["--bootstrapping", "0.5"], "bootstrapping", 0.5),
        (["--windows", "shift"], "windows", "shift"),
        (["--window-weighting", "gaussian"], "window_weighting", "gaussian"),
        (["--fusion", "factors"], "fusion", "factors"),
        (["--coherence", "0"], "coherence", 0),
        (["--melt", "0.5"], "melt", 0.5),
        (["--speed", "balanced"], "speed", "balanced"),
        (["--extend", "right=8", "--under", "3"], "under_px", 3),
        (["--extend", "right=8", "--harmonise", "2"], "harmonise", 2),
        (["--extend", "right=8", "--no-continue"], "continue_regions", False),
        (["--refine", "sunset sky", "--strength", "0.75"], "strength", 0.75),
    ],
)
def test_a_setting_reaches_the_plan(
    scene: Path, arguments: list[str], field: str, value: object
) -> None:
    """Under the name that the wire gives it."""
    assert rendered(scene, *arguments)["plan"][field] == value


def test_a_draft_is_made_when_it_is_wanted(tmp_path: Path) -> None:
    """For a canvas that is higher than a window."""
    write_ora(tmp_path / "a.ora", (128, 200), [Layer("snow", paint(128, 200))])
    drafts = [
        rendered(tmp_path / "a.ora", "--composition", share)["plan"]["draft"]
        for share in ("0", "0.5")
    ]
    assert drafts[0] is None
    assert drafts[1] is not None


def test_places_are_brought_to_cells(scene: Path) -> None:
    """A stride, and the window that the others follow."""
    plan = rendered(scene, "--stride", "32", "--anchor", "left=40,top=3", "--coherence", "0.1")[
        "plan"
    ]
    cell = plan["cell_px"]
    assert plan["stride"] == [32 // cell, 32 // cell]
    down, right = plan["origin"]
    assert plan["anchor"] == [down + 3 // cell, right + 40 // cell]


def test_a_style_is_added_to_every_prompt(scene: Path) -> None:
    """To the background's, too."""
    regions = rendered(scene, "--style", "oil on canvas")["plan"]["regions"]
    assert [region["prompt"] for region in regions] == [
        "sunset sky, oil on canvas",
        "green grass, oil on canvas",
        "snow, oil on canvas",
    ]


def test_a_region_has_settings_of_its_own(scene: Path) -> None:
    """Named by its layer; the others have the picture's."""
    about = "weight=2,guidance=7.5,seed=9,fit=loose,negative=dark, wet"
    told = rendered(scene, "--region", "green grass", about, "--seed", "4")["plan"]["regions"]
    sky, grass, snow = told
    assert grass == {
        "prompt": "green grass",
        "negative_prompt": "dark, wet",
        "guidance_scale": 7.5,
        "weight": 2.0,
        "seed": 9,
        "fit": "loose",
        "strength": 1.0,
        "loras": [],
        "controls": [],
    }
    for other in (sky, snow):
        assert (other["seed"], other["weight"], other["negative_prompt"]) == (4, 1.0, "")


def test_settings_may_be_given_one_by_one(scene: Path) -> None:
    """The same region may be named again."""
    arguments = ["--region", "sunset sky", "seed=9", "--region", "sunset sky", "weight=3"]
    sky = rendered(scene, *arguments)["plan"]["regions"][0]
    assert (sky["seed"], sky["weight"]) == (9, 3.0)


def test_settings_travel_with_the_scene(scene: Path) -> None:
    """The saved scene needs no options to say them again, and the next ones override them."""
    saved = scene.with_name("saved.ora")
    arguments = [
        "--region",
        "sunset sky",
        'seed=9,negative=a "red" sun & more',
        "--extend",
        "left=8",
    ]
    arguments += ["--region", "green grass", "weight=2"]
    first = rendered(scene, *arguments, into=saved)["plan"]["regions"]
    again = rendered(saved, "--region", "sunset sky", "seed=10,fit=loose")["plan"]["regions"]
    assert first[0]["negative_prompt"] == 'a "red" sun & more'
    assert again[0] == {**first[0], "seed": 10, "fit": "loose"}
    assert again[1] == first[1]
    assert [node.left for node in Document.open(saved).layers[1:]] == [8, 0, 8]


def test_other_programs_can_read_what_travels(scene: Path) -> None:
    """The attribute's prefix is declared, and nothing else about the layer has changed."""
    saved = scene.with_name("saved.ora")
    rendered(scene, "--region", "sunset sky", "seed=9", into=saved)
    before, after = (Archive.open(path).read("stack.xml") for path in (scene, saved))
    _, layer, *rest = ET.fromstring(after)[0]  # noqa: S314  we wrote it ourselves
    assert layer.get("{urn:tapestry}region") == "seed=9"
    del layer.attrib["{urn:tapestry}region"]
    kept = ET.fromstring(before)[0]  # noqa: S314  likewise
    assert [ET.tostring(each) for each in kept] == [ET.tostring(layer), *map(ET.tostring, rest)]


def test_a_region_may_start_from_its_own_colours(scene: Path) -> None:
    """The less strength, the nearer to the paint; at none it is the paint."""
    grass = (slice(32, 40), slice(2, 22))
    colour = np.array([10, 120, 240])

    def distance(strength: str) -> float:
        about = ["--region", "green grass", f"strength={strength}", "--steps", "8"]
        picture = picture_of(scene, *about, "--scheduler", "ddim")
        return float(np.abs(picture[grass][..., :3] - colour).mean())

    kept, changed, ignored = (distance(strength) for strength in ("0", "0.4", "1"))
    assert kept < changed < ignored
    assert kept < 40


def test_a_strength_has_no_say_where_a_picture_is_there(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is said, not passed over."""
    output = scene.with_name("out.png")
    command = ["render", str(scene), "-o", str(output), "--extend", "left=8", "--steps", "1"]
    assert main([*command, "--region", "green grass", "strength=0.5"]) == 0
    assert "“green grass” counts only where the whole canvas" in capsys.readouterr().err


def test_notices_of_a_run_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A region that is too small to show does not vanish in silence."""
    layers = [Layer("lava", paint(2, 2), 20, 20), Layer("snow", paint(*SIZE))]
    write_ora(tmp_path / "a.ora", SIZE, layers)
    command = ["render", str(tmp_path / "a.ora"), "-o", str(tmp_path / "a.png"), "--steps", "1"]
    assert main(command) == 0
    assert "“lava” is too small" in capsys.readouterr().err
