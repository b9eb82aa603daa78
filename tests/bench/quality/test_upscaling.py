"""The measure of upscaling: what it sees, and what it takes for the same picture."""

import numpy as np
import pytest
from PIL import Image

from tapestry_backend.bench.common.goals import GOALS, KEYS
from tapestry_backend.bench.quality import upscaling
from tapestry_backend.bench.quality.run import open_workbench
from tapestry_backend.bench.quality.workbench import Scope


def test_the_nearness_to_the_first_stage_is_that_of_the_shrunk_picture() -> None:
    """What is finer than a pixel of it does not count; a shift of colour does."""
    first = np.random.default_rng(0).integers(40, 200, (16, 24, 3), np.uint8)
    larger = np.asarray(Image.fromarray(first).resize((96, 64), Image.Resampling.NEAREST))
    grain = larger.copy()
    grain[::2, ::2] += 8
    grain[1::2, ::2] -= 8

    assert upscaling._psnr(larger, first) > 90
    assert upscaling._psnr(grain, first) > 90
    assert upscaling._psnr(larger + 8, first) == pytest.approx(20 * np.log10(255 / 8))


def test_a_horizon_is_no_seam() -> None:
    """In a scene windows are looked at side by side; a texture has no lines of its own."""
    picture = np.random.default_rng(1).integers(100, 140, (64, 64, 3), np.uint8)
    picture[:32] += 100
    scene = upscaling._UpscaledPicture(picture, 0, [4])

    assert upscaling._seams(scene, 8, even=False) < 1.3
    assert upscaling._seams(scene, 8, even=True) > 1.5


def test_its_figures_are_those_that_have_goals(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A texture, a scene and a thing, enlarged a little, by all that is compared."""
    monkeypatch.setattr(upscaling, "FACTOR", 2)
    monkeypatch.setattr(upscaling, "even_textures", lambda _: ("red bricks",))
    monkeypatch.setattr(upscaling, "scenes", lambda _: ("sandy beach",))
    monkeypatch.setattr(upscaling, "RED_THINGS", ("a red boat",))
    monkeypatch.setattr(upscaling, "single_windows", lambda *_: np.zeros((1, 3, 128, 128, 3)))
    monkeypatch.setattr(upscaling.HeightJudge, "taught", lambda *_: SeesOne())
    measured = upscaling.measure_upscaling(bench)

    assert set(measured.figures) == set(GOALS["upscaling"])
    assert set(KEYS["upscaling"]) <= set(measured.figures)
    assert measured.figures["worst_psnr"] <= measured.figures["psnr"]
    assert 0 < measured.figures["evaluations"] <= 1
    assert measured.figures["demofusion_evaluations"] > measured.figures["tiles_evaluations"]
    assert measured.figures["one_horizon"] == 1
    shown = [[picture.pixels.shape[0] for picture in row] for row in measured.rows]
    assert shown == [[128, *[256] * 5]] * 3
    assert measured.figures["enlarged_objects"] == 1
    assert measured.figures["enlarged_specks"] == 0


class SeesOne:
    """A judge that is content with what is two windows high."""

    def sees_one_horizon(self, picture: np.ndarray, prompt: str) -> bool:
        """Of the scene alone."""
        assert prompt == "sandy beach"
        return picture.shape[:2] == (256, 256)


def test_without_peers_and_scenes_the_figures_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """For finding good settings: Tapestry alone."""
    monkeypatch.setattr(upscaling, "FACTOR", 2)
    monkeypatch.setattr(upscaling, "even_textures", lambda _: ("red bricks",))
    monkeypatch.setattr(upscaling, "scenes", lambda _: ())
    monkeypatch.setattr(upscaling, "RED_THINGS", ())
    measured = upscaling.measure_upscaling(open_workbench(scope=Scope(quick=True, alone=True)))

    assert set(measured.figures) < set(GOALS["upscaling"])
    assert measured.figures["psnr"] == measured.figures["worst_psnr"] > 20
    unseen = ("horizon", "tiles", "objects", "specks")
    assert not any(word in name for name in measured.figures for word in unseen)
