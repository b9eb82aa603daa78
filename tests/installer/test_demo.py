"""The demo's pictures, made as the first thing that a new user sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from installer.demo import SCENES, render_scenes
from installer.paths import ROOT, TAPESTRY
from tapestry_backend.openraster.document import Document


@pytest.mark.skipif(not TAPESTRY.exists(), reason="this environment was not made by the installer")
def test_all_scenes_are_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layered and flat; the extension keeps the painted picture; the times and places are said."""
    render_scenes(tmp_path, ["--steps", "2"])
    said = capsys.readouterr().out
    pictures = {}
    for scene in SCENES:
        name = scene.kept_as or scene.name
        flat, layered = tmp_path / f"{name}.png", tmp_path / f"{name}.ora"
        assert str(flat) in said
        assert str(layered) in said
        with Image.open(flat) as image:
            pixels = np.array(image.convert("RGBA"))
        assert (Document.open(layered).flattened == pixels).all()
        pictures[name] = pixels
    pixels = pictures["shore"]
    painted = Document.open(ROOT / "examples" / "shore.ora").flattened
    side = (pixels.shape[1] - painted.shape[1]) // 2
    assert side > 100
    assert (pixels[:, side:-side] == painted).all()
    assert "painted in" in said
    assert "installer plugin" in said
