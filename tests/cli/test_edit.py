"""`tapestry edit`: pictures and scenes changed with words, from the command line."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.ora import Layer, write_ora
from tapestry_backend.cli import main
from tapestry_backend.openraster.png import decode_png, encode_png
from tests.models.tiny_checkpoints import save_flux_2

QUICK = ["--steps", "2", "--quiet"]
WORDS = ["--from", "grass", "--to", "lava"]
HEIGHT, WIDTH = 48, 96


def pixels_of(path: Path) -> np.ndarray:
    """A picture file as uint8 [height, width, 4]."""
    return decode_png(path.read_bytes(), path.name)


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where inversions are kept."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Green at the left, white at the right, some noise over both."""
    rgba = np.random.default_rng(1).integers(0, 40, (HEIGHT, WIDTH, 4), np.uint8)
    rgba[:, : WIDTH // 2, 1] += 120
    rgba[:, WIDTH // 2 :, :3] += 210
    rgba[..., 3] = 255
    (tmp_path / "picture.png").write_bytes(encode_png(rgba))
    return tmp_path / "picture.png"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene with a region at the left, and a result over all of it."""
    half = Image.new("RGBA", (WIDTH // 2, HEIGHT), (30, 160, 40, 255))
    rgba = np.random.default_rng(2).integers(90, 255, (HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., 3] = 255
    shown = Image.fromarray(rgba)
    layers = [Layer("Tapestry: grass (seed 1)", shown), Layer("grass", half)]
    write_ora(tmp_path / "scene.ora", (WIDTH, HEIGHT), layers)
    return tmp_path / "scene.ora"


def test_a_picture_is_edited(picture: Path) -> None:
    """What is outside the mask stays to the bit; the report says what was done."""
    folder = picture.parent
    out, mask, report = (folder / name for name in ("out.png", "mask.png", "report.json"))
    extra = ["--mask-out", str(mask), "--report", str(report)]
    assert main(["edit", str(picture), "-o", str(out), *WORDS, *extra, *QUICK]) == 0

    before, after, changed = pixels_of(picture), pixels_of(out), pixels_of(mask)[..., 0] > 0
    assert np.array_equal(before[~changed], after[~changed])
    assert not np.array_equal(before[changed], after[changed])
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["edit"]["method"] == "diffedit"
    assert told["plan"]["strength"] == 0.8


def test_an_instruction_is_followed_with_a_reference(picture: Path, capsys) -> None:
    """Another picture; it is part of the plan, is never written over, and changes the result."""
    folder = picture.parent
    model = save_flux_2(folder / "klein", distilled=True)
    wool = folder / "wool.png"
    wool.write_bytes(encode_png(np.full((20, 30, 4), 255, np.uint8)))
    asked = ["edit", str(picture), "--instruction", "make it snow", "--model", str(model), *QUICK]
    out, plain, report = (folder / name for name in ("out.png", "plain.png", "report.json"))
    shown = ["--reference", str(wool)]
    assert main([*asked, "-o", str(out), *shown, "--report", str(report)]) == 0
    assert main([*asked, "-o", str(plain)]) == 0

    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["edit"]["references"] == 1
    assert not np.array_equal(pixels_of(out), pixels_of(plain))
    assert main([*asked, "-o", str(wool), *shown]) == 2
    assert "is a reference" in capsys.readouterr().err


def test_a_map_is_written_without_painting(picture: Path) -> None:
    """And no other output has to be named."""
    where = picture.with_name("map.png")
    assert main(["edit", str(picture), "--map-out", str(where), *WORDS, *QUICK]) == 0
    grey = pixels_of(where)
    assert grey.shape == (HEIGHT, WIDTH, 4)
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert grey[..., 0].max() > 200


@pytest.mark.parametrize("option", ["--threshold", "--strength"])
def test_a_map_takes_no_option_that_counts_nothing(picture: Path, capsys, option: str) -> None:
    """Nothing is painted by it."""
    where = picture.with_name("map.png")
    assert main(["edit", str(picture), "--map-out", str(where), *WORDS, option, "0.5"]) == 2
    assert f"{option} counts nothing" in capsys.readouterr().err


def test_a_selection_bounds_an_edit(picture: Path) -> None:
    """A mask in a file."""
    mask = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    mask[..., 3] = 255
    mask[8:24, 8:24, :3] = 255
    chosen, out = picture.with_name("chosen.png"), picture.with_name("out.png")
    chosen.write_bytes(encode_png(mask))
    extra = ["--select", str(chosen), "--threshold", "0"]
    assert main(["edit", str(picture), "-o", str(out), *WORDS, *extra, *QUICK]) == 0
    same = (pixels_of(out) == pixels_of(picture)).all(axis=2)
    assert same[mask[..., 0] == 0].all()
    assert not same[8:24, 8:24].all()


@pytest.mark.parametrize("name", ["Snow  field", "snow field"])
def test_the_lowest_layer_says_where_as_well(tmp_path: Path, name: str) -> None:
    """It covers all under the others; capitals and spaces do not count."""
    rgba = np.random.default_rng(2).integers(90, 255, (HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., 3] = 255
    half = Image.new("RGBA", (WIDTH // 2, HEIGHT), (30, 160, 40, 255))
    layers = [
        *(Layer("Tapestry: grass (seed 1)", Image.fromarray(rgba)), Layer("grass", half)),
        Layer(name, Image.new("RGBA", (WIDTH, HEIGHT), (250, 250, 250, 255))),
    ]
    write_ora(tmp_path / "scene.ora", (WIDTH, HEIGHT), layers)
    out, mask = tmp_path / "out.png", tmp_path / "mask.png"
    words = ["--from", "snow field", "--to", "lava", "--mask-out", str(mask)]
    assert main(["edit", str(tmp_path / "scene.ora"), "-o", str(out), *words, *QUICK]) == 0
    changed = pixels_of(mask)[..., 0]
    assert not changed[:, : WIDTH // 2].any()
    assert (changed[:, WIDTH // 2 :] == 255).all()


def test_an_instruction_needs_no_other_model(picture: Path) -> None:
    """What the bundled one became follows it; what is not selected stays to the bit."""
    out, report, mask = (picture.with_name(name) for name in ("out.png", "r.json", "select.png"))
    selected = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    selected[:, : WIDTH // 2] = 255
    mask.write_bytes(encode_png(selected))
    extra = ["--select", str(mask), "--report", str(report), "--instruction", "make it lava"]
    assert main(["edit", str(picture), "-o", str(out), *extra, *QUICK]) == 0

    before, after = pixels_of(picture), pixels_of(out)
    assert np.array_equal(before[:, WIDTH // 2 :], after[:, WIDTH // 2 :])
    assert not np.array_equal(before[:, : WIDTH // 2], after[:, : WIDTH // 2])
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["edit"]["method"] == "instruct"
    assert told["model"] == "sample-edit"


def test_a_layer_of_that_name_says_where(scene: Path) -> None:
    """The edited scene has one layer more, which is transparent elsewhere."""
    out = scene.with_name("out.ora")
    assert main(["edit", str(scene), "-o", str(out), *WORDS, *QUICK]) == 0
    with zipfile.ZipFile(out) as archive:
        assert "Tapestry: lava, edited (seed 0)" in archive.read("stack.xml").decode()
        (new,) = set(archive.namelist()) - set(zipfile.ZipFile(scene).namelist())
        alpha = decode_png(archive.read(new), new)[..., 3]
    assert (alpha[:, :32] == 255).all()
    assert (alpha[:, 80:] == 0).all()


def test_a_scene_without_such_a_layer_is_searched(scene: Path) -> None:
    """As a picture is."""
    out, report = scene.with_name("out.png"), scene.with_name("report.json")
    words = ["--from", "sand", "--to", "lava", "--report", str(report)]
    assert main(["edit", str(scene), "-o", str(out), *words, *QUICK]) == 0
    assert 0 < json.loads(report.read_text(encoding="utf-8"))["edit"]["changed"] < 1


def test_a_cut_out_keeps_its_outline(picture: Path) -> None:
    """Of every pixel the opacity stays, also of those that are faint."""
    before = pixels_of(picture).copy()
    before[:16, :, 3], before[16:24, :, 3] = 0, 90
    picture.write_bytes(encode_png(before))
    out = picture.with_name("out.png")
    assert main(["edit", str(picture), "-o", str(out), *WORDS, "--threshold", "0", *QUICK]) == 0
    after = pixels_of(out)
    assert np.array_equal(after[..., 3], before[..., 3])
    assert not np.array_equal(after[16:24, :, :3], before[16:24, :, :3])


def test_a_picture_is_not_written_over_itself(picture: Path, scene: Path, capsys) -> None:
    """Also behind a link; a scene gets one more layer, and keeps all that it had."""
    before = picture.read_bytes()
    link = picture.with_name("link.png")
    link.symlink_to(picture)
    for out in (picture, link):
        assert main(["edit", str(picture), "-o", str(out), *WORDS, *QUICK]) == 2
        told = capsys.readouterr().err
        assert "is what is edited: as it is now, it would be lost." in told
        assert "a name of its own" in told
    assert picture.read_bytes() == before
    with zipfile.ZipFile(scene) as archive:
        layers = {name: archive.read(name) for name in archive.namelist() if "data" in name}
    assert main(["edit", str(scene), "-o", str(scene), *WORDS, *QUICK]) == 0
    with zipfile.ZipFile(scene) as archive:
        assert {name: archive.read(name) for name in layers} == layers


def test_a_result_is_not_written_over_its_mask(picture: Path, capsys) -> None:
    """The file that says where stays, too."""
    mask = picture.with_name("mask.png")
    mask.write_bytes(picture.read_bytes())
    files = ["-o", str(mask), "--select", str(mask)]
    assert main(["edit", str(picture), *files, *WORDS, *QUICK]) == 2
    assert "says where something is painted" in capsys.readouterr().err
    assert mask.read_bytes() == picture.read_bytes()


@pytest.mark.parametrize("other", ["picture.png", "out.png"])
def test_a_mask_has_a_file_of_its_own(picture: Path, capsys, other: str) -> None:
    """It would overwrite the picture, or the result."""
    before = picture.read_bytes()
    files = ["-o", str(picture.with_name("out.png")), "--mask-out", str(picture.with_name(other))]
    assert main(["edit", str(picture), *files, *WORDS, *QUICK]) == 2
    assert "are one file" in capsys.readouterr().err
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "lava", "--to", "lava"], "are the same"),
        (["--to", "lava", "--method", "p2p"], "must know what the picture shows now"),
        (["--from", "grass", "--to", " "], "what the picture shall become"),
        ([*WORDS, "--strength", "0"], "nothing changes"),
        (["--from", "grass"], "what the picture shall become"),
        ([*WORDS, "--instruction", "make it snow"], "count nothing beside it"),
        (["--from", "", "--to", ""], "what the picture shall become"),
        (["--method", "instruct"], "no instruction"),
        (["--method", "diffedit", "--instruction", "make it snow"], "follows no instruction"),
        ([*WORDS, "--cross-attention", "0.5"], "--cross-attention counts nothing"),
        ([*WORDS, "--picture-scale", "2"], "--picture-scale counts nothing"),
        ([*WORDS, "--reference", "wool.png"], "--reference counts nothing"),
        (["--instruction", "make it snow", "--reference", "wool.png"], "cannot be read"),
        (["--instruction", "make it snow", *5 * ("--reference", "w.png")], "shown 4 at most"),
        ([*WORDS, "--learning-steps", "9"], "--learning-steps counts nothing"),
        ([*WORDS, "--method", "ddib", "--threshold", "0.5"], "--threshold counts nothing"),
        ([*WORDS, "--map-out", "map.png"], "nothing for -o"),
        ([*WORDS, "--cycle"], "--cycle counts nothing with the method \u201cdiffedit\u201d"),
        ([*WORDS, "--from-model", "sample"], "--from-model counts nothing"),
        ([*WORDS, "--method", "ddib", "--from-model", "nowhere"], "nowhere"),
        ([*WORDS, "--method", "imagic"], "--from counts nothing"),
        (["--to", " ", "--method", "imagic"], "what the picture shall become"),
        ([*WORDS, "--select", "sky"], "no layer"),
        ([*WORDS, "--select", "none.png"], "cannot be read"),
        ([*WORDS, "-o", "out.ora"], "no layers to save"),
        ([*WORDS, "-o", "out.jpg"], "no kind of file"),
    ],
)
def test_what_cannot_be_edited_is_refused(
    picture: Path, capsys, monkeypatch, arguments: list[str], sentence: str
) -> None:
    """With a sentence, before anything is loaded."""
    monkeypatch.chdir(picture.parent)
    assert main(["edit", str(picture), "-o", "out.png", *arguments, *QUICK]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("out.png").exists()


def test_no_output_at_all_is_refused(picture: Path, capsys) -> None:
    """There would be nothing to keep."""
    assert main(["edit", str(picture), *WORDS, *QUICK]) == 2
    assert "where the result goes" in capsys.readouterr().err


def test_a_scene_that_shows_no_picture_is_refused(tmp_path: Path, capsys) -> None:
    """Its regions are paint, not a picture."""
    paint = Image.new("RGBA", (WIDTH, HEIGHT), (30, 160, 40, 255))
    write_ora(tmp_path / "scene.ora", (WIDTH, HEIGHT), [Layer("grass", paint), Layer("sky", paint)])
    out = str(tmp_path / "out.png")
    assert main(["edit", str(tmp_path / "scene.ora"), "-o", out, *WORDS, *QUICK]) == 2
    assert "Render it first" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="the data folder is named by the environment")
def test_a_second_edit_does_not_invert_again(picture: Path, data_home: Path) -> None:
    """It is the same picture, for half of the evaluations."""
    reports, results = [], []
    for number in range(2):
        out, report = picture.with_name(f"out{number}.png"), picture.with_name(f"r{number}.json")
        ends = ["-o", str(out), "--report", str(report), "--threshold", "0", *QUICK]
        assert main(["edit", str(picture), *WORDS, *ends]) == 0
        told = json.loads(report.read_text(encoding="utf-8"))
        assert told["edit"]["inversion_reused"] is (number == 1)
        reports.append(told["unet_evaluations"])
        results.append(out.read_bytes())
    (kept,) = (data_home / "tapestry" / "inversions").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert results[0] == results[1]
    assert reports[1] < reports[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the data folder is named by the environment")
def test_a_picture_that_was_learned_is_not_learned_again(picture: Path, data_home: Path) -> None:
    """However far the words then count."""
    learned = []
    for number, amount in enumerate(("0.3", "1")):
        out, report = picture.with_name(f"out{number}.png"), picture.with_name(f"r{number}.json")
        words = ["--to", "lava", "--method", "imagic", "--learning-steps", "2"]
        ends = ["-o", str(out), "--report", str(report), "--interpolation", amount, *QUICK]
        assert main(["edit", str(picture), *words, *ends]) == 0
        learned.append(json.loads(report.read_text(encoding="utf-8"))["edit"]["learned_now"])
    assert learned == [2, 0]
    (kept,) = (data_home / "tapestry" / "learned").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
