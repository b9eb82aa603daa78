"""Refining and filling a part of a scene from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Group, Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.openraster.document import Document

QUICK = ["--steps", "2"]
SIZE = (48, 40)
HOLE = (slice(10, 26), slice(20, 40))
"""Where the layer "hole" is painted: rows and columns."""


def noise() -> Image.Image:
    """A picture that no model would paint again."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert("RGBA")


def hole_in(layers: list[Layer | Group], path: Path) -> Path:
    """A scene of these layers above a picture."""
    write_ora(path, SIZE, [*layers, Layer("Background", noise())])
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A picture with a hidden layer "hole"."""
    hole = Layer("hole", Image.new("RGBA", (20, 16), "red"), 20, 10, visible=False)
    return hole_in([hole], tmp_path / "scene.ora")


def rendered(scene: Path, *arguments: str) -> np.ndarray:
    """The flat picture of a run."""
    output = scene.with_name("out.png")
    assert main(["render", str(scene), "-o", str(output), *QUICK, *arguments]) == 0
    with Image.open(output) as image:
        return np.array(image.convert("RGBA"))


@pytest.mark.parametrize("task", ["--refine", "--fill"])
def test_only_selected_pixels_change(scene: Path, task: str) -> None:
    """Bit for bit outside of a hidden layer's paint."""
    before = Document.open(scene).flattened
    after = rendered(scene, task, "hole", "--background", "snow")
    outside = np.ones(before.shape[:2], bool)
    outside[HOLE] = False
    assert (after[outside] == before[outside]).all()
    assert (after[HOLE] != before[HOLE]).any(axis=-1).mean() > 0.9


def test_refining_keeps_more_than_filling(scene: Path) -> None:
    """A little strength changes a little."""
    before = Document.open(scene).flattened[HOLE].astype(int)
    few = ["--steps", "8", "--scheduler", "ddim"]

    def change(*arguments: str) -> float:
        return float(np.abs(rendered(scene, *arguments, *few)[HOLE] - before).mean())

    little = change("--refine", "hole", "--strength", "0.2")
    much = change("--refine", "hole", "--strength", "0.9")
    assert little < much
    assert little < change("--fill", "hole")


@pytest.mark.parametrize(("task", "word"), [("--refine", "refined"), ("--fill", "filled")])
def test_the_result_is_a_layer_of_the_selection_alone(scene: Path, task: str, word: str) -> None:
    """On top, transparent elsewhere; the hidden layer is no prompt."""
    output = scene.with_name("out.ora")
    command = ["render", str(scene), "-o", str(output), "--quiet", *QUICK, "--seed", "7"]
    assert main([*command, task, "hole"]) == 0
    document = Document.open(output)
    top = document.layers[0]
    assert top.name == f"Tapestry: {word} (seed 7)"
    bounds, alpha = document.alpha(top, document.bounds)
    assert (bounds.top, bounds.left, bounds.bottom, bounds.right) == (10, 20, 26, 40)
    assert (alpha == 255).all()
    assert [node.name for node in document.layers[1:]] == ["hole", "Background"]


@pytest.mark.parametrize("kind", ["white on black", "paint on nothing", "grey"])
def test_a_mask_may_be_a_file(scene: Path, kind: str) -> None:
    """White where it shall be painted; or, as with a layer, where it is not transparent."""
    mask = scene.with_name("mask.png")
    if kind == "paint on nothing":
        picture = Image.new("RGBA", SIZE)
        picture.paste("black", (20, 10, 40, 26))
    else:
        picture = Image.new("L" if kind == "grey" else "RGB", SIZE)
        picture.paste("white", (20, 10, 40, 26))
    picture.save(mask)
    by_file = rendered(scene, "--fill", str(mask), "--background", "snow")
    by_layer = rendered(scene, "--fill", "hole", "--background", "snow")
    assert (by_file == by_layer).all()


def test_a_layer_that_is_called_like_a_file_is_a_layer(tmp_path: Path, monkeypatch) -> None:
    """The scene comes first."""
    hole = Layer("mask.png", Image.new("RGBA", (20, 16), "red"), 20, 10, visible=False)
    scene = hole_in([hole], tmp_path / "scene.ora")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mask.png").write_text("no picture", encoding="utf-8")
    before = Document.open(scene).flattened
    assert (rendered(scene, "--fill", "mask.png")[HOLE] != before[HOLE]).any()


def test_a_layer_inside_of_a_group_selects_too(tmp_path: Path) -> None:
    """A group for selections is a tidy place for them."""
    hole = Layer("hole", Image.new("RGBA", (20, 16), "red"), 20, 10)
    scene = hole_in([Group("selections", [hole], visible=False)], tmp_path / "scene.ora")
    before = Document.open(scene).flattened
    after = rendered(scene, "--fill", "hole")
    assert (after[HOLE] != before[HOLE]).any()
    assert (after[30:] == before[30:]).all()


def test_a_visible_layer_says_what_is_filled_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name stays a prompt: paint a blob, name it, fill it. That is said, too."""
    blob = Layer("red bricks", Image.new("RGBA", (20, 16), "red"), 20, 10)
    scene = hole_in([blob], tmp_path / "scene.ora")
    output = scene.with_name("out.ora")
    assert main(["render", str(scene), "-o", str(output), *QUICK, "--fill", "red bricks"]) == 0
    assert Document.open(output).layers[0].name == "Tapestry: red bricks, filled (seed 0)"
    assert "“red bricks” is a region too" in capsys.readouterr().err


def test_an_extension_may_lie_under_a_soft_edge(tmp_path: Path) -> None:
    """The result is the lowest layer, and what was transparent at the edge shows it."""
    soft = noise()
    fading = np.linspace(255, 0, 8).astype(np.uint8)
    alpha = np.full((40, 48), 255, np.uint8)
    alpha[:, 40:] = fading
    soft.putalpha(Image.fromarray(alpha))
    write_ora(tmp_path / "scene.ora", SIZE, [Layer("Background", soft)])
    output = tmp_path / "out.ora"
    command = ["render", str(tmp_path / "scene.ora"), "-o", str(output), "--quiet", *QUICK]
    assert main([*command, "--extend", "right=16", "--under", "8", "--background", "snow"]) == 0
    before, after = Document.open(tmp_path / "scene.ora"), Document.open(output)
    assert [node.name for node in after.layers] == [
        "Background",
        "Tapestry: snow, extended (seed 0)",
    ]
    bounds, _ = after.alpha(after.layers[1], after.bounds)
    assert (bounds.left, bounds.right) == (40, 64)
    assert (after.flattened[:, :40] == before.flattened[:, :40]).all()
    assert (after.flattened[..., 3] == 255).all()


@pytest.mark.parametrize("kind", ["layer", "mask"])
def test_a_selection_of_nothing_leaves_the_picture_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """And says so."""
    layers = [Layer("clear", Image.new("RGBA", SIZE), visible=False)]
    scene = hole_in(list(layers), tmp_path / "scene.ora")
    mask = tmp_path / "black.png"
    Image.new("L", SIZE).save(mask)
    where = "clear" if kind == "layer" else str(mask)
    after = rendered(scene, "--fill", where, "--background", "snow")

    assert (after == Document.open(scene).flattened).all()
    assert "Nothing is selected" in capsys.readouterr().err
