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


def test_figures_of_upscaling_are_those_that_have_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture, enlarged a little."""
    monkeypatch.setattr(upscaling, "FACTOR", 2)
    monkeypatch.setattr(upscaling, "even_textures", lambda _: ("red bricks",))
    monkeypatch.setattr(upscaling, "scenes", lambda _: ())
    measured = upscaling.measure_upscaling(open_workbench(scope=Scope(quick=True, alone=True)))

    assert set(measured.figures) == set(GOALS["upscaling"])
    assert set(KEYS["upscaling"]) <= set(measured.figures)
    assert measured.figures["psnr"] == measured.figures["worst_psnr"] > 20
    assert 0 < measured.figures["evaluations"] < 1.5
    assert [picture.pixels.shape[0] for picture in measured.rows[0]] == [128, 256, 256]
